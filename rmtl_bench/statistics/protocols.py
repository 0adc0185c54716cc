"""The tests that a table of comparisons may be judged by: which p a verdict rests on, and whether it is corrected.

===========  ==================================================================================================
paired-t     paired t test (Student 1908), for resampled splits the corrected one (Nadeau and Bengio 2003)
wilcoxon     exact signed-rank test (Wilcoxon 1945), ``scipy.stats.wilcoxon(method="exact")``; conservative for ties
sign-flip    permutation test of the mean (Fisher 1935); beyond 14 seeds 9,999 random flips stand for all of them
rmtl-paper   unpaired t test with equal variances (``scipy.stats.ttest_ind``), no correction for the number of tests
===========  ==================================================================================================

Holm's correction within family and metric follows, but for the last one. Intervals, equivalence and detectable effects
are those of the t test under every protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.statistics.frames import FloatArray, column

DEFAULT_PROTOCOL = "paired-t"
"""What is used unless another protocol is asked for."""


@dataclass(frozen=True)
class Protocol:
    """A primary test; ``warning`` is printed on top of every table made by it, empty for none.

    ``exact``: its p has a floor of 2 / 2^n, so that no verdict is given where the seeds are too few to reach the
    corrected level. ``corrected``: p is adjusted by Holm's method within family and metric.
    """

    name: str
    summary: str
    warning: str = ""
    exact: bool = False
    corrected: bool = True


_HOLM = "Holm-adjusted within each family and metric"

PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(DEFAULT_PROTOCOL, f"two-sided paired t test, {_HOLM}"),
        Protocol("wilcoxon", f"exact Wilcoxon signed-rank test, {_HOLM}", exact=True),
        Protocol("sign-flip", f"exact sign-flip permutation test of the mean, {_HOLM}", exact=True),
        Protocol(
            "rmtl-paper",
            "unpaired t test with equal variances, not adjusted",
            "protocol rmtl-paper repeats the practice of the paper, for comparison with it only: unpaired t tests, not "
            "corrected for their number, stars against the best baseline picked on the same seeds; the 5 % that they "
            "name are not the share of stars that chance makes",
            corrected=False,
        ),
    )
}
"""Every protocol, by name."""


def find_protocol(name: str) -> Protocol:
    """Return a protocol by name; raise :class:`UsageError` for one that there is not."""
    if name not in PROTOCOLS:
        raise UsageError(f"unknown protocol {name!r}{did_you_mean(name, PROTOCOLS)}; known are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def primary_p(protocol: str, a: FloatArray, b: FloatArray, paired: pd.DataFrame) -> FloatArray:
    """Return the p that the protocol decides by, for the rows of ``paired_table(a, b, ...)``.

    NaN where fewer than 2 seeds are shared or the difference is constant. Raises :class:`UsageError` for an unknown
    protocol, and for an exact one where the replicates are resampled splits: their signs are not independent.
    """
    chosen = find_protocol(protocol)
    resampled = np.isnan(column(paired, "p_floor")) & (column(paired, "n") > 0)
    if chosen.exact and resampled.any():
        raise UsageError(
            f"protocol {protocol!r} takes independent seeds, not resampled splits; take {DEFAULT_PROTOCOL!r}"
        )
    if protocol == DEFAULT_PROTOCOL:
        return column(paired, "p")
    if protocol == "sign-flip":
        return column(paired, "p_exact")
    test = _wilcoxon_p if protocol == "wilcoxon" else _unpaired_of_shared
    p = np.full(len(a), np.nan)
    both = np.isfinite(a) & np.isfinite(b)
    counts = np.where(column(paired, "deterministic", bool), 0, both.sum(axis=1))
    for n in np.unique(counts[counts > 1]):
        rows = np.flatnonzero(counts == n)
        p[rows] = test(*(side[rows][both[rows]].reshape(-1, n) for side in (a, b)))
    return p


def unpaired_p(
    means: tuple[FloatArray, FloatArray], sds: tuple[FloatArray, FloatArray], counts: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """Return ``scipy.stats.ttest_ind(equal_var=True)`` from two sides' means, standard deviations and counts.

    NaN where a side has fewer than 2 values or neither side varies.
    """
    from scipy import stats

    usable = (counts[0] > 1) & (counts[1] > 1) & (sds[0] + sds[1] > 0)
    p = np.full(len(usable), np.nan)
    sides = [array[usable] for side in (0, 1) for array in (means[side], sds[side], counts[side])]
    p[usable] = stats.ttest_ind_from_stats(*sides, equal_var=True).pvalue
    return p


def _wilcoxon_p(a: FloatArray, b: FloatArray) -> FloatArray:
    from scipy import stats

    return np.asarray(stats.wilcoxon(a - b, method="exact", axis=1).pvalue, dtype=np.float64)


def _unpaired_of_shared(a: FloatArray, b: FloatArray) -> FloatArray:
    count = np.full(len(a), float(a.shape[1]))
    return unpaired_p((a.mean(axis=1), b.mean(axis=1)), (a.std(axis=1, ddof=1), b.std(axis=1, ddof=1)), (count, count))
