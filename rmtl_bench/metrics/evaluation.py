"""Every metric on every task of a test split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.catalogue import MetricInfo
from rmtl_bench.contracts.errors import PluginError
from rmtl_bench.contracts.metric import Predictions

Metric = Callable[[Predictions], float]
"""A metric: one task's predictions in, one number out, NaN where undefined."""


class MetricRow(NamedTuple):
    """One number of a run.

    ``metric`` ends in ``-gap`` for a distance to the optimum, and in ``@name`` on a further test split of that name.
    """

    task: str
    metric: str
    value: float
    higher_is_better: bool


def evaluate(
    metrics: Mapping[str, tuple[Metric, MetricInfo]],
    tasks: Sequence[str],
    labels: NDArray[np.floating],
    mask: NDArray[np.bool_] | None,
    probabilities: NDArray[np.floating],
    user: NDArray[np.integer],
    session: NDArray[np.integer],
    optimum: NDArray[np.floating] | None = None,
) -> list[MetricRow]:
    """Return the value of every metric on every task, over the rows whose label is known.

    ``labels``, ``probabilities`` and ``optimum`` (the true probabilities of simulated data) are [N, K],
    ``mask`` [N, K] is True where a label is known, ``user`` and ``session`` are [N]; K tasks. Metrics get
    float64. With an optimum, a metric that asks for it has a second row ``<metric>-gap``: how much worse
    the predictions score than the true probabilities do on the same rows. It is 0 for the optimum itself,
    lower is better, and slightly negative only where chance favoured the predictions.

    Raises :class:`~rmtl_bench.contracts.errors.PluginError` naming the metric and the task when a metric fails.
    """
    _check_shapes(tasks, labels, mask, probabilities, user, session, optimum)
    rows: list[MetricRow] = []
    for k, task in enumerate(tasks):
        known = slice(None) if mask is None else mask[:, k]
        made = Predictions(
            labels[known, k].astype(np.float64),
            probabilities[known, k].astype(np.float64),
            user[known],
            session[known],
        )
        best = None
        if optimum is not None:
            best = Predictions(made.labels, optimum[known, k].astype(np.float64), made.user, made.session)
        for name, (metric, info) in metrics.items():
            try:
                rows.extend(_rows_of(task, name, metric, info, made, best))
            except Exception as error:
                raise PluginError(
                    f"metric {name!r} failed on task {task!r}: {type(error).__name__}: {error}"
                ) from error
    return rows


def _rows_of(
    task: str, name: str, metric: Metric, info: MetricInfo, made: Predictions, best: Predictions | None
) -> Iterator[MetricRow]:
    value = float(metric(made))
    yield MetricRow(task, name, value, info.higher_is_better)
    if best is not None and info.gap_to_optimum:
        reached = float(metric(best))
        yield MetricRow(task, f"{name}-gap", reached - value if info.higher_is_better else value - reached, False)


def _check_shapes(tasks: Sequence[str], labels: NDArray[np.floating], *others: NDArray[np.generic] | None) -> None:
    if labels.ndim != 2 or labels.shape[1] != len(tasks):
        raise ValueError(f"labels have shape {labels.shape}; they need one column for each of {len(tasks)} tasks")
    for array in others:
        right = labels.shape if array is not None and array.ndim == 2 else labels.shape[:1]
        if array is not None and array.shape != right:
            raise ValueError(f"an array of shape {array.shape} stands beside labels of shape {labels.shape}")
