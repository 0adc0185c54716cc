from __future__ import annotations

import math

from rmtl_bench.statistics.completeness import cell_counts, incomplete_cells, missing_runs


def test_planned_runs_without_a_score_are_listed(make_scores):
    plan = [("toy", "b/w", 0), ("toy", "b/w", 1), ("other", "b/w", 0)]
    table = missing_runs(plan, make_scores({"b/w": [0.7]}))
    assert list(table.itertuples(index=False, name=None)) == [("other", "b/w", 0), ("toy", "b/w", 1)]


def test_cells_show_scores_of_planned_ones(make_scores):
    plan = [("toy", method, seed) for method in ("b/v", "b/w", "b/gone") for seed in range(3)]
    scores = make_scores({"b/v": [0.7, math.nan, 0.7], "b/w": [0.7] * 3})
    counts = cell_counts(plan, scores).set_index("method")
    assert counts["n"].to_dict() == {"b/gone": 0, "b/v": 2, "b/w": 3}
    assert set(counts["expected"]) == {3}
    assert list(incomplete_cells(counts.reset_index())["method"]) == ["b/gone", "b/v"]


def test_without_a_plan_every_method_is_expected_to_have_every_seed(make_scores):
    counts = cell_counts(None, make_scores({"b/v": [0.7, 0.8], "b/w": [0.7]})).set_index("method")
    assert counts["expected"].to_dict() == {"b/v": 2, "b/w": 2}


def test_nothing_planned_and_nothing_there_is_nothing_missing(make_scores):
    assert missing_runs([], make_scores({})).empty
    assert cell_counts(None, make_scores({})).empty
