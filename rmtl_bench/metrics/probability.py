"""Metrics of the predicted probabilities themselves: likelihood and calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.metric import Predictions
from rmtl_bench.metrics.grouping import group_codes

CLIP = 1e-7
"""Probabilities are kept this far from 0 and 1. They come from float32, where the largest number below 1 is
1 - 6e-8: a sharper clip would measure rounding, and none would make one saturated row infinite."""

BINS = 20
"""Bins of :func:`ece`."""


def logloss(predictions: Predictions) -> float:
    """Return the mean negative log-likelihood in nats, probabilities clipped at :data:`CLIP`; NaN without rows."""
    return _mean(_losses(predictions))


def session_logloss(predictions: Predictions) -> float:
    """Return the mean over sessions of the session's mean logloss, in nats; NaN without rows.

    The s-Logloss of Liu et al. 2023 (Multi-Task Recommendations with Reinforcement Learning). A session counts
    with its rows of known label; a session without any does not count.
    """
    losses = _losses(predictions)
    session = group_codes(predictions.session)
    sums, rows = np.bincount(session, weights=losses), np.bincount(session)
    return _mean(sums[rows > 0] / rows[rows > 0])


def normalised_entropy(predictions: Predictions) -> float:
    """Return the logloss over that of always predicting the base rate of these rows.

    He et al. 2014 (Practical Lessons from Predicting Clicks on Ads at Facebook). 1 is no better than the base
    rate, 0 is perfect; NaN unless both classes occur. Comparable between tasks of different base rates.
    """
    rate = _mean(predictions.labels.astype(np.float64))
    if not 0 < rate < 1:
        return float("nan")
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
    return float(logloss(predictions) / entropy)


def ece(predictions: Predictions) -> float:
    """Return the expected calibration error: the mean |observed rate - predicted rate| over bins, weighted by rows.

    20 bins of equal mass. Conversions are rare: of equally wide bins the first would hold nearly every row and
    hide any error, while of equal-mass bins each says as much as the next, and their estimate is the less biased
    (Roelofs et al. 2022, Mitigating Bias in Calibration Error Estimation; the measure is from Naeini et al. 2015).
    Equal scores share a bin, so the result does not depend on the order of the rows. NaN without rows or with a
    NaN score. Even a calibrated predictor scores about 0.8 sqrt(20 p (1 - p) / N), by chance alone.
    """
    scores = predictions.scores.astype(np.float64)
    if len(scores) == 0 or np.isnan(scores).any():
        return float("nan")
    edges = np.sort(scores)[np.arange(1, BINS) * len(scores) // BINS]
    bins = np.searchsorted(edges, scores, side="right")
    excess = np.bincount(bins, weights=predictions.labels - scores, minlength=BINS)
    return float(np.abs(excess).sum() / len(scores))


def _losses(predictions: Predictions) -> NDArray[np.float64]:
    probability = np.clip(predictions.scores.astype(np.float64, copy=False), CLIP, 1 - CLIP)
    return -np.log(np.where(predictions.labels > 0.5, probability, 1 - probability))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
