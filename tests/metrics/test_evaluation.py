from __future__ import annotations

import math

import numpy as np
import pytest

from rmtl_bench.contracts.catalogue import MetricInfo
from rmtl_bench.contracts.errors import PluginError
from rmtl_bench.metrics.evaluation import MetricRow, evaluate
from rmtl_bench.metrics.probability import logloss
from rmtl_bench.metrics.ranking import auc


def info(name, higher=False, gap=False):
    return MetricInfo(name=name, target="m:f", summary="", higher_is_better=higher, gap_to_optimum=gap)


MEAN = {"mean": (lambda p: float(p.scores.mean()), info("mean"))}
REAL = {"auc": (auc, info("auc", higher=True, gap=True)), "logloss": (logloss, info("logloss", gap=True))}
LABELS = np.array([[1, 0], [0, 0], [1, 1], [0, 1]], dtype=np.float32)
SCORES = np.array([[0.9, 0.1], [0.2, 0.2], [0.6, 0.3], [0.7, 0.4]], dtype=np.float32)
USER = np.array([0, 0, 1, 1], dtype=np.int32)
SESSION = np.array([5, 6, 7, 7], dtype=np.int32)


def evaluated(metrics, mask=None, probabilities=SCORES, optimum=None, tasks=("click", "pay")):
    return evaluate(metrics, tasks, LABELS, mask, probabilities, USER, SESSION, optimum)


def test_every_task_has_a_row_for_every_metric_in_their_order():
    rows = evaluated(REAL)
    assert [(r.task, r.metric) for r in rows] == [
        ("click", "auc"),
        ("click", "logloss"),
        ("pay", "auc"),
        ("pay", "logloss"),
    ]
    assert rows[0] == MetricRow("click", "auc", 0.75, True)
    assert rows[2] == MetricRow("pay", "auc", 1.0, True)
    assert rows[1].higher_is_better is False


def test_a_metric_sees_its_own_tasks_columns_as_float64():
    seen = []
    evaluated({"spy": (lambda p: seen.append(p) or 0.0, info("spy"))})
    click, pay = seen
    np.testing.assert_array_equal(click.labels, [1, 0, 1, 0])
    np.testing.assert_array_equal(pay.scores, SCORES[:, 1].astype(np.float64))
    assert {a.dtype for p in seen for a in (p.labels, p.scores)} == {np.dtype(np.float64)}


def test_rows_whose_label_is_missing_are_not_seen_with_their_user_and_session():
    mask = np.array([[True, True], [True, True], [False, True], [True, False]])
    seen = []
    evaluated({"spy": (lambda p: seen.append(p) or 0.0, info("spy"))}, mask=mask)
    click, pay = seen
    np.testing.assert_array_equal(click.scores, SCORES[[0, 1, 3], 0].astype(np.float64))
    np.testing.assert_array_equal(click.user, [0, 0, 1])
    np.testing.assert_array_equal(click.session, [5, 6, 7])
    np.testing.assert_array_equal(pay.session, [5, 6, 7])
    np.testing.assert_array_equal(pay.labels, [0, 0, 1])


def test_a_mask_of_known_labels_changes_nothing():
    assert evaluated(REAL, mask=np.ones((4, 2), dtype=bool)) == evaluated(REAL)


def test_a_task_without_a_known_label_is_undefined_and_the_other_is_not():
    mask = np.array([[True, False]] * 4)
    values = {(r.task, r.metric): r.value for r in evaluated(REAL, mask=mask)}
    assert math.isnan(values["pay", "auc"])
    assert math.isnan(values["pay", "logloss"])
    assert values["click", "auc"] == 0.75


def test_the_gap_is_how_much_worse_the_predictions_score_than_the_truth():
    optimum = np.array([[0.9, 0.2], [0.1, 0.1], [0.8, 0.7], [0.2, 0.6]], dtype=np.float32)
    rows = {(r.task, r.metric): r for r in evaluated(REAL, optimum=optimum)}
    assert rows["click", "auc-gap"].value == 1.0 - 0.75
    best = -np.log(np.array([0.9, 0.9, 0.8, 0.8])).mean()
    made = -np.log(np.array([0.9, 0.8, 0.6, 0.3])).mean()
    assert rows["click", "logloss-gap"].value == pytest.approx(made - best, rel=1e-6)
    assert not rows["click", "auc-gap"].higher_is_better
    assert not rows["click", "logloss-gap"].higher_is_better


def test_the_optimum_itself_has_no_gap():
    gaps = [r.value for r in evaluated(REAL, optimum=SCORES) if r.metric.endswith("-gap")]
    assert gaps == [0.0] * 4


def test_the_gap_is_of_the_rows_whose_label_is_known():
    mask = np.array([[False, False]] + [[True, True]] * 3)
    optimum = SCORES.copy()
    optimum[0] = 0.999
    gaps = [r.value for r in evaluated(REAL, mask=mask, optimum=optimum) if r.metric == "logloss-gap"]
    assert gaps == [0.0, 0.0]


def test_only_a_metric_that_asks_for_it_has_a_gap():
    assert {r.metric for r in evaluated(MEAN | REAL, optimum=SCORES)} == {
        "mean",
        "auc",
        "auc-gap",
        "logloss",
        "logloss-gap",
    }
    assert {r.metric for r in evaluated(MEAN | REAL)} == {"mean", "auc", "logloss"}


def test_a_metric_that_raises_is_named_with_the_task():
    def fail(predictions):
        raise ZeroDivisionError("no rows")

    with pytest.raises(PluginError, match="metric 'bad' failed on task 'click': ZeroDivisionError: no rows"):
        evaluated({"bad": (fail, info("bad"))})


def test_a_metric_that_returns_no_number_is_named():
    with pytest.raises(PluginError, match="metric 'bad' failed on task 'click'"):
        evaluated({"bad": (lambda p: None, info("bad"))})


@pytest.mark.parametrize(
    "wrong",
    [{"probabilities": SCORES[:3]}, {"optimum": SCORES[:, :1]}, {"mask": np.ones((4, 3), bool)}, {"tasks": ("click",)}],
)
def test_arrays_that_do_not_belong_together_are_refused(wrong):
    with pytest.raises(ValueError, match="shape"):
        evaluated(REAL, **wrong)


def test_user_and_session_have_one_entry_a_row():
    with pytest.raises(ValueError, match="shape"):
        evaluate(REAL, ("click", "pay"), LABELS, None, SCORES, USER[:3], SESSION)
