from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rmtl_bench.statistics.multiplicity import holm
from rmtl_bench.statistics.ranks import rank_methods, rank_rows


def _ranks(table):
    return dict(zip(table["method"], table["rank"], strict=True))


def test_methods_that_the_data_cannot_tell_apart_share_a_rank():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(1, 10))
    clear = base + rng.normal(0, 0.01, size=(4, 10)) + np.array([[2.0], [2.0], [1.0], [0.0]])
    assert list(rank_rows(clear)) == [1, 1, 3, 4]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 3))
def test_a_rank_counts_the_methods_that_are_better_after_holm(seed, spread):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(5, 8)) + spread * np.arange(5)[:, None]
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    p = holm(np.array([stats.ttest_rel(values[i], values[j]).pvalue for i, j in pairs]))
    worse = [i if values[i].mean() < values[j].mean() else j for (i, j), q in zip(pairs, p, strict=True) if q < 0.05]
    assert list(rank_rows(values)) == [1 + worse.count(i) for i in range(5)]


def test_noise_alone_puts_everyone_first(make_scores):
    rng = np.random.default_rng(0)
    scores = make_scores({f"b/w{i}": rng.normal(size=5) for i in range(6)})
    assert set(rank_methods(scores, {"auc": True})["rank"]) == {1.0}


def test_equal_scores_never_get_different_ranks(make_scores):
    rng = np.random.default_rng(0)
    row = rng.normal(size=8)
    ranks = _ranks(
        rank_methods(make_scores({"b/x": row, "b/y": row, "b/z": row + rng.normal(5, 0.1, 8)}), {"auc": True})
    )
    assert ranks == {"b/x": 2.0, "b/y": 2.0, "b/z": 1.0}


def test_lower_is_better_turns_the_order(make_scores):
    rng = np.random.default_rng(0)
    scores = make_scores({"b/x": rng.normal(0, 0.1, 6), "b/y": rng.normal(5, 0.1, 6)})
    assert _ranks(rank_methods(scores, {"auc": False})) == {"b/x": 1.0, "b/y": 2.0}


def test_incomplete_methods_have_no_rank_and_change_no_others(make_scores):
    rng = np.random.default_rng(0)
    values = {"b/x": rng.normal(0, 0.1, 6), "b/y": rng.normal(5, 0.1, 6), "b/z": rng.normal(9, 0.1, 6)}
    scores = make_scores(values)
    gone = pd.DataFrame([("toy", "click", "auc", "b/z")], columns=["dataset", "task", "metric", "method"])
    assert _ranks(rank_methods(scores, {"auc": True}, gone).dropna()) == {"b/x": 2.0, "b/y": 1.0}
    short = scores[~((scores["method"] == "b/z") & (scores["seed"] == 0))]
    assert _ranks(rank_methods(short, {"auc": True}).dropna()) == {"b/x": 2.0, "b/y": 1.0}


def test_two_seeds_rank_nobody(make_scores):
    assert rank_methods(make_scores({"b/x": [1.0, 2.0], "b/y": [5.0, 6.5]}), {"auc": True})["rank"].isna().all()
