from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report import ROW_COLUMNS, LeaderboardSettings, build_leaderboard
from rmtl_bench.statistics import Family, compare, mean_interval

UP = {"auc": True}
AGAINST_EQUAL = LeaderboardSettings("t", UP, reference=Family("reference", ("*",), ("*/equal",)))


def _values(n=8, **shifts):
    rng = np.random.default_rng(1)
    base = rng.normal(0.7, 0.01, n)
    return {f"ple/{name}": base + rng.normal(shift, 0.001, n) for name, shift in shifts.items()}


def _row(board, method, metric="auc", task="click"):
    rows = board.rows
    return rows[(rows["method"] == method) & (rows["metric"] == metric) & (rows["task"] == task)].iloc[0]


def test_a_row_has_the_mean_and_the_interval_of_its_seeds_and_the_paired_comparison(make_scores):
    values = _values(equal=0.0, rmtl=0.02)
    board = build_leaderboard(make_scores(values), None, AGAINST_EQUAL)
    assert list(board.rows.columns) == ROW_COLUMNS
    row, alone = _row(board, "ple/rmtl"), mean_interval(values["ple/rmtl"])
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((alone.mean, alone.low, alone.high))
    pair = compare(dict(enumerate(values["ple/rmtl"])), dict(enumerate(values["ple/equal"])), True)
    assert row["reference"] == "ple/equal"
    assert (row["difference"], row["difference_low"], row["p_holm"]) == pytest.approx(
        (pair.difference, pair.low, pair.p)
    )
    assert row["verdict"] == "better"


def test_the_reference_stands_against_nothing(board):
    row = _row(board, "ple/equal")
    assert pd.isna(row["reference"])
    assert pd.isna(row["verdict"])
    assert math.isnan(row["difference"])
    assert row["rank"] == 2


def test_every_method_is_judged_against_the_reference_on_its_own_backbone(board):
    judged = board.rows.dropna(subset="reference")
    assert {(r["method"], r["reference"]) for r in judged.to_dict("records")} == {
        ("ple/rmtl", "ple/equal"),
        ("<b>&_x|y/rmtl", "<b>&_x|y/equal"),
    }


def test_lower_is_better_turns_the_verdict_and_the_order(board):
    assert (_row(board, "ple/rmtl")["verdict"], _row(board, "ple/rmtl", "logloss")["verdict"]) == ("better", "worse")
    auc = board.rows[(board.rows["task"] == "click") & (board.rows["metric"] == "auc")].dropna(subset="rank")
    loss = board.rows[(board.rows["task"] == "click") & (board.rows["metric"] == "logloss")].dropna(subset="rank")
    assert auc["mean"].is_monotonic_decreasing
    assert loss["mean"].is_monotonic_increasing
    assert auc.iloc[0]["method"] == loss.iloc[-1]["method"] == "ple/rmtl"


def test_missing_runs_are_listed_and_noted(board):
    listed = {tuple(run) for run in board.missing.itertuples(index=False)}
    assert listed == {
        *(("toy", "ple/gone", seed) for seed in range(8)),
        *(("toy", "<b>&_x|y/rmtl", seed) for seed in (6, 7)),
    }
    assert any(note.startswith("10 planned runs have no scores") for note in board.notes)


def test_incomplete_cells_show_n_of_n_and_have_no_rank(board):
    short, gone = _row(board, "<b>&_x|y/rmtl"), _row(board, "ple/gone")
    assert (short["n"], short["expected"], gone["n"], gone["expected"]) == (6, 8, 0, 8)
    assert pd.isna(short["rank"])
    assert pd.isna(gone["rank"])
    assert math.isnan(gone["mean"])
    assert set(board.incomplete["method"]) == {"<b>&_x|y/rmtl", "ple/gone"}
    assert any(note.startswith("8 incomplete cells") for note in board.notes)


def test_an_incomplete_method_is_compared_on_the_seeds_it_has(make_scores):
    values = _values(equal=0.0, rmtl=0.02)
    short = {**values, "ple/rmtl": values["ple/rmtl"][:5]}
    row = _row(build_leaderboard(make_scores(short), None, AGAINST_EQUAL), "ple/rmtl")
    assert row["n"] == 5
    assert row["difference"] == pytest.approx(np.mean(values["ple/rmtl"][:5] - values["ple/equal"][:5]))


def test_the_methods_of_a_full_cell_keep_their_ranks_beside_an_incomplete_one(make_scores):
    values = _values(equal=0.0, rmtl=0.02)
    ranks = [
        build_leaderboard(make_scores(given), None, AGAINST_EQUAL).rows.set_index("method")["rank"].dropna().to_dict()
        for given in (values, {**values, "ple/short": [0.99] * 3})
    ]
    assert ranks[0] == ranks[1] == {"ple/rmtl": 1, "ple/equal": 2}


def test_seeds_that_nobody_has_yet_leave_everybody_unranked(make_scores):
    values = _values(equal=0.0, rmtl=0.02)
    plan = [("toy", method, seed) for method in values for seed in range(9)]
    board = build_leaderboard(make_scores(values), plan, AGAINST_EQUAL)
    assert board.rows["rank"].isna().all()
    assert _row(board, "ple/rmtl")["verdict"] == "better"


def test_a_score_that_is_not_finite_leaves_its_cell_incomplete(make_scores):
    values = _values(equal=0.0, rmtl=0.02)
    values["ple/rmtl"][3] = math.nan
    board = build_leaderboard(make_scores(values), None, AGAINST_EQUAL)
    assert (_row(board, "ple/rmtl")["n"], _row(board, "ple/rmtl")["expected"]) == (7, 8)
    assert pd.isna(_row(board, "ple/rmtl")["rank"])


def test_two_references_for_one_method_are_refused(make_scores):
    settings = LeaderboardSettings("t", UP, reference=Family("reference", ("*",), ("*/e*",)))
    with pytest.raises(UsageError, match="gives ple/rmtl two references, ple/equal and ple/even"):
        build_leaderboard(make_scores(_values(equal=0.0, even=0.0, rmtl=0.0)), None, settings)


def test_families_are_corrected_for_themselves(make_scores):
    values = _values(equal=0.0, rmtl=0.0005, other=0.0005)
    one = Family("one", ("*/rmtl",), ("*/equal",))
    both = Family("both", ("*/rmtl", "*/other"), ("*/equal",))
    board = build_leaderboard(make_scores(values), None, LeaderboardSettings("t", UP, families=(one, both)))
    rows = board.comparisons.set_index(["family", "candidate"])
    raw = rows.loc[("one", "ple/rmtl"), "p"]
    assert 0 < raw < 0.5
    assert rows.loc[("one", "ple/rmtl"), "p_holm"] == raw
    assert len(rows) == 3
    assert rows.loc[("both", "ple/rmtl"), "p"] == raw
    assert rows.loc["both", "p_holm"].min() == pytest.approx(2 * rows.loc["both", "p"].min())


def test_verdicts_are_counted_by_family_over_cells_and_backbones(board):
    counts = board.counts.set_index(["family", "candidate", "reference", "metric", "verdict"])["cells"].to_dict()
    # Two tasks on two backbones; the shorter backbone has six seeds.
    assert counts["reference", "rmtl", "equal", "auc", "better"] == 4
    assert counts["reference", "rmtl", "equal", "logloss", "worse"] == 4
    across = {key: cells for key, cells in counts.items() if key[0] == "across"}
    assert {key[1:3] for key in across} == {("equal", "equal"), ("rmtl", "rmtl")}
    judged = board.rows["verdict"].notna().sum() + len(board.comparisons)
    assert sum(counts.values()) == judged


def test_a_family_that_matches_no_scores_is_noted(make_scores):
    settings = LeaderboardSettings("t", UP, families=(Family("mine", ("*/equal",), ("*/absent",)),))
    board = build_leaderboard(make_scores(_values(equal=0.0)), None, settings)
    assert "family 'mine': no scores of */absent" in board.notes


def test_delta_m_is_relative_to_its_reference_best_first(board):
    table = board.delta_m[board.delta_m["metric"] == "logloss"]
    assert table["mean"].is_monotonic_decreasing
    assert table.set_index("method").loc["ple/equal", "mean"] == 0.0
    # A logloss that is higher by 0.02 of 0.7 is worse.
    assert table.set_index("method").loc["ple/rmtl", "mean"] == pytest.approx(-2.9, abs=0.3)


def test_without_declarations_there_are_means_and_ranks_alone(make_scores):
    board = build_leaderboard(make_scores(_values(equal=0.0, rmtl=0.02)), None, LeaderboardSettings("t", UP))
    assert list(board.rows["method"]) == ["ple/rmtl", "ple/equal"]
    assert list(board.rows["rank"]) == [1, 2]
    assert board.rows["verdict"].isna().all()
    for empty in (board.comparisons, board.delta_m, board.counts, board.missing, board.incomplete):
        assert empty.empty
    assert board.notes == ()


def test_the_order_of_the_scores_does_not_matter(make_scores):
    scores = make_scores(_values(equal=0.0, rmtl=0.001, other=0.0), tasks=("click", "pay"))
    one = build_leaderboard(scores, None, AGAINST_EQUAL)
    other = build_leaderboard(scores.sample(frac=1, random_state=0), None, AGAINST_EQUAL)
    pd.testing.assert_frame_equal(one.rows, other.rows)
    pd.testing.assert_frame_equal(one.counts, other.counts)


@pytest.mark.parametrize(("seeds", "said"), [(1, "one seed alone"), (2, "2 seeds alone"), (3, "")])
def test_too_few_seeds_are_said_plainly_and_nothing_is_ranked(make_scores, seeds, said):
    values = {"ple/a": [0.7, 0.72, 0.74][:seeds], "ple/b": [0.8, 0.83, 0.84][:seeds]}
    reference = Family("reference", ("*",), ("*/a",))
    board = build_leaderboard(make_scores(values), None, LeaderboardSettings("T", {"auc": True}, reference=reference))
    notes = [note for note in board.notes if "nothing is tested or ranked" in note]
    if said:
        assert notes == [f"{said}: nothing is tested or ranked, since that takes 3 at least"]
        assert board.rows["rank"].isna().all()
        assert board.across["mean_rank"].isna().all()
        assert set(board.rows["verdict"].dropna()) == {"n too small"}
    else:
        assert notes == []
        assert board.rows["rank"].notna().all()
