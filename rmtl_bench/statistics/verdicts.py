"""From numbers to words: what may be said about a comparison.

===================  ==========================================================================================
n too small          fewer than 3 seeds; or neither of the next three, and the exact sign-flip test could never
                     reach the level the correction asks for (2 / 2^n > 0.05 / m, m tests in the family and metric)
deterministic        the difference is the same for every seed
better, worse        Holm-adjusted p < 0.05; "(small)" where the mean difference lies inside the equivalence region
equivalent           the 90 % interval lies inside the region: two one-sided tests (Schuirmann 1987)
unresolved           none of these; read the minimum detectable effect
===================  ==========================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.frames import column
from rmtl_bench.statistics.multiplicity import holm_within
from rmtl_bench.statistics.paired import ALPHA

TOO_SMALL = "n too small"
"""Said where more seeds are needed before anything can be said."""

VERDICTS = (
    "better",
    "better (small)",
    "equivalent",
    "unresolved",
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


def judge(table: pd.DataFrame, equivalence: Mapping[str, float | str]) -> pd.DataFrame:
    """Add p_holm, p_exact_holm, verdict and robust to rows of ``paired_table`` with their family and metric.

    ``robust`` says whether the exact sign-flip test, adjusted in the same way, comes down on the same side of 0.05:
    "agrees", "disagrees", "n too small", or "" where nothing was tested.
    """
    regions = {metric: Region.parse(text) for metric, text in equivalence.items()}
    tested = (column(table, "n") >= MIN_SEEDS) & ~column(table, "deterministic", bool)
    # Rows that cannot be tested are no hypotheses: they must not make the others' correction stricter.
    usable = table.assign(p=table["p"].where(tested), p_exact=table["p_exact"].where(tested), tested=tested)
    by = ["family", "metric"]
    judged = table.assign(p_holm=holm_within(usable, by), p_exact_holm=holm_within(usable, by, "p_exact"))
    level = ALPHA / usable.groupby(by)["tested"].transform("sum").clip(lower=1)
    delta = [_delta(regions.get(m), mean) for m, mean in zip(table["metric"], column(table, "mean_b"), strict=True)]
    judged = judged.assign(level=level, delta=delta)
    words = [_verdict_of(row) for row in judged.to_dict("records")]
    return judged.assign(verdict=words, robust=_robust(judged, tested)).drop(columns=["level", "delta"])


def verdict(
    n: int,
    deterministic: bool,
    improvement: float,
    p_holm: float,
    tost: tuple[float, float],
    delta: float | None = None,
    level: float = ALPHA,
) -> str:
    """Return the verdict on one comparison.

    ``improvement`` is positive where the candidate is better, ``tost`` the 90 % interval of the difference,
    ``delta`` the half-width of the equivalence region if there is one, and ``level`` is 0.05 / m.
    """
    if n < MIN_SEEDS:
        return TOO_SMALL
    if deterministic:
        return "deterministic"
    region = -1.0 if delta is None or math.isnan(delta) else delta
    if p_holm < ALPHA:
        return ("better" if improvement > 0 else "worse") + (" (small)" if abs(improvement) <= region else "")
    if -region <= tost[0] and tost[1] <= region:
        return "equivalent"
    return TOO_SMALL if 2.0 / 2.0**n > level else "unresolved"


def _verdict_of(row: Mapping[str, Any]) -> str:
    tost = (row["tost_low"], row["tost_high"])
    facts = (row["n"], row["deterministic"], row["improvement"], row["p_holm"], tost, row["delta"], row["level"])
    return verdict(*facts)


def _delta(region: Region | None, reference_mean: float) -> float:
    return math.nan if region is None else region.half_width(reference_mean)


def _robust(judged: pd.DataFrame, tested: NDArray[np.bool_]) -> NDArray[np.str_]:
    same = (column(judged, "p_holm") < ALPHA) == (column(judged, "p_exact_holm") < ALPHA)
    reachable = column(judged, "p_floor") <= column(judged, "level")
    answer = np.where(same, "agrees", "disagrees")
    answer = np.where(reachable, answer, TOO_SMALL)
    answer = np.where(column(judged, "n", int) < MIN_SEEDS, TOO_SMALL, answer)
    return np.where(~tested & column(judged, "deterministic", bool), "", answer)
