"""Two methods on the same seeds: everything a verdict needs, from the differences ``d = a - b`` of each seed.

===================  ==========================================================================================
interval, p          paired t (Student 1908), ``scipy.stats.ttest_rel``
p_exact              sign-flip permutation of the mean (Fisher 1935), ``scipy.stats.permutation_test``; exact up
                     to 14 seeds, 9,999 random flips beyond
p_floor              the smallest p the sign-flip test can reach: 2 / 2^n, or 2 / 10,000 where flips are sampled
d_z                  mean(d) / sd(d), positive for an improvement (Cohen 1988)
win_fraction         share of seeds that improve, equal values counting half
mde                  minimum detectable effect at 80 % power and a two-sided level of 5 %, in the metric's unit
===================  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.power import TTestPower

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.frames import FloatArray
from rmtl_bench.statistics.intervals import check_confidence

ALPHA = 0.05
"""The two-sided level of every test."""

EXACT_UP_TO = 14
"""The most seeds whose 2^n sign flips are all visited."""

RESAMPLES = 9_999
"""Random sign flips beyond ``EXACT_UP_TO`` seeds."""

FLOAT_NOISE = 1e-12
"""Differences that vary by less than this share of the scores' size vary by rounding alone."""

_BLOCK = 2**20


@dataclass(frozen=True)
class Paired:
    """What two methods' paired scores say; see the module for the formulas.

    ``difference`` and the bounds are raw, mean(a) - mean(b); ``improvement``, ``d_z`` and ``win_fraction``
    are signed so that more is better for a. ``tost_low`` and ``tost_high`` bound the 90 % interval.
    """

    n: int
    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    tost_low: float
    tost_high: float
    sd: float
    p: float
    p_exact: float
    p_floor: float
    d_z: float
    win_fraction: float
    mde: float
    improvement: float
    deterministic: bool


_COLUMNS = [field.name for field in fields(Paired) if field.name not in ("n", "deterministic")]


def compare(
    a: Mapping[int, float],
    b: Mapping[int, float],
    higher_is_better: bool,
    *,
    confidence: float = 0.95,
    only_shared: bool = False,
) -> Paired:
    """Compare the scores of ``a`` with those of ``b``, both by seed.

    Seeds on one side alone are refused, unless ``only_shared`` asks to leave them out.
    """
    first, second = dict(a.items()), dict(b.items())
    lone = sorted(set(first) ^ set(second))
    if lone and not only_shared:
        raise UsageError(f"not paired: seeds on one side alone: {', '.join(map(str, lone))}")
    seeds = sorted(set(first) & set(second))
    if not seeds:
        raise UsageError("not paired: the two sides share no seed")
    row_a = np.array([[first[s] for s in seeds]], dtype=float)
    row_b = np.array([[second[s] for s in seeds]], dtype=float)
    row = paired_table(row_a, row_b, np.array([higher_is_better]), confidence).iloc[0]
    numbers = {name: float(row[name]) for name in _COLUMNS}
    return Paired(n=int(row["n"]), deterministic=bool(row["deterministic"]), **numbers)


def paired_table(
    a: FloatArray, b: FloatArray, higher_is_better: NDArray[np.bool_], confidence: float = 0.95
) -> pd.DataFrame:
    """Compare row by row: ``a`` and ``b`` are [comparisons, seeds], NaN where a seed is missing.

    Returns the fields of :class:`Paired` as columns; a seed missing on either side is left out of its row.
    """
    check_confidence(confidence)
    both = np.isfinite(a) & np.isfinite(b)
    counts = both.sum(axis=1)
    result = {name: np.full(len(a), np.nan) for name in _COLUMNS}
    deterministic = np.zeros(len(a), dtype=bool)
    for n in np.unique(counts[counts > 0]):
        rows = np.flatnonzero(counts == n)
        a_n, b_n = a[rows][both[rows]].reshape(-1, n), b[rows][both[rows]].reshape(-1, n)
        sign = np.where(higher_is_better[rows], 1.0, -1.0)
        constant = is_constant(a_n, b_n)
        part = _describe(a_n, b_n, sign, constant)
        if n > 1:
            part |= _intervals_and_tests(a_n, b_n, constant, part, confidence)
        for name, values in part.items():
            result[name][rows] = values
        deterministic[rows] = constant
    return pd.DataFrame({"n": counts, **result, "deterministic": deterministic})


def is_constant(a: FloatArray, b: FloatArray) -> NDArray[np.bool_]:
    """Return the rows whose differences are the same for all of several seeds, up to rounding."""
    if a.shape[1] < 2:
        return np.zeros(len(a), dtype=bool)
    size = np.maximum(np.abs(a).max(axis=1), np.abs(b).max(axis=1))
    return np.asarray((a - b).std(axis=1, ddof=1) <= FLOAT_NOISE * size)


def sign_flip_p(differences: FloatArray) -> FloatArray:
    """Return the two-sided sign-flip p of each row's mean; the rows are comparisons, the columns seeds."""
    rows, n = differences.shape
    if rows == 0:
        return np.empty(0)
    exact = n <= EXACT_UP_TO
    # All flips of all rows at once would need gigabytes at 14 seeds.
    test = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=np.inf if exact else RESAMPLES,
        batch=max(1, _BLOCK // (rows * n)),
        vectorized=True,
        axis=-1,
        random_state=np.random.default_rng(0),
    )
    return np.atleast_1d(np.asarray(test.pvalue, dtype=np.float64))


def smallest_sign_flip_p(n: int) -> float:
    """Return the smallest two-sided p the sign-flip test can reach with n seeds."""
    exact: float = min(1.0, 2.0 / 2.0**n)
    return exact if n <= EXACT_UP_TO else max(exact, 2.0 / (RESAMPLES + 1))


@lru_cache(maxsize=256)
def detectable_effect(n: int, alpha: float = ALPHA, power: float = 0.8) -> float:
    """Return the smallest |d_z| that a two-sided paired t test on n seeds finds with the given power."""
    if n < 2:
        return float("nan")
    return float(TTestPower().solve_power(nobs=n, alpha=alpha, power=power))


def _describe(
    a: FloatArray, b: FloatArray, sign: FloatArray, constant: NDArray[np.bool_]
) -> dict[str, FloatArray | float]:
    d, n = a - b, a.shape[1]
    mean = d.mean(axis=1)
    sd = np.where(constant, 0.0, d.std(axis=1, ddof=1)) if n > 1 else np.full(len(d), np.nan)
    gain = sign[:, None] * d
    return {
        "mean_a": a.mean(axis=1),
        "mean_b": b.mean(axis=1),
        "difference": mean,
        "sd": sd,
        "p_floor": smallest_sign_flip_p(n),
        "d_z": np.divide(sign * mean, sd, out=np.full(len(d), np.nan), where=sd > 0),
        "win_fraction": (gain > 0).mean(axis=1) + 0.5 * (gain == 0).mean(axis=1),
        "mde": detectable_effect(n) * sd,
        "improvement": sign * mean,
    }


def _intervals_and_tests(
    a: FloatArray,
    b: FloatArray,
    constant: NDArray[np.bool_],
    part: Mapping[str, FloatArray | float],
    confidence: float,
) -> dict[str, FloatArray]:
    # A constant difference is its own interval; the tests would divide by zero.
    names = ("low", "high", "tost_low", "tost_high")
    result = {name: np.array(part["difference"]) for name in names}
    result |= {"p": np.full(len(a), np.nan), "p_exact": np.full(len(a), np.nan)}
    free = ~constant
    if free.any():
        test = stats.ttest_rel(a[free], b[free], axis=1)
        wide, narrow = test.confidence_interval(confidence), test.confidence_interval(1 - 2 * ALPHA)
        bounds = (wide.low, wide.high, narrow.low, narrow.high)
        for name, values in zip(names, bounds, strict=True):
            result[name][free] = values
        result["p"][free] = test.pvalue
        result["p_exact"][free] = sign_flip_p(a[free] - b[free])
    return result
