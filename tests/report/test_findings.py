from __future__ import annotations

import pytest

from rmtl_bench.report import LeaderboardSettings, build_leaderboard
from rmtl_bench.report.findings import findings
from rmtl_bench.statistics import Family

BASE = [0.700, 0.704, 0.699, 0.702, 0.701, 0.698]
VALUES = {
    "ple/plain": BASE,
    "ple/good": [v + 0.02 + 0.0001 * i for i, v in enumerate(BASE)],
    "ple/same": [v + 0.00001 * (-1) ** i for i, v in enumerate(BASE)],
    "ple/bad": [v - 0.02 - 0.0001 * i for i, v in enumerate(BASE)],
}


def board(scores, plan=None, **changed):
    given = {
        "reference": Family("reference", ("*",), ("*/plain",)),
        "equivalence": {"auc": 0.001},
        "families": (
            Family("others", ("*/good",), ("*/same",)),
            Family("bad against its control", ("*/bad",), ("*/same",), control=True),
        ),
    }
    settings = LeaderboardSettings("T", {"auc": True, "auc-gap": False, "logloss": False}, **given | changed)
    return build_leaderboard(scores, plan, settings)


def test_verdicts_are_counted_controls_first_then_families_then_the_reference(make_scores):
    assert findings(board(make_scores(VALUES))) == [
        "Bad against its control: in auc, 0 of 1 comparison better, 1 worse.",
        "Worse of these in some cell: ple/bad.",
        "Others: in auc, 1 of 1 comparison better, 0 worse.",
        "Better of these in some cell: ple/good.",
        "All methods against plain: in auc, 1 of 3 comparisons better, 1 worse (1 equivalent).",
        "Better than plain in some cell: ple/good.",
        "Worse than plain in some cell: ple/bad.",
        "Every method was trained with 6 seeds.",
    ]


def test_winners_are_named_in_alphabetical_order_and_not_by_their_means(make_scores):
    values = {"ple/plain": BASE} | {
        f"ple/{name}": [v + by + 1e-4 * i for i, v in enumerate(BASE)]
        for name, by in (("c", 0.01), ("a", 0.02), ("b", 0.03))
    }
    sentences = findings(board(make_scores(values), families=()))
    assert "Better than plain in some cell: ple/a, ple/b, ple/c." in sentences


def test_the_gap_to_the_optimum_is_not_counted_beside_its_metric(make_scores):
    both = findings(board(make_scores(VALUES, metrics=("auc", "auc-gap"))))
    assert not any("auc-gap" in sentence for sentence in both)
    alone = findings(board(make_scores(VALUES, metrics=("auc-gap",))))
    assert any("auc-gap" in sentence for sentence in alone)


def test_missing_runs_come_first(make_scores):
    plan = [("toy", method, seed) for method in [*VALUES, "ple/gone"] for seed in range(6)]
    assert findings(board(make_scores(VALUES), plan))[0] == (
        "6 of 30 planned runs have no scores: what follows is provisional."
    )


def test_one_seed_is_said_to_say_nothing(make_scores):
    sentences = findings(board(make_scores({m: v[:1] for m, v in VALUES.items()})))
    assert (
        sentences[-1]
        == "Every method was trained with 1 seed. One seed says nothing of noise: nothing is tested or ranked."
    )
    assert (
        "All methods against plain: in auc, 0 of 3 comparisons better, 0 worse (3 undecided for want of seeds)."
        in sentences
    )


def test_without_a_score_nothing_is_compared(make_scores):
    plan = [("toy", "ple/plain", 0)]
    assert findings(board(make_scores({}), plan)) == ["No run has ended well, so there is nothing to compare."]


@pytest.mark.parametrize("metrics", [["logloss"], ["auc"]])
def test_only_the_metrics_shown_are_spoken_of(make_scores, metrics):
    sentences = findings(board(make_scores(VALUES, metrics=("auc", "logloss"))), metrics)
    (other,) = {"auc", "logloss"} - set(metrics)
    assert not any(other in sentence for sentence in sentences)
