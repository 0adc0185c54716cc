"""How many seeds a difference takes: the power of the two-sided paired t test, turned round.

The level is divided by the number of comparisons (Bonferroni), a safe side of Holm's correction, whose level depends on
the other comparisons.

``sd`` is that of the paired differences, and is itself an estimate: from 5 seeds its 95 % interval reaches from 0.6 to
2.9 times the value, and the number of seeds goes with the square of it. The formulas are for replicates that are seeds:
against resampled splits more of them help only up to a point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.frames import CELL, FloatArray, column
from rmtl_bench.statistics.paired import ALPHA, detectable_effect
from rmtl_bench.statistics.t_power import check_rates, paired_power
from rmtl_bench.statistics.verdicts import MIN_SEEDS, half_widths

POWER = 0.8
"""The power that is aimed at."""

POWER_COLUMNS = [
    *("family", *CELL, "candidate", "reference", "n", "sd", "comparisons", "detectable"),
    *("difference", "seeds", "reachable"),
]
"""The columns of a table of power, see :func:`power_table`."""

# Rounding in the non-central t must not ask for one more seed.
_NOISE = 1e-9
_BEYOND_SCALE = 1e6
_MOST = 1e15
"""Beyond it there is no number of seeds: no study, and no exact float."""


def seeds_needed(
    difference: float, sd: float, *, alpha: float = ALPHA, power: float = POWER, comparisons: int = 1
) -> int:
    """Return the fewest seeds, at least 3, on which a true difference is found with the given power.

    ``difference`` and ``sd``, the standard deviation of the paired differences, are in the metric's unit;
    ``comparisons`` is the number of tests that share the level ``alpha``. See :func:`reachable_seeds` for what an exact
    test needs besides. Raises :class:`UsageError` for a difference of 0, or one so small that no number of seeds finds
    it, for an sd that is negative, and for a level or a power outside (0, 1).
    """
    if not (math.isfinite(difference) and difference != 0):
        raise UsageError(f"a difference to be found is a number other than 0, not {difference:g}")
    if not (math.isfinite(sd) and sd >= 0):
        raise UsageError(f"a standard deviation is a number of at least 0, not {sd:g}")
    if comparisons < 1:
        raise UsageError(f"a family has at least 1 comparison, not {comparisons}")
    check_rates(alpha, power)
    level = np.array([alpha / comparisons])
    seeds = float(_seeds(np.array([abs(difference)]), np.array([sd]), level, power)[0])
    if not math.isfinite(seeds):
        raise UsageError(
            f"no number of seeds finds a difference of {difference:g} under a standard deviation of {sd:g}"
        )
    return int(seeds)


def reachable_seeds(comparisons: int = 1, alpha: float = ALPHA) -> int:
    """Return the fewest seeds on which an exact test can reach ``alpha / comparisons``: ceil(log2(2 m / alpha)), >= 3.

    6 seeds for one comparison, 8 for 6 of them, 10 for 24.
    """
    return int(_reachable(np.array([comparisons]), alpha)[0])


def power_table(
    comparisons: pd.DataFrame,
    *,
    difference: float | Mapping[str, float] | None = None,
    equivalence: Mapping[str, float | str] | None = None,
    alpha: float = ALPHA,
    power: float = POWER,
) -> pd.DataFrame:
    """Return, for each row of a table of comparisons, what its seeds can find and how many a difference takes.

    ``difference`` is the one to be found, in the metric's unit, one for all or by metric; for metrics without one the
    half-width of the region in ``equivalence`` is taken (a percentage is of the reference's mean). Columns of the
    result: ``comparisons``, the tests of the family and metric (at least 3 seeds and an sd above 0); ``detectable``,
    the difference that the n seeds find after correction; ``difference``, NaN where none is given; ``seeds`` that it
    takes, missing where the sd is unknown (n < 3) or 0, or no number will do; ``reachable``, the seeds that an exact
    test needs.
    """
    check_rates(alpha, power)
    wanted = _wanted_difference(comparisons, difference, equivalence)
    n, sd = column(comparisons, "n"), column(comparisons, "sd")
    tested = (n >= MIN_SEEDS) & (sd > 0)
    tests = column(
        comparisons.assign(tested=tested).groupby(["family", "metric"])[["tested"]].transform("sum"), "tested", int
    ).clip(min=1)
    known = tested & (wanted > 0)
    seeds = np.full(len(n), np.nan)
    seeds[known] = _seeds(wanted[known], sd[known], alpha / tests[known], power)
    return comparisons.assign(
        comparisons=tests,
        detectable=np.where(tested, _detectable(n, tests, alpha, power) * sd, np.nan),
        difference=wanted,
        seeds=pd.array(np.where(np.isfinite(seeds), seeds, np.nan), dtype="Int64"),
        reachable=_reachable(tests, alpha),
    )[POWER_COLUMNS]


def _seeds(difference: FloatArray, sd: FloatArray, level: FloatArray, power: float) -> FloatArray:
    """Find the smallest n of at least 3 by halving a bracket, all rows at once; infinite where it is beyond ``_MOST``.

    The bracket starts at the n of a test with known standard deviation; a t test takes more.
    """
    enough = np.full(len(sd), float(MIN_SEEDS))
    # An effect beyond any scale would overflow the distribution, and is seen on 3 seeds.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        effect = np.minimum(np.divide(difference, sd, out=np.full(len(sd), _BEYOND_SCALE), where=sd > 0), _BEYOND_SCALE)
        normal = np.square((special.ndtri(power) - special.ndtri(level / 2)).clip(min=0) / effect)
    enough[normal > _MOST] = np.inf
    rows = np.flatnonzero((sd > 0) & (normal <= _MOST))
    effect, level, normal = effect[rows], level[rows], normal[rows]
    low, high = np.maximum(np.floor(normal) - 2, MIN_SEEDS - 1), np.maximum(np.ceil(normal), MIN_SEEDS)
    while (short := ~_found(effect, high, level, power)).any():
        low, high = np.where(short, high, low), np.where(short, high + np.ceil(high / 4), high)
    while (wide := high - low > 1).any():
        middle = np.where(wide, np.floor((low + high) / 2), high)
        found = _found(effect, middle, level, power)
        low, high = np.where(wide & ~found, middle, low), np.where(wide & found, middle, high)
    enough[rows] = high
    return enough


def _found(effect: FloatArray, n: FloatArray, level: FloatArray, power: float) -> NDArray[np.bool_]:
    return np.asarray(paired_power(effect, n, level) >= power - _NOISE)


def _detectable(n: FloatArray, tests: NDArray[np.int_], alpha: float, power: float) -> FloatArray:
    effect = np.full(len(n), np.nan)
    for seeds, m in {(int(seeds), int(m)) for seeds, m in zip(n, tests, strict=True) if seeds >= MIN_SEEDS}:
        effect[(n == seeds) & (tests == m)] = detectable_effect(seeds, alpha / m, power)
    return effect


def _reachable(tests: NDArray[np.int_], alpha: float) -> NDArray[np.int_]:
    return np.maximum(MIN_SEEDS, np.ceil(np.log2(2 * tests / alpha))).astype(int)


def _wanted_difference(
    comparisons: pd.DataFrame,
    difference: float | Mapping[str, float] | None,
    equivalence: Mapping[str, float | str] | None,
) -> FloatArray:
    means = comparisons[["metric"]].assign(mean_b=comparisons["mean_reference"])
    wanted = half_widths(means, equivalence or {})
    metrics = comparisons["metric"].to_numpy()
    by_metric = difference if isinstance(difference, Mapping) else dict.fromkeys(set(metrics), difference)
    for metric, size in by_metric.items():
        if size is None:
            continue
        if not (math.isfinite(size) and size > 0):
            raise UsageError(f"the difference to be found in {metric} is a positive number, not {size:g}")
        wanted[metrics == metric] = size
    return wanted
