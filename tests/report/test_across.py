from __future__ import annotations

import math

import pytest

from rmtl_bench.report import LeaderboardSettings, build_leaderboard, leaderboard_document, render
from rmtl_bench.report.across import across_sections
from rmtl_bench.statistics import Family

BASE = [0.700, 0.704, 0.699, 0.702, 0.701, 0.698]
VALUES = {
    "ple/plain": BASE,
    "ple/good": [v + 0.02 + 0.0001 * i for i, v in enumerate(BASE)],
    "ple/same": [v + 0.00001 * (-1) ** i for i, v in enumerate(BASE)],
}


def build(scores, **changed):
    given = {"reference": Family("reference", ("*",), ("*/plain",)), "equivalence": {"auc": 0.001}}
    return build_leaderboard(scores, None, LeaderboardSettings("T", {"auc": True, "logloss": False}, **given | changed))


def test_verdicts_are_counted_over_cells_and_the_reference_has_none(make_scores):
    table = build(make_scores(VALUES, ("a", "b"), ("click", "pay"))).across.set_index("method")
    assert table.loc["ple/good", ["wins", "equivalent", "losses", "cells", "of_cells"]].tolist() == [4, 0, 0, 4, 4]
    assert table.loc["ple/same", ["wins", "equivalent", "losses", "cells"]].tolist() == [0, 4, 0, 4]
    assert table.loc["ple/plain", ["wins", "cells"]].tolist() == [0, 0]


def test_methods_stand_in_the_order_of_their_mean_ranks_and_ties_by_name(make_scores):
    board = build(make_scores(VALUES, ("a", "b")))
    assert list(board.across["method"]) == ["ple/good", "ple/plain", "ple/same"]
    assert list(board.across["mean_rank"]) == [1.0, 2.5, 2.5]
    assert board.across["winrate"].tolist() == pytest.approx([1.0, 0.25, 0.25])


def test_an_incomplete_method_has_no_mean_rank_and_its_coverage_shows(make_scores):
    scores = make_scores(VALUES, ("a", "b"))
    board = build(scores[(scores["dataset"] == "a") | (scores["method"] != "ple/good")])
    row = board.across.set_index("method").loc["ple/good"]
    assert (row["cells"], row["of_cells"]) == (1, 2)
    assert math.isnan(row["mean_rank"])
    text = render(leaderboard_document(board), "table")
    assert "1/2" in next(line for line in text.splitlines() if line.startswith("ple/good"))


def test_one_cell_alone_has_no_headline(make_scores):
    assert list(across_sections(build(make_scores(VALUES)).across, None)) == []
    sections = list(across_sections(build(make_scores(VALUES, tasks=("click", "pay"))).across, None))
    assert [section.title for section in sections] == ["over all cells: auc"]


def test_without_a_score_there_is_no_headline(make_scores):
    assert build(make_scores({})).across.empty


def test_a_claim_takes_every_reference(make_scores):
    values = VALUES | {"ple/best": [v + 0.04 - 0.0001 * i for i, v in enumerate(BASE)]}
    family = Family("against all", ("*/good", "*/best"), ("*/plain", "*/same", "*/good"))
    board = build(make_scores(values), families=(family,))
    claims = board.claims.set_index("candidate")
    assert claims.loc["ple/best", ["references", "beaten", "beats_all"]].tolist() == [3, 3, True]
    assert claims.loc["ple/good", ["references", "beaten", "beats_all"]].tolist() == [2, 2, True]
    assert claims.loc["ple/best", "best_reference"] == "ple/good"
    text = render(leaderboard_document(board), "table")
    assert "against all, all references together: auc" in text
    assert "beats all: better than each of its declared references" in text


def test_families_of_one_reference_make_no_claim(make_scores):
    board = build(make_scores(VALUES), families=(Family("f", ("*/good",), ("*/plain",)),))
    assert "references together" not in render(leaderboard_document(board), "table")


def test_stars_stand_under_the_papers_protocol_alone(make_scores):
    scores = make_scores(VALUES, tasks=("click", "pay"))
    family = Family("against all", ("*/good",), ("*/plain", "*/same"))
    assert build(scores, families=(family,)).stars.empty
    board = build(scores, families=(family,), protocol="rmtl-paper")
    assert list(board.stars["star"]) == [True, True]
    assert set(board.stars["family"]) == {"against all"}
    text = render(leaderboard_document(board), "table")
    assert "against all, stars as in the paper: auc" in text
    assert "not starred: neither, which is no sign of equality" in text


def test_the_cells_that_a_method_lacks_can_be_left_out_for_all(make_scores):
    scores = make_scores(VALUES, ("a", "b"))
    board = build(scores[(scores["dataset"] == "a") | (scores["method"] != "ple/good")], incomplete="exclude-cell")
    table = board.across.set_index("method")
    assert table.loc["ple/good", "mean_rank"] == 1.0
    assert table["winrate"].to_dict() == pytest.approx({"ple/good": 1.0, "ple/plain": 0.25, "ple/same": 0.25})
