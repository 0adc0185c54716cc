"""A metric that is right, and for each check one that is wrong in a single way."""

from __future__ import annotations

import numpy as np

from rmtl_bench import MetricInfo, hookimpl


def brier(predictions):
    """The mean square of what the scores are off by; NaN without rows."""
    errors = predictions.labels.astype(np.float64) - predictions.scores
    return float((errors**2).mean()) if len(errors) else float("nan")


def both_parts(predictions):
    return brier(predictions), len(predictions.labels)


def nothing(predictions):
    return float("nan")


def base_rate(predictions):
    return float(predictions.labels.mean()) if len(predictions.labels) else float("nan")


def dividing(predictions):
    positives = int(predictions.labels.sum())
    return brier(predictions) + 0 * (1 / positives)


def unclipped_logloss(predictions):
    right = np.where(predictions.labels > 0.5, predictions.scores, 1 - predictions.scores)
    return float(-np.log(right).mean()) if len(right) else float("nan")


def first_half(predictions):
    half = (len(predictions.labels) + 1) // 2
    errors = predictions.labels[:half] - predictions.scores[:half]
    return float((errors**2).mean()) if half else float("nan")


def of_even_users(predictions):
    errors = (predictions.labels - predictions.scores)[predictions.user % 2 == 0]
    return float((errors**2).mean()) if len(errors) else float("nan")


def clipping_in_place(predictions):
    np.clip(predictions.scores, 0.3, 0.7, out=predictions.scores)
    return brier(predictions)


def bootstrapped(predictions):
    rows = np.random.randint(max(len(predictions.labels), 1), size=len(predictions.labels))
    errors = (predictions.labels - predictions.scores)[rows]
    return float((errors**2).mean()) if len(errors) else float("nan")


_SEEN = []


def counting(predictions):
    _SEEN.append(1)
    return brier(predictions) * (1 + 1e-9 * len(_SEEN))


def of_double_precision(predictions):
    return brier(predictions) + 0.01 * (predictions.scores.dtype == np.float32)


def absolute(predictions):
    errors = np.abs(predictions.labels - predictions.scores)
    return float(errors.mean()) if len(errors) else float("nan")


def described(name, function, higher_is_better=False, gap_to_optimum=True):
    return MetricInfo(
        name=name,
        target=f"{__name__}:{function.__name__}",
        summary="a metric",
        higher_is_better=higher_is_better,
        gap_to_optimum=gap_to_optimum,
    )


@hookimpl
def rmtl_metrics():
    return [
        described("right", brier),
        described("both-parts", both_parts),
        described("nothing", nothing),
        described("upside-down", brier, higher_is_better=True),
        described("base-rate", base_rate),
        described("dividing", dividing),
        described("unclipped", unclipped_logloss),
        described("first-half", first_half),
        described("of-even-users", of_even_users),
        described("clipping-in-place", clipping_in_place),
        described("bootstrapped", bootstrapped),
        described("counting", counting),
        described("of-double-precision", of_double_precision),
        described("absolute", absolute),
        described("absolute-without-a-gap", absolute, gap_to_optimum=False),
    ]
