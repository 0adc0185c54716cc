"""Two methods on the same seeds: everything a verdict needs, from the differences ``d = a - b`` of each seed.

===================  ==========================================================================================
interval, p          paired t (Student 1908), the numbers of ``scipy.stats.ttest_rel``; for replicates that are new
                     splits of the same rows, the corrected one of :mod:`~rmtl_bench.statistics.resampled`
p_exact              sign-flip permutation of the mean (Fisher 1935): :mod:`~rmtl_bench.statistics.sign_flip`; NaN
                     for new splits, whose signs are not independent
p_floor              the smallest p the sign-flip test can reach: 2 / 2^n, or 2 / 10,000 where flips are sampled;
                     NaN for new splits
d_z                  mean(d) / sd(d), positive for an improvement (Cohen 1988)
win_fraction         share of seeds that improve, equal values counting half
mde                  minimum detectable effect at 80 % power and a two-sided level of 5 %, in the metric's unit;
                     for new splits sqrt(1 + n * test_share) times that of as many seeds
===================  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.frames import FloatArray
from rmtl_bench.statistics.intervals import check_confidence
from rmtl_bench.statistics.resampled import corrected_error, t_interval, t_test_p
from rmtl_bench.statistics.sign_flip import sign_flip_p, smallest_sign_flip_p
from rmtl_bench.statistics.t_power import effect_found

ALPHA = 0.05
"""The two-sided level of every test."""

FLOAT_NOISE = 1e-12
"""Differences that vary by less than this share of the scores' size vary by rounding alone."""


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
    test_share: float = 0.0,
) -> Paired:
    """Compare the scores of ``a`` with those of ``b``, both by seed.

    Seeds on one side alone are refused, unless ``only_shared`` asks to leave them out. ``test_share`` is
    n_test / n_train where the replicates are new splits of the same rows, 0 where they are seeds.
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
    share = np.array([test_share])
    row = paired_table(row_a, row_b, np.array([higher_is_better]), confidence, share).iloc[0]
    numbers = {name: float(row[name]) for name in _COLUMNS}
    return Paired(n=int(row["n"]), deterministic=bool(row["deterministic"]), **numbers)


def paired_table(
    a: FloatArray,
    b: FloatArray,
    higher_is_better: NDArray[np.bool_],
    confidence: float = 0.95,
    test_share: FloatArray | None = None,
) -> pd.DataFrame:
    """Compare row by row: ``a`` and ``b`` are [comparisons, seeds], NaN where a seed is missing.

    ``test_share``, [comparisons], is n_test / n_train in the rows whose replicates are new splits of the same rows, and
    0 where they are seeds; None is 0 everywhere. Returns the fields of :class:`Paired` as columns; a seed missing on
    either side is left out of its row. Raises :class:`UsageError` for a share that is negative or not finite.
    """
    check_confidence(confidence)
    share = np.zeros(len(a)) if test_share is None else np.asarray(test_share, dtype=np.float64)
    if not (np.isfinite(share) & (share >= 0)).all():
        raise UsageError("n_test / n_train is a positive number, or 0 where the replicates are seeds")
    both = np.isfinite(a) & np.isfinite(b)
    counts = both.sum(axis=1)
    result = {name: np.full(len(a), np.nan) for name in _COLUMNS}
    deterministic = np.zeros(len(a), dtype=bool)
    for n in np.unique(counts[counts > 0]).tolist():
        rows = np.flatnonzero(counts == n)
        a_n, b_n = a[rows][both[rows]].reshape(-1, n), b[rows][both[rows]].reshape(-1, n)
        sign = np.where(higher_is_better[rows], 1.0, -1.0)
        constant = is_constant(a_n, b_n)
        part = _describe(a_n, b_n, sign, constant, share[rows])
        if n > 1:
            part |= _intervals_and_tests(a_n - b_n, constant, part, confidence, share[rows])
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


@lru_cache(maxsize=256)
def detectable_effect(n: int, alpha: float = ALPHA, power: float = 0.8) -> float:
    """Return the smallest |d_z| that a two-sided paired t test on n seeds finds with the given power."""
    if n < 2:
        return float("nan")
    return effect_found(n, alpha, power)


def _describe(
    a: FloatArray, b: FloatArray, sign: FloatArray, constant: NDArray[np.bool_], share: FloatArray
) -> dict[str, FloatArray]:
    d, n = a - b, a.shape[1]
    mean = d.mean(axis=1)
    sd = np.where(constant, 0.0, d.std(axis=1, ddof=1)) if n > 1 else np.full(len(d), np.nan)
    gain = sign[:, None] * d
    return {
        "mean_a": a.mean(axis=1),
        "mean_b": b.mean(axis=1),
        "difference": mean,
        "sd": sd,
        "p_floor": np.where(share > 0, np.nan, smallest_sign_flip_p(n)),
        "d_z": np.divide(sign * mean, sd, out=np.full(len(d), np.nan), where=sd > 0),
        "win_fraction": (gain > 0).mean(axis=1) + 0.5 * (gain == 0).mean(axis=1),
        "mde": detectable_effect(n) * np.sqrt(1.0 + n * share) * sd,
        "improvement": sign * mean,
    }


def _intervals_and_tests(
    d: FloatArray, constant: NDArray[np.bool_], part: Mapping[str, FloatArray], confidence: float, share: FloatArray
) -> dict[str, FloatArray]:
    # A constant difference has sd 0: it is its own interval, and no test divides by it.
    n, difference = d.shape[1], part["difference"]
    error = corrected_error(part["sd"], n, share)
    low, high = t_interval(difference, error, n - 1, confidence)
    tost_low, tost_high = t_interval(difference, error, n - 1, 1 - 2 * ALPHA)
    p_exact = np.full(len(d), np.nan)
    flipped = ~constant & (share == 0)
    p_exact[flipped] = sign_flip_p(d[flipped])
    bounds = {"low": low, "high": high, "tost_low": tost_low, "tost_high": tost_high}
    return {**bounds, "p": t_test_p(difference, error, n - 1), "p_exact": p_exact}
