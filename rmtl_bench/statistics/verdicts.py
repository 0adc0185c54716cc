"""From numbers to words: what may be said about a comparison.

===================  ==========================================================================================
n too small          fewer than 3 seeds; or neither of the next three, and the exact sign-flip test could never
                     reach the level the correction asks for (2 / 2^n > 0.05 / m, m tests in the family and metric)
deterministic        the difference is the same for every seed
better, worse        Holm-adjusted p < 0.05; "(small)" where the mean difference lies inside the equivalence region
equivalent           the 90 % interval lies inside the region: two one-sided tests (Schuirmann 1987)
unresolved           none of these; read the minimum detectable effect
===================  ==========================================================================================

Under a protocol whose test is exact, 2 / 2^n > 0.05 / m goes before better, worse and equivalent: nothing is said
where the test has no say. Where the replicates are resampled splits there is no exact test and no such bound.

Under a protocol without correction a comparison is better or worse at p < 0.05, and "not starred" otherwise: it has no
star, which is no finding, neither of equality nor of too few seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.frames import FloatArray, column
from rmtl_bench.statistics.multiplicity import holm_within
from rmtl_bench.statistics.paired import ALPHA
from rmtl_bench.statistics.protocols import DEFAULT_PROTOCOL, find_protocol

TOO_SMALL = "n too small"
"""Said where more seeds are needed before anything can be said."""

NOT_STARRED = "not starred"
"""Said under a protocol without correction where p >= 0.05."""

VERDICTS = (
    "better",
    "better (small)",
    "equivalent",
    "unresolved",
    NOT_STARRED,
    "worse (small)",
    "worse",
    "deterministic",
    TOO_SMALL,
)
"""Every verdict, best first."""

MIN_SEEDS = 3
"""The fewest seeds a t test is believed on."""


@dataclass(frozen=True)
class Region:
    """Differences too small to matter: up to ``size`` in the metric's unit, or in % of the reference's mean."""

    size: float
    percent: bool = False

    @classmethod
    def parse(cls, text: float | str) -> Region:
        """Read ``0.001`` as metric units and ``"0.1%"`` as a share of the reference's mean."""
        percent = isinstance(text, str) and text.strip().endswith("%")
        try:
            size = float(text.strip().removesuffix("%")) if isinstance(text, str) else float(text)
        except (TypeError, ValueError):
            size = math.nan
        if not (math.isfinite(size) and size > 0):
            raise UsageError(f"an equivalence region is a positive number or a percentage, not {text!r}")
        return cls(size, percent)

    def half_width(self, reference_mean: float) -> float:
        """Return delta, in the metric's unit, of the region [-delta, delta]."""
        return self.size / 100 * abs(reference_mean) if self.percent else self.size


def judge(
    table: pd.DataFrame, equivalence: Mapping[str, float | str], protocol: str = DEFAULT_PROTOCOL
) -> pd.DataFrame:
    """Add p_holm, p_exact_holm, verdict and robust to rows of ``paired_table`` with their family and metric.

    ``p`` is the one that the protocol decides by. ``robust`` says whether the exact sign-flip test, adjusted in the
    same way, comes down on the same side of 0.05: "agrees", "disagrees", "n too small", or "" where nothing was tested
    or there is no second test.
    """
    chosen = find_protocol(protocol)
    tested = (column(table, "n") >= MIN_SEEDS) & ~column(table, "deterministic", bool)
    # Rows that cannot be tested are no hypotheses: they must not make the others' correction stricter.
    usable = table.assign(p=table["p"].where(tested), p_exact=table["p_exact"].where(tested), tested=tested)
    by = ["family", "metric"]
    adjusted = holm_within(usable, by) if chosen.corrected else column(usable, "p")
    judged = table.assign(p_holm=adjusted, p_exact_holm=holm_within(usable, by, "p_exact"))
    level = ALPHA / column(usable.assign(tests=usable.groupby(by)["tested"].transform("sum")), "tests").clip(min=1)
    if not chosen.corrected:
        return judged.assign(verdict=_starred(judged), robust="")
    words = verdicts(judged, half_widths(table, equivalence), level, exact=chosen.exact)
    return judged.assign(verdict=words, robust="" if protocol == "sign-flip" else _robust(judged, tested, level))


def verdict(
    n: int,
    deterministic: bool,
    improvement: float,
    p_holm: float,
    tost: tuple[float, float],
    delta: float | None = None,
    level: float = ALPHA,
    *,
    exact: bool = False,
    resampled: bool = False,
) -> str:
    """Return the verdict on one comparison.

    ``improvement`` is positive where the candidate is better, ``tost`` the 90 % interval of the difference,
    ``delta`` the half-width of the equivalence region if there is one, and ``level`` is 0.05 / m. ``exact``: the
    protocol's test is. ``resampled``: the replicates are new splits.
    """
    if n < MIN_SEEDS:
        return TOO_SMALL
    if deterministic:
        return "deterministic"
    unreachable = not resampled and 2.0 / 2.0**n > level
    if exact and unreachable:
        return TOO_SMALL
    region = -1.0 if delta is None or math.isnan(delta) else delta
    if p_holm < ALPHA:
        return ("better" if improvement > 0 else "worse") + (" (small)" if abs(improvement) <= region else "")
    if -region <= tost[0] and tost[1] <= region:
        return "equivalent"
    return TOO_SMALL if unreachable else "unresolved"


def verdicts(
    judged: pd.DataFrame, delta: FloatArray, level: FloatArray | float, *, exact: bool = False
) -> NDArray[np.object_]:
    """Return :func:`verdict` of every row of a table with n, p_holm, p_floor and the fields of ``Paired``.

    ``delta`` is NaN where there is no equivalence region. A row with a NaN in ``p_floor`` holds resampled splits.
    """
    n, improvement = column(judged, "n"), column(judged, "improvement")
    unreachable = (2.0 / 2.0**n > level) & ~np.isnan(column(judged, "p_floor"))
    region = np.where(np.isnan(delta), -1.0, delta)
    beaten, small = column(judged, "p_holm") < ALPHA, np.abs(improvement) <= region
    inside = (-region <= column(judged, "tost_low")) & (column(judged, "tost_high") <= region)
    rules = [
        (TOO_SMALL, n < MIN_SEEDS),
        ("deterministic", column(judged, "deterministic", bool)),
        (TOO_SMALL, unreachable & exact),
        ("better (small)", beaten & (improvement > 0) & small),
        ("better", beaten & (improvement > 0)),
        ("worse (small)", beaten & small),
        ("worse", beaten),
        ("equivalent", inside),
    ]
    return _first_of(rules, np.where(unreachable, TOO_SMALL, "unresolved"))


def half_widths(table: pd.DataFrame, equivalence: Mapping[str, float | str]) -> FloatArray:
    """Return the half-width of the equivalence region of each row's metric, NaN where it has none.

    The rows have a ``metric`` and a ``mean_b``, of which a percentage is taken.
    """
    delta = np.full(len(table), np.nan)
    metrics, means = table["metric"].to_numpy(), column(table, "mean_b")
    for metric, text in equivalence.items():
        region, rows = Region.parse(text), metrics == metric
        delta[rows] = region.size / 100 * np.abs(means[rows]) if region.percent else region.size
    return delta


def _starred(judged: pd.DataFrame) -> NDArray[np.object_]:
    star, improvement = column(judged, "p_holm") < ALPHA, column(judged, "improvement")
    rules = [
        (TOO_SMALL, column(judged, "n") < MIN_SEEDS),
        ("deterministic", column(judged, "deterministic", bool)),
        ("better", star & (improvement > 0)),
        ("worse", star),
    ]
    return _first_of(rules, np.full(len(judged), NOT_STARRED))


def _first_of(rules: Sequence[tuple[str, NDArray[np.bool_]]], otherwise: NDArray[np.str_]) -> NDArray[np.object_]:
    """Return, for each row, the first word whose rule holds."""
    words, holds = zip(*rules, strict=True)
    return np.asarray(np.select(holds, words, otherwise), dtype=object)


def _robust(judged: pd.DataFrame, tested: NDArray[np.bool_], level: FloatArray) -> NDArray[np.object_]:
    same = (column(judged, "p_holm") < ALPHA) == (column(judged, "p_exact_holm") < ALPHA)
    floor = column(judged, "p_floor")
    rules = [
        ("", ~tested & column(judged, "deterministic", bool)),
        (TOO_SMALL, (column(judged, "n") < MIN_SEEDS) | (floor > level)),
    ]
    answer = _first_of(rules, np.where(same, "agrees", "disagrees"))
    # Resampled splits have no sign-flip test.
    answer[np.isnan(floor) & tested] = ""
    return answer
