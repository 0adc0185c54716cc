"""Predictions on a whole split, and the validation score that decides early stopping."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.batch import SplitRows
from rmtl_bench.contracts.errors import DivergedError
from rmtl_bench.contracts.metric import Predictions
from rmtl_bench.contracts.stage import Evaluation
from rmtl_bench.metrics.probability import logloss
from rmtl_bench.metrics.ranking import auc


@torch.no_grad()
def predict(backbone: Backbone, rows: SplitRows, batch_size: int) -> Tensor:
    """Return the logits [N, K] of all rows, in evaluation mode. Raises ``DivergedError`` if one is not finite."""
    training = backbone.training
    backbone.eval()
    try:
        logits = torch.cat([backbone(batch) for batch in rows.batches(batch_size)])
    finally:
        backbone.train(training)
    if not torch.isfinite(logits).all():
        raise DivergedError("the backbone predicts values that are not finite")
    return logits


class Validation:
    """Scores a backbone on the validation split: the mean AUC over the tasks that have both classes there.

    Where no task has, the score is minus the mean logloss.
    """

    def __init__(self, rows: SplitRows, tasks: tuple[str, ...], batch_size: int) -> None:
        self.rows = rows
        self.tasks = tasks
        self.batch_size = batch_size
        self._labels = rows.labels.cpu().numpy().astype(np.float64)
        self._known = None if rows.label_mask is None else rows.label_mask.cpu().numpy()

    def evaluate(self, backbone: Backbone) -> Evaluation:
        """Return the score, with AUC and logloss by task."""
        logits = predict(backbone, self.rows, self.batch_size)
        scores = torch.sigmoid(logits.double()).cpu().numpy()
        values: dict[tuple[str, str], float] = {}
        for k, task in enumerate(self.tasks):
            known = slice(None) if self._known is None else self._known[:, k]
            labels = self._labels[known, k]
            nobody = np.zeros(len(labels), dtype=np.int32)
            predictions = Predictions(labels, scores[known, k], nobody, nobody)
            values[task, "auc"] = auc(predictions)
            values[task, "logloss"] = logloss(predictions)
        ranked = [value for (_, metric), value in values.items() if metric == "auc" and not math.isnan(value)]
        losses = [value for (_, metric), value in values.items() if metric == "logloss" and not math.isnan(value)]
        return Evaluation(float(np.mean(ranked) if ranked else -np.mean(losses)), values)
