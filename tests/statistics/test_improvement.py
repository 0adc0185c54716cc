from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.improvement import iqm, probability_of_improvement

UP = {"auc": True, "logloss": False}


def _row(table, method, metric="auc"):
    (row,) = table[(table["metric"] == metric) & (table["method"] == method)].to_dict("records")
    return row


@pytest.fixture
def scores(make_scores):
    """Two data sets of different seeds and tasks, three methods and a reference."""
    rng = np.random.default_rng(0)
    parts = []
    for dataset, tasks, seeds in (("d1", ("click", "pay"), 6), ("d2", ("click",), 4)):
        base = rng.normal(0.7, 0.02, seeds)
        shifts = {"b/x": 0.02, "b/y": 0.0, "b/z": -0.01}
        values = {method: base + rng.normal(shift, 0.01, seeds) for method, shift in shifts.items()}
        parts += [
            make_scores({"b/ref": base, **values}, (dataset,), (task,), ("auc", "logloss")).assign(
                value=lambda frame: frame["value"] + 0.01 * rng.random(len(frame))
            )
            for task in tasks
        ]
    return pd.concat(parts, ignore_index=True)


def _by_hand(scores, method, metric, make):
    wide = scores[scores["metric"] == metric].pivot(index=["dataset", "task", "seed"], columns="method", values="value")
    return make(wide[method], wide["b/ref"])


def test_the_iqm_is_that_of_the_gains_over_cells_and_seeds(scores):
    for metric, sign in (("auc", 1), ("logloss", -1)):
        gains = _by_hand(scores, "b/x", metric, lambda s, r, sign=sign: sign * 100 * (s - r) / r)
        # 16 values: the 4 largest and the 4 smallest do not count.
        expected = np.sort(gains)[4:-4].mean()
        row = _row(iqm(scores, "b/ref", UP), "b/x", metric)
        assert row["iqm"] == pytest.approx(expected)
        assert row["low"] < expected < row["high"]
        assert (row["seeds"], row["cells"], row["of_cells"]) == (4, 3, 3)


def test_a_known_table(make_scores):
    values = {"b/ref": [1.0, 2.0, 4.0, 5.0], "b/x": [1.1, 2.1, 4.0, 10.0]}
    # Gains of 10, 5, 0 and 100 %; without the largest and the smallest, 7.5 %.
    assert _row(iqm(make_scores(values), "b/ref", UP), "b/x")["iqm"] == pytest.approx(7.5)
    assert _row(probability_of_improvement(make_scores(values), "b/ref", UP), "b/x")["probability"] == 0.875


def test_the_probability_is_the_mean_over_cells_of_the_share_of_seeds(scores):
    for metric, sign in (("auc", 1), ("logloss", -1)):
        better = _by_hand(scores, "b/y", metric, lambda s, r, sign=sign: (sign * (s - r) > 0).astype(float))
        expected = better.groupby(level=["dataset", "task"]).mean().mean()
        row = _row(probability_of_improvement(scores, "b/ref", UP), "b/y", metric)
        assert row["probability"] == pytest.approx(expected)
        assert row["low"] <= expected <= row["high"]


def test_the_interval_of_the_probability_is_that_of_a_binomial(make_scores):
    values = {"b/ref": [0.5] * 40, "b/x": [0.6] * 30 + [0.4] * 10}
    row = _row(probability_of_improvement(make_scores(values), "b/ref", UP, draws=20_000), "b/x")
    low, high = stats.binom.ppf([0.025, 0.975], 40, 0.75) / 40
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=0.026)


@pytest.mark.parametrize("aggregate", [iqm, probability_of_improvement])
def test_resampling_takes_the_same_seeds_for_all_tasks_and_methods(aggregate, make_scores):
    rng = np.random.default_rng(3)
    values = {"b/ref": np.ones(8), "b/x": rng.normal(1, 0.1, 8)}
    one, both = (
        _row(aggregate(make_scores(values, tasks=tasks), "b/ref", UP), "b/x") for tasks in (("a",), ("a", "b"))
    )
    # A task that repeats another one adds nothing: its seeds are the same.
    assert (both["low"], both["high"]) == pytest.approx((one["low"], one["high"]))
    twin = make_scores({**values, "b/twin": values["b/x"]})
    rows = [_row(aggregate(twin, "b/ref", UP), method) for method in ("b/x", "b/twin")]
    assert (rows[0]["low"], rows[0]["high"]) == (rows[1]["low"], rows[1]["high"])


@pytest.mark.parametrize("aggregate", [iqm, probability_of_improvement])
def test_another_method_in_the_table_changes_nothing(aggregate, scores):
    alone = aggregate(scores[scores["method"].isin(["b/x", "b/ref"])], "b/ref", UP)
    among = aggregate(scores, "b/ref", UP)
    pd.testing.assert_frame_equal(alone, among[among["method"] == "b/x"].reset_index(drop=True))
    assert "b/ref" not in set(among["method"])


@pytest.mark.parametrize("aggregate", [iqm, probability_of_improvement])
def test_permuting_the_seeds_together_changes_no_estimate_and_a_seed_repeats_the_interval(aggregate, scores):
    table = aggregate(scores, "b/ref", UP)
    pd.testing.assert_frame_equal(table, aggregate(scores.sample(frac=1, random_state=0), "b/ref", UP))
    moved = aggregate(scores.assign(seed=(scores["seed"] * 7 + 3) % 11), "b/ref", UP)
    name = table.columns[2]
    assert moved[name].to_numpy() == pytest.approx(table[name].to_numpy())


@pytest.mark.parametrize("aggregate", [iqm, probability_of_improvement])
def test_two_seeds_have_an_estimate_and_no_interval(aggregate, make_scores):
    row = _row(aggregate(make_scores({"b/ref": [1.0, 1.0], "b/x": [1.1, 1.2]}), "b/ref", UP), "b/x")
    assert row["seeds"] == 2
    assert math.isfinite(row[{iqm: "iqm", probability_of_improvement: "probability"}[aggregate]])
    assert math.isnan(row["low"])
    assert math.isnan(row["high"])


@pytest.mark.parametrize("aggregate", [iqm, probability_of_improvement])
def test_an_incomplete_method_has_no_number_and_shows_its_coverage(aggregate, scores):
    gone = (scores["method"] == "b/y") & (scores["dataset"] == "d2") & (scores["seed"] == 3)
    name = "iqm" if aggregate is iqm else "probability"
    table = aggregate(scores[~gone], "b/ref", UP)
    y = _row(table, "b/y")
    assert math.isnan(y[name])
    assert (y["cells"], y["of_cells"]) == (2, 3)
    assert _row(table, "b/x") == _row(aggregate(scores, "b/ref", UP), "b/x")
    # Or the cell goes, for all.
    table = aggregate(scores[~gone], "b/ref", UP, incomplete="exclude-cell")
    only_d1 = aggregate(scores[scores["dataset"] == "d1"], "b/ref", UP)
    assert table[name].to_numpy() == pytest.approx(only_d1[name].to_numpy())
    assert set(table["cells"]) == {2}


def test_cells_without_a_reference_are_left_out_for_all(scores):
    gone = (scores["method"] == "b/ref") & (scores["dataset"] == "d2") & (scores["seed"] == 0)
    row = _row(iqm(scores[~gone], "b/ref", UP), "b/x")
    assert row["iqm"] == pytest.approx(_row(iqm(scores[scores["dataset"] == "d1"], "b/ref", UP), "b/x")["iqm"])
    assert (row["cells"], row["of_cells"]) == (2, 3)


def test_a_reference_of_zero_has_no_gain_but_can_be_beaten(make_scores):
    scores = make_scores({"b/ref": [0.0, 1.0, 1.0], "b/x": [1.0, 2.0, 0.5]})
    row = _row(iqm(scores, "b/ref", UP), "b/x")
    assert math.isnan(row["iqm"])
    assert (row["cells"], row["of_cells"]) == (0, 1)
    assert _row(probability_of_improvement(scores, "b/ref", UP), "b/x")["probability"] == pytest.approx(2 / 3)


def test_a_seed_that_a_task_has_for_nobody_is_no_seed_of_the_data_set(scores):
    gone = (scores["task"] == "pay") & (scores["seed"] == 5)
    row = _row(iqm(scores[~gone], "b/ref", UP), "b/x")
    without = scores[~((scores["dataset"] == "d1") & (scores["seed"] == 5))]
    assert row == _row(iqm(without, "b/ref", UP), "b/x")


def test_an_unknown_reference_is_refused(scores):
    with pytest.raises(UsageError, match="the reference 'b/fer' has no scores; did you mean 'b/ref'"):
        iqm(scores, "b/fer", UP)
