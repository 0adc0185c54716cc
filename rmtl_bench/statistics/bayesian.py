"""How probable is it that one method is better than another on a data set like these? (Benavoli et al. 2017, JMLR 18)

The Bayesian signed-rank test (Benavoli et al. 2014) on one pair of values a data set, such as means over seeds:
a Dirichlet prior of strength 0.5 on a difference of zero, 50,000 samples of the posterior, and the share of them in
which "worse", "equivalent" (within the region) or "better" is the most probable of the three. It needs the extra
``stats``. On few data sets the answer leans on the prior, and tasks or seeds are no data sets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rmtl_bench.contracts.errors import UsageError

SAMPLES = 50_000
"""Samples of the posterior."""


class SignedRank(NamedTuple):
    """The probabilities that A is worse than B, equivalent, and better; they add up to 1."""

    worse: float
    equivalent: float
    better: float


def signed_rank_probabilities(
    a: Sequence[float],
    b: Sequence[float],
    region: float,
    *,
    higher_is_better: bool = True,
    samples: int = SAMPLES,
    seed: int = 0,
) -> SignedRank:
    """Return the probabilities for methods A and B, from one value a data set each, in the same order.

    ``region``: the difference that is too small to matter, in the metric's unit; with 0 nothing is equivalent.
    Raises :class:`UsageError` for values that do not pair and where the extra ``stats`` is not installed.
    """
    sign = 1.0 if higher_is_better else -1.0
    first, second = sign * np.asarray(a, dtype=np.float64), sign * np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        raise UsageError(f"one value a data set and method is needed, not {first.shape} and {second.shape}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise UsageError("a value of a data set is missing or not finite")
    if not (math.isfinite(region) and region >= 0):
        raise UsageError(f"an equivalence region is not negative, unlike {region!r}")
    try:
        from baycomp import two_on_multiple
    except ImportError as error:
        raise UsageError(
            "the Bayesian signed-rank test needs baycomp: pip install 'rmtl-bench[stats]' installs it"
        ) from error
    # The library calls a "left" what speaks for the first method.
    left, within, right = two_on_multiple(first, second, rope=region, nsamples=samples, random_state=seed)
    return SignedRank(worse=float(right), equivalent=float(within), better=float(left))
