"""What another test set would say: bootstrap over the sessions (or users) whose rows a metric was measured on.

Rows of one session are not independent, so whole sessions are resampled with replacement: a draw gives every session
a weight, how often it was drawn, multinomial with mean 1. Two methods are paired by the rows: both, and all their
seeds, are weighed by the same draws, and a draw's difference is the mean over seeds of ``metric(A) - metric(B)``.

===================  ==========================================================================================
se_sessions          standard deviation of the difference over the draws: would another test set agree?
se_seeds             standard deviation of the seeds' differences / sqrt(R): would other seeds agree?
se                   ``sqrt(se_seeds^2 + se_sessions^2)``, with the degrees of freedom of Satterthwaite (1946) from
                     R - 1 and C - 1, R seeds and C sessions
===================  ==========================================================================================

What a seed does to single sessions is in both parts, so that the sum is a little too large rather than too small.
Cluster bootstrap: Field and Welsh 2007 (Bootstrapping clustered data). Defaults: 1,000 draws, percentile intervals of
95 %, seed 0. A draw for which the metric is undefined, such as an AUC without positives, is left out and counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.statistics.frames import FloatArray
from rmtl_bench.statistics.intervals import check_confidence
from rmtl_bench.statistics.student import t_ppf

DRAWS = 1_000
"""Resamplings of the sessions by default."""

CLIP = 1e-7
"""Probabilities are kept this far from 0 and 1 in a logloss, as in the metric of the runs."""

Weights = NDArray[Any]
"""Draws of weights, [B, C] of any number type: one row a draw, one column a cluster."""

WeightedMetric = Callable[[NDArray[np.bool_], FloatArray, NDArray[np.intp], Weights], FloatArray]
"""(labels [N], scores [R, N], clusters [N] as columns of the weights, weights [B, C]) -> values [R, B]."""

_BLOCK = 2**17


@dataclass(frozen=True)
class MetricDraws:
    """A metric of R seeds: ``values`` [R] of the rows as they are, ``draws`` [R, B] of resampled sessions.

    A draw is NaN where the metric is undefined. Two of them from the same labels, clusters and seed are paired.
    """

    values: FloatArray
    draws: FloatArray
    sessions: int


@dataclass(frozen=True)
class SessionInterval:
    """One run's metric with its standard error and percentile interval over sessions."""

    value: float
    se: float
    low: float
    high: float
    sessions: int
    skipped: int


@dataclass(frozen=True)
class SessionVariance:
    """The difference A - B, in the metric's unit, and what makes it uncertain; see the module.

    ``low`` and ``high`` bound the interval for other seeds and another test set, ``session_low`` and ``session_high``
    that for another test set and these seeds. ``limited_by`` names the larger variance: "seeds" asks for more seeds,
    "sessions" for more test data, "" where one of the two is not known. With one seed ``se_seeds`` and all that
    follows from it are NaN; so is ``se_sessions`` with one session.
    """

    seeds: int
    sessions: int
    difference: float
    se_seeds: float
    se_sessions: float
    se: float
    low: float
    high: float
    session_low: float
    session_high: float
    skipped: int
    limited_by: str


def weighted_auc(
    labels: NDArray[np.bool_], scores: FloatArray, clusters: NDArray[np.intp], weights: Weights
) -> FloatArray:
    """Return the AUC with each row counted as often as its cluster weighs, a tie counting half.

    ``sum over positives of w * (weight of the negatives below + half of those tied) / (sum w+ * sum w-)``; NaN where
    a class weighs nothing or a score is NaN.
    """
    return np.stack([_weighted_auc_of_one(labels, one, clusters, weights) for one in scores])


def weighted_logloss(
    labels: NDArray[np.bool_], scores: FloatArray, clusters: NDArray[np.intp], weights: Weights
) -> FloatArray:
    """Return the mean logloss in nats with each row counted as often as its cluster weighs; NaN where none does.

    It is a ratio of sums over clusters, hence two matrix products.
    """
    probability = np.clip(scores, CLIP, 1 - CLIP)
    losses = -np.log(np.where(labels, probability, 1 - probability))
    columns = weights.shape[1]
    sums = np.stack([np.bincount(clusters, weights=one, minlength=columns) for one in losses])
    rows = np.bincount(clusters, minlength=columns).astype(np.float64)
    total, count = np.empty((len(sums), len(weights))), np.empty(len(weights))
    # In blocks, since the draws are kept as small integers and a product makes them doubles.
    step = _rows_at_once(columns)
    for start in range(0, len(weights), step):
        block = weights[start : start + step].astype(np.float64)
        total[:, start : start + step] = sums @ block.T
        count[start : start + step] = block @ rows
    means: FloatArray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return means


BOOTSTRAP_METRICS: Mapping[str, WeightedMetric] = {"auc": weighted_auc, "logloss": weighted_logloss}
"""The metrics that can be weighed by session, by name."""


def cluster_draws(clusters: int, draws: int = DRAWS, seed: int = 0) -> NDArray[np.uint8]:
    """Return how often each of the clusters is drawn when as many as there are are drawn, [draws, clusters]."""
    if draws < 2:
        raise UsageError(f"a bootstrap takes at least 2 draws, not {draws}")
    generator = np.random.default_rng(seed)
    # A count beyond 255, with mean 1, has a chance of less than 1 in 10^500.
    weights = np.empty((draws, clusters), dtype=np.uint8)
    for row in weights:
        row[:] = np.bincount(generator.integers(0, clusters, clusters), minlength=clusters)
    return weights


def metric_draws(
    labels: NDArray[Any],
    clusters: NDArray[Any],
    scores: NDArray[Any],
    metric: str,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    weights: NDArray[np.uint8] | None = None,
) -> MetricDraws:
    """Return a metric of each seed, of the rows as they are and of resampled clusters.

    ``labels`` [N] of 0 and 1, NaN where a label is missing: such a row is left out. ``clusters`` [N], the ids of
    sessions or users, any integers. ``scores`` [R, N], a row a seed. ``weights``: draws for the clusters with a known
    label, as :func:`cluster_draws` makes them, to make them once for several calls.
    Raises :class:`UsageError` for an unknown metric or arrays that do not fit.
    """
    compute = _weighted_metric(metric)
    if scores.ndim != 2 or not scores.shape[1] == len(labels) == len(clusters):
        shapes = f"labels {labels.shape}, clusters {clusters.shape}, scores {scores.shape}"
        raise UsageError(f"a bootstrap takes labels [N], clusters [N] and scores [seeds, N], not {shapes}")
    known = ~np.isnan(labels.astype(np.float64))
    ids, code = np.unique(clusters[known], return_inverse=True)
    # One session cannot vary, and none has no metric.
    if len(ids) < 2:
        nothing = np.full((len(scores), draws), np.nan)
        return MetricDraws(nothing[:, 0], nothing, len(ids))
    if weights is None:
        weights = cluster_draws(len(ids), draws, seed)
    if weights.shape[1] != len(ids):
        raise UsageError(f"the draws are of {weights.shape[1]} clusters; {len(ids)} have a known label")
    with_data_as_they_are = np.concatenate([np.ones((1, len(ids)), dtype=weights.dtype), weights])
    kept = scores[:, known].astype(np.float64)
    values = compute(labels[known] > 0.5, kept, code.reshape(-1), with_data_as_they_are)
    return MetricDraws(values[:, 0], values[:, 1:], len(ids))


def bootstrap_metric(
    labels: NDArray[Any],
    clusters: NDArray[Any],
    scores: NDArray[Any],
    metric: str,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    confidence: float = 0.95,
) -> SessionInterval:
    """Return one run's metric and its percentile interval over clusters; ``scores`` [N], the rest as above."""
    check_confidence(confidence)
    drawn = metric_draws(labels, clusters, scores[None], metric, draws=draws, seed=seed)
    se, low, high, skipped = _over_draws(drawn.draws[0], confidence)
    return SessionInterval(float(drawn.values[0]), se, low, high, drawn.sessions, skipped)


def paired_bootstrap(
    labels: NDArray[Any],
    clusters: NDArray[Any],
    a: NDArray[Any],
    b: NDArray[Any],
    metric: str,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    confidence: float = 0.95,
) -> SessionVariance:
    """Compare the scores ``a`` and ``b`` of the same rows, [R, N] each, the same seed in the same row.

    Positive where A's metric is higher; the rest as for :func:`metric_draws`.
    """
    first, second = (metric_draws(labels, clusters, side, metric, draws=draws, seed=seed) for side in (a, b))
    return paired_variance(first, second, confidence)


def paired_variance(a: MetricDraws, b: MetricDraws, confidence: float = 0.95) -> SessionVariance:
    """Compare two methods by draws that were made from the same labels, clusters and seed."""
    check_confidence(confidence)
    if a.draws.shape != b.draws.shape or a.sessions != b.sessions:
        sides = (f"{side.draws.shape} seeds and draws of {side.sessions} sessions" for side in (a, b))
        raise UsageError(f"not paired: {' beside '.join(sides)}")
    seeds = len(a.values)
    by_seed = a.values - b.values
    difference = float(by_seed.mean())
    se_seeds = float(by_seed.std(ddof=1)) / math.sqrt(seeds) if seeds > 1 else math.nan
    se_sessions, session_low, session_high, skipped = _over_draws((a.draws - b.draws).mean(axis=0), confidence)
    se = math.hypot(se_seeds, se_sessions)
    width = _half_width((se_seeds, se_sessions), (seeds - 1, a.sessions - 1), confidence)
    return SessionVariance(
        seeds=seeds,
        sessions=a.sessions,
        difference=difference,
        se_seeds=se_seeds,
        se_sessions=se_sessions,
        se=se,
        low=difference - width,
        high=difference + width,
        session_low=session_low,
        session_high=session_high,
        skipped=skipped,
        limited_by="" if math.isnan(se) or se == 0 else "seeds" if se_seeds > se_sessions else "sessions",
    )


def _half_width(errors: tuple[float, float], freedom: tuple[int, int], confidence: float) -> float:
    """Return ``t * sqrt(sum of squares)`` with Satterthwaite's degrees of freedom; NaN where an error is."""
    variances = np.square(errors)
    total = float(variances.sum())
    if not math.isfinite(total) or total == 0:
        return total
    df = total**2 / float((variances**2 / np.array(freedom)).sum())
    return float(t_ppf(0.5 + confidence / 2, df)) * math.sqrt(total)


def _over_draws(draws: FloatArray, confidence: float) -> tuple[float, float, float, int]:
    """Return standard deviation, percentile interval and the number of draws that are undefined."""
    defined = draws[np.isfinite(draws)]
    skipped = len(draws) - len(defined)
    if len(defined) < 2:
        return math.nan, math.nan, math.nan, skipped
    low, high = np.quantile(defined, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(defined.std(ddof=1)), float(low), float(high), skipped


def _weighted_auc_of_one(
    labels: NDArray[np.bool_], scores: FloatArray, clusters: NDArray[np.intp], weights: Weights
) -> FloatArray:
    areas = np.full(len(weights), np.nan)
    if np.isnan(scores).any():
        return areas
    (positive, of_positive), (negative, of_negative) = (_sorted(labels == side, scores, clusters) for side in (1, 0))
    below, up_to = (np.searchsorted(negative, positive, side=side) for side in ("left", "right"))
    tied = np.flatnonzero(up_to > below)
    step = _rows_at_once(len(scores))
    for start in range(0, len(weights), step):
        block = weights[start : start + step]
        w = np.take(block, of_positive, axis=1)
        # The weight of the first i negatives, from i = 0.
        cumulative = np.zeros((len(block), len(negative) + 1))
        np.cumsum(np.take(block, of_negative, axis=1), axis=1, dtype=np.float64, out=cumulative[:, 1:])
        beaten = np.take(cumulative, below, axis=1)
        if len(tied):
            beaten[:, tied] += (cumulative[:, up_to[tied]] - cumulative[:, below[tied]]) / 2
        pairs = w.sum(axis=1, dtype=np.float64) * cumulative[:, -1]
        won = np.einsum("ij,ij->i", w, beaten)
        np.divide(won, pairs, out=areas[start : start + step], where=pairs > 0)
    return areas


def _sorted(
    side: NDArray[np.bool_], scores: FloatArray, clusters: NDArray[np.intp]
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Return the scores of one class in order, and their clusters."""
    order = np.flatnonzero(side)[np.argsort(scores[side])]
    return scores[order], clusters[order]


def _rows_at_once(columns: int) -> int:
    return max(1, _BLOCK // max(1, columns))


def _weighted_metric(metric: str) -> WeightedMetric:
    if metric not in BOOTSTRAP_METRICS:
        known = ", ".join(BOOTSTRAP_METRICS)
        hint = did_you_mean(metric, BOOTSTRAP_METRICS)
        raise UsageError(f"the metric {metric!r} has no bootstrap over sessions; those that do are {known}{hint}")
    return BOOTSTRAP_METRICS[metric]
