from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.completeness import cell_counts
from rmtl_bench.statistics.families import COMPARISON_COLUMNS, Family, run_families, run_pairs
from rmtl_bench.statistics.frames import CELL
from rmtl_bench.statistics.intervals import summarise
from rmtl_bench.statistics.paired import compare
from rmtl_bench.statistics.ranks import rank_methods

METHODS = ["esmm/rmtl", "esmm/uniform", "ple/rmtl", "ple/uniform"]


def _noise(methods, n, scale=0.01):
    rng = np.random.default_rng(0)
    return {method: 0.7 + rng.normal(0, scale, n) for method in methods}


@pytest.mark.parametrize(
    ("scope", "pairs"),
    [
        ("same-backbone", [("esmm/rmtl", "esmm/uniform"), ("ple/rmtl", "ple/uniform")]),
        ("same-weighting", []),
        (
            "all",
            [
                ("esmm/rmtl", "esmm/uniform"),
                ("esmm/rmtl", "ple/uniform"),
                ("ple/rmtl", "esmm/uniform"),
                ("ple/rmtl", "ple/uniform"),
            ],
        ),
    ],
)
def test_the_scope_decides_the_pairs(scope, pairs):
    assert Family("f", ("*/rmtl",), ("*/uniform",), scope).pairs(METHODS) == pairs


def test_the_same_weighting_is_compared_across_backbones():
    assert Family("f", ("ple/*",), ("*",), "same-weighting").pairs(METHODS) == [
        ("ple/rmtl", "esmm/rmtl"),
        ("ple/uniform", "esmm/uniform"),
    ]


def test_all_pairs_take_each_pair_once_and_no_method_with_itself():
    pairs = Family("f", ("*",), ("*",), "all").pairs(METHODS)
    assert len(pairs) == 6
    assert len({frozenset(pair) for pair in pairs}) == 6


def test_a_pair_declared_both_ways_is_tested_once_and_says_so(make_scores):
    family = Family("f", ("b/x", "b/z"), ("b/y", "b/z"))
    table = run_families(make_scores(_noise(["b/x", "b/y", "b/z"], 4)), [family], {"auc": True}, {})
    assert list(zip(table["candidate"], table["reference"], table["mutual"], strict=True)) == [
        ("b/x", "b/y", False),
        ("b/x", "b/z", False),
        ("b/z", "b/y", False),
    ]
    every = run_families(make_scores(_noise(["b/x", "b/y"], 4)), [Family("f", ("*",), ("*",))], {"auc": True}, {})
    assert list(every["mutual"]) == [True]


def test_pairs_asked_for_by_name_keep_their_order_and_skip_methods_without_scores(make_scores):
    scores = make_scores(_noise(METHODS, 4), tasks=("click", "pay"))
    wanted = [("two", "ple/rmtl", "esmm/rmtl"), ("one", "esmm/rmtl", "gone/away"), ("one", "esmm/rmtl", "ple/uniform")]
    table = run_pairs(scores, wanted, {"auc": True}, {})
    rows = zip(table["family"], table["task"], table["candidate"], table["reference"], strict=True)
    assert list(rows) == [
        ("two", "click", "ple/rmtl", "esmm/rmtl"),
        ("two", "pay", "ple/rmtl", "esmm/rmtl"),
        ("one", "click", "esmm/rmtl", "ple/uniform"),
        ("one", "pay", "esmm/rmtl", "ple/uniform"),
    ]


def test_a_star_does_not_cross_the_slash():
    assert Family("f", ("*/m",), ("*",)).unmatched(["x/y/m", "x/y"]) == ["*/m"]
    assert Family("f", ("p*/u*",), ("*",)).unmatched(METHODS) == []


def test_a_pattern_without_a_slash_is_refused():
    with pytest.raises(UsageError, match="'rmtl' is not of the form backbone/weighting"):
        Family("f", ("rmtl",), ("*",))


def test_an_unknown_scope_is_refused_with_a_hint():
    with pytest.raises(UsageError, match="did you mean 'same-backbone'"):
        Family("f", ("*",), ("*",), "same-backbones")


def test_two_families_of_one_name_are_refused(make_scores):
    family = Family("f", ("*",), ("*",))
    with pytest.raises(UsageError, match="two families are called 'f'"):
        run_families(make_scores(_noise(METHODS, 3)), [family, family], {"auc": True}, {})


def test_each_row_is_the_comparison_of_its_two_methods(make_scores):
    values = _noise(METHODS, 6)
    family = Family("f", ("*/rmtl",), ("*/uniform",))
    table = run_families(make_scores(values), [family], {"auc": False}, {"auc": 0.1})
    assert list(table.columns) == COMPARISON_COLUMNS
    assert list(table["candidate"]) == ["esmm/rmtl", "ple/rmtl"]
    row = table.iloc[1]
    alone = compare(dict(enumerate(values["ple/rmtl"])), dict(enumerate(values["ple/uniform"])), False)
    for name in ("n", "difference", "low", "high", "p", "mde", "d_z", "win_fraction", "p_exact"):
        assert row[name] == pytest.approx(getattr(alone, name)), name
    assert row["verdict"] == "equivalent"


def test_the_correction_is_over_data_sets_and_tasks_but_not_over_metrics(make_scores):
    scores = make_scores(_noise(METHODS[2:], 8), ("d1", "d2"), ("click", "pay"), ("auc", "logloss"))
    table = run_families(scores, [Family("f", ("*/rmtl",), ("*/uniform",))], {"auc": True, "logloss": False}, {})
    assert len(table) == 8
    assert np.allclose(table["p_holm"], np.minimum(1, 4 * table["p"]))


def test_unpaired_seeds_are_refused_with_their_place_or_left_out(make_scores):
    scores = make_scores(_noise(METHODS[2:], 5))
    scores = scores[~((scores["method"] == "ple/rmtl") & (scores["seed"] == 3))]
    families = [Family("f", ("*/rmtl",), ("*/uniform",))]
    with pytest.raises(UsageError, match=r"ple/rmtl and ple/uniform are not paired on toy, click, auc: .*: 3"):
        run_families(scores, families, {"auc": True}, {})
    assert run_families(scores, families, {"auc": True}, {}, only_shared=True).loc[0, "n"] == 4


def test_a_method_without_scores_in_a_cell_is_not_compared_there(make_scores):
    scores = make_scores(_noise(METHODS[2:], 4), ("d1", "d2"))
    scores = scores[~((scores["method"] == "ple/rmtl") & (scores["dataset"] == "d2"))]
    table = run_families(scores, [Family("f", ("*/rmtl",), ("*/uniform",))], {"auc": True}, {})
    assert list(table["dataset"]) == ["d1"]


def test_no_scores_give_no_comparisons(make_scores):
    assert run_families(make_scores({}), [Family("f", ("*",), ("*",))], {"auc": True}, {}).empty


def test_ten_thousand_runs_take_less_than_a_second():
    names = ["dataset", "backbone", "weighting", "task", "metric", "seed"]
    axes = [[f"d{i}" for i in range(4)], [f"b{i}" for i in range(10)], ["fixed", *(f"w{i}" for i in range(24))]]
    index = pd.MultiIndex.from_product([*axes, ["click", "pay"], ["auc", "logloss"], range(10)], names=names)
    scores = index.to_frame(index=False)
    scores["method"] = scores["backbone"] + "/" + scores["weighting"]
    scores["value"] = np.random.default_rng(0).normal(0.7, 0.003, len(scores))
    families = [Family("reference", ("*",), ("*/fixed",)), Family("ten", ("*/w7",), ("*/fixed", "*/w1", "*/w2"))]
    up, equivalence = {"auc": True, "logloss": False}, {"auc": 0.001, "logloss": "0.1%"}
    started = time.process_time()
    table = run_families(scores, families, up, equivalence, only_shared=True)
    ranks = rank_methods(scores, up)
    summarise(scores, [*CELL, "method"])
    cell_counts(None, scores)
    assert time.process_time() - started < 1
    assert len(table) == 16 * (240 + 30)
    assert len(ranks) == 16 * 250


def test_a_big_table_takes_seconds(make_scores):
    metrics = [f"m{i}" for i in range(6)]
    methods = [f"b{i // 5}/w{i % 5}" for i in range(20)]
    scores = make_scores(_noise(methods, 10), ("d1", "d2"), ("click", "pay"), metrics)
    start = time.process_time()
    table = run_families(scores, [Family("f", ("*",), ("b0/w0",), "all")], dict.fromkeys(metrics, True), {})
    assert len(table) == 19 * 24
    assert time.process_time() - start < 5
