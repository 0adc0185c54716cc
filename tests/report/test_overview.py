from __future__ import annotations

import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report import LeaderboardSettings, build_leaderboard, leaderboard_document, render
from rmtl_bench.report.overview import overview_sections, parse_order
from rmtl_bench.statistics import Family

BASE = [0.700, 0.704, 0.699, 0.702, 0.701, 0.698]
VALUES = {
    "ple/plain": BASE,
    "ple/good": [v + 0.02 + 0.0001 * i for i, v in enumerate(BASE)],
    "ple/same": [v + 0.00001 * (-1) ** i for i, v in enumerate(BASE)],
    "ple/bad": [v - 0.02 - 0.0001 * i for i, v in enumerate(BASE)],
}


@pytest.fixture(scope="module")
def small(make_scores):
    scores = make_scores(VALUES, ("toy",), ("click", "pay"), ("auc", "gauc"))
    # On the second task good and bad change places.
    pay = scores["task"] == "pay"
    swapped = scores["method"].map({"ple/good": "ple/bad", "ple/bad": "ple/good"}).fillna(scores["method"])
    scores.loc[pay, "method"] = swapped[pay]
    scores["weighting"] = scores["method"].str.partition("/")[2]
    settings = LeaderboardSettings(
        title="T",
        higher_is_better={"auc": True, "gauc": True},
        reference=Family("reference", ("*",), ("*/plain",)),
        equivalence={"auc": 0.001, "gauc": 0.001},
    )
    return build_leaderboard(scores, None, settings)


def methods(section):
    return [row[1] for row in section.rows]


def test_rows_stand_in_the_order_of_the_cell_asked_for(small):
    (click,) = overview_sections(small, "click:auc", None)
    (pay,) = overview_sections(small, "pay", None)
    assert (methods(click)[0], methods(click)[-1]) == ("ple/good", "ple/bad")
    assert (methods(pay)[0], methods(pay)[-1]) == ("ple/bad", "ple/good")
    assert [row[0] for row in click.rows] == ["1", "2", "2", "4"]


def test_the_cell_asked_for_comes_first_and_all_others_stand_beside_it(small):
    (section,) = overview_sections(small, "pay:gauc", None)
    assert [column.title for column in section.columns] == [
        *("rank", "method", "pay gauc ↑", "click auc ↑", "click gauc ↑", "pay auc ↑"),
    ]


def test_every_verdict_has_its_mark_and_the_reference_has_none(small):
    (section,) = overview_sections(small, "click:auc", ["auc"])
    marks = {row[1]: row[2].split()[-1] for row in section.rows}
    assert {m: marks[f"ple/{m}"] for m in ("good", "same", "bad")} == {"good": "↑", "same": "≈", "bad": "↓"}
    assert marks["ple/plain"] not in ("↑", "≈", "↓", "?")


def test_bold_is_what_no_method_beats(small):
    (section,) = overview_sections(small, "click:auc", ["auc"])
    bold = {(methods(section)[row], section.columns[column].title) for row, column in section.emphasised}
    assert bold == {("ple/good", "click auc ↑"), ("ple/bad", "pay auc ↑")}
    document = leaderboard_document(small, ["auc"], "click:auc")
    assert r"& \textbf{0.72" in render(document, "latex")
    assert r"$\uparrow$} &" in render(document, "latex")
    assert "**0.72" in render(document, "markdown")
    assert "<b>0.72" in render(document, "html")


def test_where_nothing_is_told_apart_nothing_is_bold(make_scores):
    scores = make_scores({"ple/a": BASE, "ple/b": BASE[::-1]})
    board = build_leaderboard(scores, None, LeaderboardSettings("T", {"auc": True}))
    (section,) = overview_sections(board, "auc", None)
    assert section.emphasised == frozenset()


def test_a_table_wider_than_a_terminal_comes_in_parts_in_one_order(make_scores):
    scores = make_scores(VALUES, tasks=("a", "b", "c"), metrics=("auc", "gauc"))
    board = build_leaderboard(scores, None, LeaderboardSettings("T", {"auc": True, "gauc": True}))
    parts = list(overview_sections(board, "b:auc", None))
    assert [len(part.columns) for part in parts] == [6, 4]
    assert methods(parts[0]) == methods(parts[1])
    assert parts[0].title == "toy, by b auc (1 of 2)"


def test_a_method_with_a_seed_missing_shows_its_count_and_has_no_rank(make_scores):
    scores = make_scores({"ple/a": BASE, "ple/b": BASE[:4]})
    board = build_leaderboard(scores, None, LeaderboardSettings("T", {"auc": True}))
    (section,) = overview_sections(board, "auc", None)
    row = next(row for row in section.rows if row[1] == "ple/b")
    assert row[0] == "-"
    assert row[2].endswith("4/6")


@pytest.mark.parametrize(
    ("by", "found"),
    [("auc", (None, "auc")), ("pay", ("pay", None)), ("pay:auc", ("pay", "auc")), ("a:b:auc", ("a:b", "auc"))],
)
def test_an_order_names_a_task_a_metric_or_both(by, found):
    assert parse_order(by, ["click", "pay", "a:b"], ["auc", "logloss"]) == found


@pytest.mark.parametrize("by", ["", ":", "pay:", ":auc", "auk", "auc:pay"])
def test_an_order_that_names_neither_is_refused(by):
    with pytest.raises(UsageError, match="is no TASK, METRIC or TASK:METRIC"):
        parse_order(by, ["click", "pay"], ["auc", "logloss"])
