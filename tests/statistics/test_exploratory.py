from __future__ import annotations

import itertools
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.all_pairs import all_pairs
from rmtl_bench.statistics.exploratory import EXPLORATORY_COLUMNS, exploratory_pairs
from rmtl_bench.statistics.frames import SCORE_COLUMNS


def _values(methods=5, n=8, seed=0):
    rng = np.random.default_rng(seed)
    base = 0.7 + rng.normal(0, 0.01, n)
    return {f"b/w{i}": base + 0.002 * i + rng.normal(0, 0.002, n) for i in range(methods)}


def test_every_pair_is_scipys_paired_t_test(make_scores):
    values = _values()
    table = exploratory_pairs(make_scores(values), {"auc": True}, {})
    assert list(table.columns) == EXPLORATORY_COLUMNS
    assert list(zip(table["a"], table["b"], strict=True)) == list(itertools.combinations(values, 2))
    for row in table.to_dict("records"):
        theirs = stats.ttest_rel(values[row["a"]], values[row["b"]])
        interval = theirs.confidence_interval()
        assert (row["p"], row["low"], row["high"]) == pytest.approx(
            (theirs.pvalue, interval.low, interval.high), rel=1e-10
        )
        assert row["n"] == 8


def test_the_correction_is_benjamini_hochbergs_within_each_metric_over_cells_and_pairs(make_scores):
    scores = make_scores(_values(), ("d1", "d2"), ("click", "pay"), ("auc", "logloss"))
    noise = np.random.default_rng(1).normal(0, 0.003, len(scores))
    table = exploratory_pairs(scores.assign(value=scores["value"] + noise), {"auc": True, "logloss": False}, {})
    for _, group in table.groupby("metric"):
        assert len(group) == 4 * 10
        assert np.allclose(group["p_bh"], stats.false_discovery_control(group["p"]), rtol=1e-12, atol=0)


def test_the_verdict_is_on_a_and_goes_by_the_direction(make_scores):
    scores = make_scores(_values(n=10), metrics=("auc", "logloss"))
    table = exploratory_pairs(scores, {"auc": True, "logloss": False}, {"logloss": 1.0})
    said = table[(table["a"] == "b/w0") & (table["b"] == "b/w4")].set_index("metric")["verdict"]
    assert said["auc"] == "worse"
    assert said["logloss"] == "better (small)"


def test_equal_methods_are_equivalent_constant_ones_deterministic_and_five_seeds_too_few(make_scores):
    rng = np.random.default_rng(0)
    base = rng.normal(0.7, 0.01, 10)
    values = {"b/x": base, "b/y": base + rng.normal(0, 1e-5, 10), "b/z": base + 0.02}
    table = exploratory_pairs(make_scores(values), {"auc": True}, {"auc": 0.001}).set_index(["a", "b"])
    assert table.loc[("b/x", "b/y"), "verdict"] == "equivalent"
    assert table.loc[("b/x", "b/z"), "verdict"] == "deterministic"
    assert np.isnan(table.loc[("b/x", "b/z"), "p_bh"])
    noise = {f"b/{i}": rng.normal(size=5) for i in range(2)}
    assert set(exploratory_pairs(make_scores(noise), {"auc": True}, {})["verdict"]) == {"n too small"}


def test_incomplete_methods_are_left_out(make_scores):
    scores = make_scores(_values(4))
    short = scores[~((scores["method"] == "b/w0") & (scores["seed"] == 2))]
    gone = pd.DataFrame([("toy", "click", "auc", "b/w1")], columns=["dataset", "task", "metric", "method"])
    table = exploratory_pairs(short, {"auc": True}, {}, incomplete=gone)
    assert list(zip(table["a"], table["b"], strict=True)) == [("b/w2", "b/w3")]


@pytest.mark.parametrize("values", [{}, {"b/x": [0.7, 0.8]}, {"b/x": [0.7, 0.8], "b/y": [0.6, 0.9]}])
def test_too_few_methods_or_seeds_make_an_empty_table(make_scores, values):
    table = exploratory_pairs(make_scores(values), {"auc": True}, {})
    assert table.empty
    assert list(table.columns) == EXPLORATORY_COLUMNS


def test_resampled_splits_are_corrected(make_scores):
    scores = make_scores(_values())
    plain = exploratory_pairs(scores, {"auc": True}, {})
    splits = exploratory_pairs(scores, {"auc": True}, {}, resampled={"toy": 0.25})
    assert np.allclose((splits["high"] - splits["low"]) / (plain["high"] - plain["low"]), np.sqrt(1 + 8 * 0.25))


def test_a_confidence_outside_0_and_1_is_refused(make_scores):
    with pytest.raises(UsageError, match="between 0 and 1"):
        exploratory_pairs(make_scores(_values()), {"auc": True}, {}, confidence=95)


def test_pairs_that_share_nearly_everything_lose_nothing_to_rounding():
    rng = np.random.default_rng(0)
    values = 1e4 * rng.normal(size=(1, 10)) + rng.normal(0, 1e-4, size=(40, 10))
    pairs = all_pairs(values)
    t = pairs.difference / (pairs.sd / np.sqrt(10))
    theirs = stats.ttest_rel(values[pairs.first], values[pairs.second], axis=1).statistic
    assert np.allclose(t, theirs, rtol=1e-10, atol=0)
    assert not pairs.constant.any()


def test_a_quarter_of_a_million_pairs_take_about_a_second():
    names = ["dataset", "method", "seed"]
    index = pd.MultiIndex.from_product([range(8), [f"b/w{i}" for i in range(250)], range(10)], names=names)
    scores = index.to_frame(index=False).assign(task="click", metric="auc", backbone="b", weighting="w")
    scores["value"] = np.random.default_rng(0).normal(size=len(scores))
    scores["dataset"] = "d" + scores["dataset"].astype(str)
    started = time.process_time()
    assert len(exploratory_pairs(scores[SCORE_COLUMNS], {"auc": True}, {})) == 8 * 250 * 249 / 2
    assert time.process_time() - started < 3
