from __future__ import annotations

import numpy as np
import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.claims import CLAIM_COLUMNS, claims
from rmtl_bench.statistics.families import Family, run_families


def _scores(make_scores, means, n=10, tasks=("click",)):
    rng = np.random.default_rng(0)
    base = rng.normal(0, 0.01, n)
    return make_scores({m: mean + base + rng.normal(0, 0.001, n) for m, mean in means.items()}, tasks=tasks)


def _claims(scores, family, up=True):
    return claims(run_families(scores, [family], {"auc": up}, {}), {"auc": up}).set_index(["task", "candidate"])


def test_a_claim_holds_only_against_every_reference(make_scores):
    scores = _scores(make_scores, {"b/new": 0.75, "b/other": 0.72, "b/old": 0.70, "b/strong": 0.74})
    table = _claims(scores, Family("f", ("b/new", "b/other"), ("b/old", "b/strong")))
    new, other = table.loc[("click", "b/new")], table.loc[("click", "b/other")]
    assert (new["references"], new["beaten"], new["beats_all"]) == (2, 2, True)
    assert (other["references"], other["beaten"], other["beats_all"]) == (2, 1, False)
    assert new["best_reference"] == other["best_reference"] == "b/strong"
    assert list(table.reset_index()[CLAIM_COLUMNS].columns) == CLAIM_COLUMNS


def test_lower_is_better_turns_claims_and_the_best(make_scores):
    scores = _scores(make_scores, {"b/new": 0.75, "b/old": 0.70, "b/strong": 0.74})
    row = _claims(scores, Family("f", ("b/new",), ("b/old", "b/strong")), up=False).iloc[0]
    assert (row["beaten"], row["best_reference"], row["mean_best_reference"]) == (
        0,
        "b/old",
        pytest.approx(0.70, abs=0.01),
    )


def test_a_reference_that_is_a_candidate_itself_counts_for_both(make_scores):
    means = {"b/a": 0.70, "b/b": 0.74, "b/c": 0.72}
    table = _claims(_scores(make_scores, means), Family("f", ("*",), ("*",)))
    assert list(table["references"]) == [2, 2, 2]
    assert dict(table["beats_all"].droplevel("task")) == {"b/a": False, "b/b": True, "b/c": False}
    # b/a is no reference of b/c here.
    one_way = _claims(_scores(make_scores, means), Family("f", ("b/a", "b/c"), ("b/b", "b/c")))
    assert dict(one_way["references"].droplevel("task")) == {"b/a": 2, "b/c": 1}


def test_a_small_gain_is_a_gain_and_what_is_unresolved_is_not(make_scores):
    scores = _scores(make_scores, {"b/new": 0.75, "b/old": 0.70, "b/same": 0.75})
    compared = run_families(scores, [Family("f", ("b/new",), ("b/old", "b/same"))], {"auc": True}, {"auc": 1.0})
    assert set(compared["verdict"]) == {"better (small)", "equivalent"}
    assert claims(compared, {"auc": True}).loc[0, "beaten"] == 1


def test_cells_are_claimed_apart(make_scores):
    scores = _scores(make_scores, {"b/new": 0.75, "b/old": 0.70}, tasks=("click", "pay"))
    scores.loc[(scores["task"] == "pay") & (scores["method"] == "b/new"), "value"] -= 0.05
    table = _claims(scores, Family("f", ("b/new",), ("b/old",)))
    assert dict(table["beats_all"].droplevel("candidate")) == {"click": True, "pay": False}


def test_no_comparisons_make_no_claims_and_a_direction_is_asked_for(make_scores):
    scores = _scores(make_scores, {"b/new": 0.75, "b/old": 0.70})
    nothing = run_families(scores, [Family("f", ("z/*",), ("*",))], {"auc": True}, {})
    assert claims(nothing, {"auc": True}).empty
    some = run_families(scores, [Family("f", ("b/new",), ("*",))], {"auc": True}, {})
    with pytest.raises(UsageError, match="not declared"):
        claims(some, {})
