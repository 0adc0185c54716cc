from __future__ import annotations

import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.delta_m import delta_m
from rmtl_bench.statistics.intervals import mean_interval


def _two_tasks(make_scores, metric="auc"):
    scores = make_scores({"b/ref": [0.5, 0.8], "b/x": [0.55, 0.8]}, tasks=("click", "pay"), metrics=(metric,))
    other = (scores["task"] == "pay") & (scores["method"] == "b/x")
    scores.loc[other, "value"] = [0.5, 0.88]
    return scores


def test_it_is_the_mean_over_tasks_of_the_relative_change_of_each_seed(make_scores):
    table = delta_m(_two_tasks(make_scores), "b/ref", {"auc": True}).set_index("method")
    # Seed 0: (+10 % + 0 %) / 2; seed 1: (0 % + 10 %) / 2.
    assert table.loc["b/x", "mean"] == pytest.approx(5.0)
    assert table.loc["b/x", "n"] == 2
    assert table.loc["b/ref", "mean"] == 0.0


def test_lower_is_better_turns_the_sign(make_scores):
    table = delta_m(_two_tasks(make_scores, "logloss"), "b/ref", {"logloss": False}).set_index("method")
    assert table.loc["b/x", "mean"] == pytest.approx(-5.0)


def test_the_interval_is_the_t_interval_over_seeds(make_scores):
    scores = make_scores({"b/ref": [1.0, 1.0, 2.0], "b/x": [1.1, 1.2, 2.2]})
    row = delta_m(scores, "b/ref", {"auc": True}, 0.9).set_index("method").loc["b/x"]
    expected = mean_interval([10.0, 20.0, 10.0], 0.9)
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_a_seed_that_lacks_a_task_is_left_out(make_scores):
    scores = _two_tasks(make_scores)
    scores = scores[~((scores["task"] == "pay") & (scores["seed"] == 1) & (scores["method"] == "b/x"))]
    table = delta_m(scores, "b/ref", {"auc": True}).set_index("method")
    assert (table.loc["b/x", "n"], table.loc["b/ref", "n"]) == (1, 2)


def test_a_data_set_without_the_reference_is_left_out(make_scores):
    scores = make_scores({"b/ref": [0.5], "b/x": [0.6]}, datasets=("d1", "d2"))
    scores = scores[~((scores["dataset"] == "d2") & (scores["method"] == "b/ref"))]
    assert set(delta_m(scores, "b/ref", {"auc": True})["dataset"]) == {"d1"}


def test_an_unknown_reference_is_refused_with_a_hint(make_scores):
    with pytest.raises(UsageError, match="did you mean 'b/ref'"):
        delta_m(make_scores({"b/ref": [0.5]}), "b/reff", {"auc": True})
