"""Counting over cells: every expected number is from a table small enough to count by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.aggregates import OUTCOMES, mean_ranks, verdict_counts, winrate
from rmtl_bench.statistics.frames import SCORE_COLUMNS
from rmtl_bench.statistics.ranks import rank_methods
from rmtl_bench.statistics.verdicts import VERDICTS

UP = {"auc": True, "logloss": False}


def _comparisons(*rows):
    return pd.DataFrame(rows, columns=["dataset", "task", "metric", "candidate", "verdict"])


def _ranks(**by_method):
    """Ranks by method (``b_m``) in the cells of tasks t0, t1, ... of one data set."""
    rows = [
        ("toy", f"t{i}", "auc", method.replace("_", "/"), rank)
        for method, ranks in by_method.items()
        for i, rank in enumerate(ranks)
    ]
    return pd.DataFrame(rows, columns=["dataset", "task", "metric", "method", "rank"])


def _column(table, name, metric="auc"):
    rows = table[table["metric"] == metric]
    return dict(zip(rows["method"], rows[name], strict=True))


def test_every_verdict_is_some_outcome():
    assert list(OUTCOMES) == list(VERDICTS)


def test_verdicts_are_counted_by_candidate_and_metric():
    table = verdict_counts(
        _comparisons(
            ("d1", "click", "auc", "b/x", "better"),
            ("d1", "pay", "auc", "b/x", "better (small)"),
            ("d2", "click", "auc", "b/x", "worse (small)"),
            ("d2", "pay", "auc", "b/x", "equivalent"),
            ("d1", "click", "logloss", "b/x", "n too small"),
            ("d1", "click", "auc", "b/y", "unresolved"),
            ("d1", "pay", "auc", "b/y", "deterministic"),
            ("d2", "click", "auc", "b/y", None),
        )
    )
    x, y = table[table["metric"] == "auc"].to_dict("records")
    assert x == {
        "metric": "auc",
        "candidate": "b/x",
        "wins": 2,
        "equivalent": 1,
        "unresolved": 0,
        "not_starred": 0,
        "losses": 1,
        "deterministic": 0,
        "n_too_small": 0,
        "cells": 4,
        "of_cells": 4,
    }
    assert (y["unresolved"], y["deterministic"], y["losses"], y["cells"], y["of_cells"]) == (1, 1, 0, 2, 4)
    assert table[table["metric"] == "logloss"]["n_too_small"].tolist() == [1]


def test_the_plan_says_how_many_cells_there_are():
    rows = _comparisons(("d1", "click", "auc", "b/x", "better"))
    planned = [("d1", "click", "auc"), ("d1", "pay", "auc"), ("d2", "click", "auc"), ("d2", "click", "logloss")]
    assert verdict_counts(rows, planned)[["cells", "of_cells"]].to_numpy().tolist() == [[1, 3]]


def test_a_cell_with_two_references_counts_twice_and_covers_once():
    table = verdict_counts(_comparisons(*[("d", "t", "auc", "b/x", v) for v in ("better", "worse")]))
    assert table[["wins", "losses", "cells"]].to_numpy().tolist() == [[1, 1, 1]]


def test_no_comparisons_have_no_counts_and_an_unknown_verdict_is_refused():
    assert len(verdict_counts(_comparisons())) == 0
    with pytest.raises(UsageError, match="unknown verdict 'beter'; did you mean 'better'"):
        verdict_counts(_comparisons(("d", "t", "auc", "b/x", "beter")))


def test_equal_ranks_share_their_places():
    # t0: one winner and two ties: places 1, 2.5, 2.5. t1: nobody beats anybody: all 2.
    table = mean_ranks(_ranks(b_x=[1, 1], b_y=[2, 1], b_z=[2, 1]))
    assert _column(table, "mean_rank") == {"b/x": 1.5, "b/y": 2.25, "b/z": 2.25}
    assert (table["cells"] == 2).all()
    assert (table["of_cells"] == 2).all()


def test_a_method_that_lacks_a_cell_has_no_mean_rank_and_does_not_shift_the_others():
    ranks = _ranks(b_x=[1, 2, math.nan], b_y=[2, 1, math.nan], b_z=[3, math.nan, math.nan])
    table = mean_ranks(ranks)
    assert _column(table, "mean_rank") == pytest.approx({"b/x": 1.5, "b/y": 1.5, "b/z": math.nan}, nan_ok=True)
    # The cell in which nobody has a rank is none.
    assert _column(table, "cells") == {"b/x": 2, "b/y": 2, "b/z": 1}
    assert set(table["of_cells"]) == {2}


def test_or_the_cell_is_left_out_for_all():
    table = mean_ranks(_ranks(b_x=[1, 2], b_y=[2, 1], b_z=[3, math.nan]), "exclude-cell")
    assert _column(table, "mean_rank") == {"b/x": 1.0, "b/y": 2.0, "b/z": 3.0}
    assert set(table["cells"]) == {1}
    none = mean_ranks(_ranks(b_x=[1, math.nan], b_y=[math.nan, 1]), "exclude-cell")
    assert none["mean_rank"].isna().all()
    assert set(none["cells"]) == {0}


def test_ranks_come_as_rank_methods_gives_them(make_scores):
    rng = np.random.default_rng(0)
    base = rng.normal(0.7, 0.01, 8)
    values = {"b/x": base + rng.normal(0.05, 0.001, 8), "b/y": base, "b/z": base + rng.normal(0, 0.001, 8)}
    scores = make_scores(values, ("d1", "d2"), ("click", "pay"))
    assert _column(mean_ranks(rank_methods(scores, UP)), "mean_rank") == {"b/x": 1.0, "b/y": 2.5, "b/z": 2.5}


def test_a_tie_is_half_a_win_and_lower_is_better_where_it_is(make_scores):
    values = {"b/x": [3.0, 3.0], "b/y": [2.0, 3.0], "b/z": [1.0, 1.0]}
    table = winrate(make_scores(values, metrics=("auc", "logloss")), UP)
    # b/x beats two, then one and a half of two.
    assert _column(table, "winrate") == {"b/x": 0.875, "b/y": 0.625, "b/z": 0.0}
    assert _column(table, "winrate", "logloss") == {"b/x": 0.125, "b/y": 0.375, "b/z": 1.0}


def test_each_data_set_weighs_the_same_whatever_its_tasks_and_seeds(make_scores):
    won, lost = {"b/x": [1.0], "b/y": [0.0]}, {"b/x": [0.0] * 5, "b/y": [1.0] * 5}
    scores = pd.concat([make_scores(won, ("d1",)), make_scores(lost, ("d2",), ("click", "pay", "like"))])
    assert _column(winrate(scores, UP), "winrate") == {"b/x": 0.5, "b/y": 0.5}
    # So does each task of a data set, whatever its seeds.
    scores = pd.concat([make_scores(won, tasks=("click",)), make_scores(lost, tasks=("pay",))])
    assert _column(winrate(scores, UP), "winrate") == {"b/x": 0.5, "b/y": 0.5}


def test_a_missing_seed_makes_a_method_incomplete_in_a_winrate(make_scores):
    whole = {"b/x": [2.0, 2.0], "b/y": [1.0, 1.0], "b/z": [9.0, 9.0]}
    short = {"b/x": [2.0, 2.0], "b/y": [1.0, 1.0], "b/z": [9.0]}
    scores = pd.concat([make_scores(whole, ("d1",)), make_scores(short, ("d2",))])
    table = winrate(scores, UP)
    assert _column(table, "winrate") == pytest.approx({"b/x": 1.0, "b/y": 0.0, "b/z": math.nan}, nan_ok=True)
    assert _column(table, "cells") == {"b/x": 2, "b/y": 2, "b/z": 1}
    table = winrate(scores, UP, "exclude-cell")
    assert _column(table, "winrate") == {"b/x": 0.5, "b/y": 0.0, "b/z": 1.0}
    assert set(table["cells"]) == {1}


def test_one_method_has_nothing_to_win_against(make_scores):
    table = winrate(make_scores({"b/x": [1.0, 2.0]}), UP)
    assert math.isnan(table["winrate"][0])
    assert len(winrate(make_scores({}), UP)) == 0


def test_an_unknown_treatment_is_refused(make_scores):
    with pytest.raises(UsageError, match="'exclude-cells'; did you mean 'exclude-cell'"):
        winrate(make_scores({"b/x": [1.0]}), UP, "exclude-cells")


_VALUES = st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=2, max_size=5)


@settings(deadline=None)
@given(_VALUES, st.permutations([0, 1, 2]))
def test_winrates_average_one_half_and_do_not_depend_on_the_order_of_seeds(values, order):
    def frame(rows):
        flat = [
            ("d", "b", str(m), f"b/{m}", "t", "auc", s, float(v))
            for m, row in enumerate(rows)
            for s, v in enumerate(row)
        ]
        return pd.DataFrame(flat, columns=SCORE_COLUMNS)

    table = winrate(frame(values), UP)
    assert table["winrate"].mean() == pytest.approx(0.5)
    moved = winrate(frame([[row[i] for i in order] for row in values]), UP)
    assert table["winrate"].to_numpy() == pytest.approx(moved["winrate"].to_numpy())
