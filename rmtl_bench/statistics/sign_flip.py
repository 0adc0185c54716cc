"""The sign-flip permutation test of a mean (Fisher 1935): under no difference, every sign is as likely as its opposite.

p is twice the share of flips whose mean is at least as far out as the observed one, at most 1. Up to 14 seeds all 2^n
flips are visited; beyond, 9,999 random ones, the same for every row, with the observed one added to them. The numbers
of ``scipy.stats.permutation_test(permutation_type="samples")``, of all rows at once: a matrix of signs times the
differences.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from rmtl_bench.statistics.frames import FloatArray

EXACT_UP_TO = 14
"""The most seeds whose 2^n sign flips are all visited."""

RESAMPLES = 9_999
"""Random sign flips beyond ``EXACT_UP_TO`` seeds."""

_BLOCK = 2**20
_EPSILON = float(np.finfo(np.float64).eps)


def sign_flip_p(differences: FloatArray) -> FloatArray:
    """Return the two-sided sign-flip p of each row's mean; the rows are comparisons, the columns seeds."""
    rows, n = differences.shape
    if rows == 0:
        return np.empty(0)
    p = np.empty(rows)
    signs = _half_of_all_signs(n) if n <= EXACT_UP_TO else _random_signs(n)
    step = max(1, _BLOCK // len(signs))
    for start in range(0, rows, step):
        block = differences[start : start + step]
        sums, observed = block @ signs.T, block.sum(axis=1)
        # Equal means come out unequal by rounding: scipy's share of the observed mean, and what n additions can lose.
        tie = 100 * _EPSILON * np.abs(observed) + n * _EPSILON * np.abs(block).sum(axis=1)
        if n <= EXACT_UP_TO:
            # The other half of the flips has these sums with the other sign.
            extreme = np.abs(sums) >= (np.abs(observed) - tie)[:, None]
            p[start : start + step] = np.count_nonzero(extreme, axis=1) / len(signs)
        else:
            above = np.count_nonzero(sums >= (observed - tie)[:, None], axis=1)
            below = np.count_nonzero(sums <= (observed + tie)[:, None], axis=1)
            p[start : start + step] = 2 * (np.minimum(above, below) + 1) / (RESAMPLES + 1)
    return np.minimum(p, 1.0)


def smallest_sign_flip_p(n: int) -> float:
    """Return the smallest two-sided p the sign-flip test can reach with n seeds."""
    exact: float = min(1.0, 2.0 / 2.0**n)
    return exact if n <= EXACT_UP_TO else max(exact, 2.0 / (RESAMPLES + 1))


@lru_cache(maxsize=32)
def _half_of_all_signs(n: int) -> FloatArray:
    """Return the flips that leave the first seed as it is, [2^(n - 1), n] of 1 and -1."""
    bits = np.arange(2 ** (n - 1))[:, None] >> np.arange(n - 1)
    return np.hstack([np.ones((2 ** (n - 1), 1)), 1.0 - 2.0 * (bits & 1)])


@lru_cache(maxsize=8)
def _random_signs(n: int) -> FloatArray:
    """Return scipy's own random flips, [RESAMPLES, n]: those of the rows of a unit matrix are their only entry."""
    from scipy import stats

    test = stats.permutation_test(
        (np.eye(n),),
        np.sum,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        batch=max(1, _BLOCK // n**2),
        vectorized=True,
        axis=-1,
        rng=np.random.default_rng(0),
    )
    return np.asarray(test.null_distribution, dtype=np.float64)
