from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from rmtl_bench.contracts import Backbone
from rmtl_bench.contracts.errors import DivergedError
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.training.validation import Validation, predict


class _Told(Backbone):
    """Predicts the logits it was given, row by row."""

    def __init__(self, schema, logits):
        super().__init__(schema)
        self.logits = torch.as_tensor(logits, dtype=torch.float32)

    def forward(self, batch):
        return self.logits[batch.rows]


def _rows(table, labels, mask=None):
    data = dataclasses.replace(table, labels=table.labels.copy(), label_mask=None)
    where = data.split("valid")
    data.labels[where] = np.resize(np.asarray(labels, dtype=np.float32), data.labels[where].shape)
    if mask is not None:
        whole = np.ones(data.labels.shape, dtype=bool)
        whole[where] = np.resize(np.asarray(mask, dtype=bool), whole[where].shape)
        data = dataclasses.replace(data, label_mask=whole)
    return DeviceRows(data, "valid", torch.device("cpu"))


def _score(table, rows, logits):
    model = _Told(table.schema, np.resize(np.asarray(logits, dtype=np.float32), (len(rows), 2)))
    return Validation(rows, table.schema.task_names, 50).evaluate(model)


def test_the_score_is_the_mean_auc_of_the_tasks(table):
    # Clicks are ranked perfectly, payments the wrong way round.
    result = _score(table, _rows(table, [[1, 1], [0, 0]]), [[2, -1], [-2, 1]])
    assert result.values["click", "auc"] == 1.0
    assert result.values["pay", "auc"] == 0.0
    assert result.score == 0.5
    assert result.values["click", "logloss"] == pytest.approx(np.log1p(np.exp(-2)))


def test_a_task_of_one_class_has_no_auc_and_no_say(table):
    result = _score(table, _rows(table, [[1, 0], [0, 0]]), [[2, -1], [-2, 1]])
    assert np.isnan(result.values["pay", "auc"])
    assert result.score == 1.0


def test_where_no_task_has_an_auc_the_logloss_decides(table):
    rows = _rows(table, [[0, 0]])
    bad, good = _score(table, rows, [[1.0, 1.0]]), _score(table, rows, [[-1.0, -1.0]])
    assert good.score == pytest.approx(-np.log1p(np.exp(-1)))
    assert good.score > bad.score


def test_missing_labels_are_left_out(table):
    labels, logits = [[1, 1], [0, 0], [1, 1], [0, 0]], [[2, 2], [-2, -2], [-3, -3], [3, 3]]
    mask = [[1, 1], [1, 1], [0, 1], [0, 1]]
    result = _score(table, _rows(table, labels, mask), logits)
    assert result.values["click", "auc"] == 1.0
    assert result.values["pay", "auc"] == pytest.approx(0.25)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_finite_is_a_divergence_and_leaves_the_mode_alone(table, bad):
    rows = _rows(table, [[0, 0]])
    logits = np.zeros((len(rows), 2))
    logits[-1, 1] = bad
    model = _Told(table.schema, logits)
    with pytest.raises(DivergedError, match="not finite"):
        predict(model, rows, 50)
    assert model.training
