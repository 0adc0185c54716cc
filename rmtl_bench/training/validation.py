"""Predictions on a whole split, and the validation score that decides early stopping."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.batch import SplitRows
from rmtl_bench.contracts.errors import DivergedError
from rmtl_bench.contracts.metric import Predictions
from rmtl_bench.contracts.stack import ModuleStack, map_stacked
from rmtl_bench.contracts.stage import Evaluation
from rmtl_bench.metrics import on_device
from rmtl_bench.metrics.probability import logloss
from rmtl_bench.metrics.ranking import auc
from rmtl_bench.training.precision import Precision

FLOAT32 = Precision()
NOT_FINITE = "the backbone predicts values that are not finite"


@torch.no_grad()
def predict(backbone: Backbone, rows: SplitRows, batch_size: int, precision: Precision = FLOAT32) -> Tensor:
    """Return the logits [N, K] of all rows, in evaluation mode. Raises ``DivergedError`` if one is not finite."""
    training = backbone.training
    backbone.eval()
    try:
        logits = torch.cat([precision.logits(backbone, batch) for batch in rows.batches(batch_size)])
    finally:
        backbone.train(training)
    if not torch.isfinite(logits).all():
        raise DivergedError(NOT_FINITE)
    return logits


@torch.no_grad()
def predict_side_by_side(
    backbones: ModuleStack, rows: SplitRows, batch_size: int, precision: Precision = FLOAT32
) -> Tensor:
    """Return the logits [S, N, K] of stacked backbones on all rows, in evaluation mode; some may not be finite.

    A forward pass takes ``batch_size`` rows of all seeds together.
    """
    size = max(1, batch_size // len(backbones))
    forward = precision.logits
    return torch.cat([map_stacked(forward, [backbones], batch, shared=1) for batch in rows.batches(size)], dim=1)


class Validation:
    """Scores a backbone on the validation split: the mean AUC over the tasks that have both classes there.

    Where no task has, the score is minus the mean logloss.
    """

    def __init__(
        self, rows: SplitRows, tasks: tuple[str, ...], batch_size: int, precision: Precision = FLOAT32
    ) -> None:
        self.rows = rows
        self.tasks = tasks
        self.batch_size = batch_size
        self.precision = precision
        # On a GPU the metrics are computed where the predictions are; on the CPU numpy sorts many times as fast.
        self._on_device = rows.device.type != "cpu"
        self._labels = np.empty((0, len(tasks))) if self._on_device else rows.labels.numpy().astype(np.float64)
        self._known = None if rows.label_mask is None or self._on_device else rows.label_mask.numpy()

    def evaluate(self, backbone: Backbone) -> Evaluation:
        """Return the score, with AUC and logloss by task."""
        return self.judge(predict(backbone, self.rows, self.batch_size, self.precision))

    def judge(self, logits: Tensor) -> Evaluation:
        """Return the score of finite logits [N, K], with AUC and logloss by task."""
        return self._evaluation(*self._metrics(logits.unsqueeze(0))[0])

    def judge_side_by_side(self, logits: Tensor) -> list[Evaluation | DivergedError]:
        """Return what :meth:`judge` makes of each seed's logits, stacked [S, N, K]; an error if one is not finite."""
        finite = torch.isfinite(logits).flatten(1).all(1).tolist()
        found = self._metrics(logits)
        return [
            self._evaluation(*own) if fine else DivergedError(NOT_FINITE)
            for own, fine in zip(found, finite, strict=True)
        ]

    def _evaluation(self, aucs: Sequence[float], loglosses: Sequence[float]) -> Evaluation:
        values: dict[tuple[str, str], float] = {}
        for task, area, loss in zip(self.tasks, aucs, loglosses, strict=True):
            values[task, "auc"] = area
            values[task, "logloss"] = loss
        ranked = [area for area in aucs if not math.isnan(area)]
        losses = [loss for loss in loglosses if not math.isnan(loss)]
        return Evaluation(float(np.mean(ranked) if ranked else -np.mean(losses)), values)

    def _metrics(self, logits: Tensor) -> list[tuple[list[float], list[float]]]:
        """Return AUC and logloss by task of each seed's logits, stacked [S, N, K]."""
        scores = torch.sigmoid(logits.double())
        if self._on_device:
            labels, mask = self.rows.labels, self.rows.label_mask
            both = torch.stack([on_device.auc(labels, scores, mask), on_device.logloss(labels, scores, mask)], dim=1)
            return [(areas, losses) for areas, losses in both.tolist()]
        return [self._metrics_of_seed(own) for own in scores.numpy()]

    def _metrics_of_seed(self, scores: NDArray[np.float64]) -> tuple[list[float], list[float]]:
        areas, losses = [], []
        for k in range(len(self.tasks)):
            known = slice(None) if self._known is None else self._known[:, k]
            labels = self._labels[known, k]
            nobody = np.zeros(len(labels), dtype=np.int32)
            predictions = Predictions(labels, scores[known, k], nobody, nobody)
            areas.append(auc(predictions))
            losses.append(logloss(predictions))
        return areas, losses
