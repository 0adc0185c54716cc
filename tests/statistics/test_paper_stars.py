from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.claims import claims
from rmtl_bench.statistics.families import Family, run_families
from rmtl_bench.statistics.paper_stars import STAR_COLUMNS, paper_stars


def _values():
    rng = np.random.default_rng(0)
    means = {"a/new": 0.75, "a/good": 0.74, "a/bad": 0.70, "b/new": 0.5, "b/good": 0.9}
    return {method: mean + rng.normal(0, 0.002, 5) for method, mean in means.items()}


def test_the_best_of_all_other_methods_is_met_without_a_family(make_scores):
    values = _values()
    table = paper_stars(make_scores(values), {"auc": True}).set_index("candidate")
    assert table.loc["a/new", "best_baseline"] == "b/good"
    assert table.loc["b/good", "best_baseline"] == "a/new"
    assert table.loc["b/good", "p"] == pytest.approx(
        stats.ttest_ind(values["b/good"], values["a/new"]).pvalue, rel=1e-10
    )
    assert list(table.index[table["star"]]) == ["b/good"]


def test_a_family_declares_the_baselines(make_scores):
    family = Family("f", ("*/new",), ("*/good", "*/bad"))
    table = paper_stars(make_scores(_values()), {"auc": True}, family)
    assert list(table.columns) == STAR_COLUMNS
    assert list(table["best_baseline"]) == ["a/good", "b/good"]
    assert list(table["star"]) == [True, False]


def test_lower_is_better_turns_the_best(make_scores):
    family = Family("f", ("*/new",), ("*/good", "*/bad"))
    table = paper_stars(make_scores(_values()), {"auc": False}, family)
    assert list(table["best_baseline"]) == ["a/bad", "b/good"]
    assert list(table["star"]) == [False, True]


def test_sides_of_different_size_are_tested_and_a_single_seed_is_not(make_scores):
    values = _values()
    scores = make_scores(values)
    family = Family("f", ("a/new",), ("a/good",))
    short = scores[~((scores["method"] == "a/new") & (scores["seed"] > 2))]
    p = paper_stars(short, {"auc": True}, family).loc[0, "p"]
    assert p == pytest.approx(stats.ttest_ind(values["a/new"][:3], values["a/good"]).pvalue, rel=1e-10)
    single = paper_stars(scores[scores["seed"] == 0], {"auc": True}, family)
    assert math.isnan(single.loc[0, "p"])
    assert not single.loc[0, "star"]


def test_a_table_of_equal_methods_gets_stars_by_chance_and_makes_no_claim(make_scores):
    tasks = [f"task {i}" for i in range(200)]
    scores = make_scores({"b/new": np.zeros(5), "b/old": np.zeros(5)}, tasks=tasks)
    scores["value"] = np.random.default_rng(0).normal(size=len(scores))
    family = Family("f", ("b/new",), ("b/old",))
    assert 1 <= paper_stars(scores, {"auc": True}, family)["star"].sum() <= 12
    assert not claims(run_families(scores, [family], {"auc": True}, {}), {"auc": True})["beats_all"].any()


def test_a_difference_in_every_seed_gets_no_star_where_seeds_differ_more(make_scores):
    seeds = np.random.default_rng(0).normal(0, 0.1, 8)
    scores = make_scores({"b/new": seeds + np.linspace(0.009, 0.011, 8), "b/old": seeds})
    family = Family("f", ("b/new",), ("b/old",))
    assert not paper_stars(scores, {"auc": True}, family)["star"].any()
    assert claims(run_families(scores, [family], {"auc": True}, {}), {"auc": True})["beats_all"].all()


def test_what_cannot_be_starred_is_refused_or_left_out(make_scores):
    scores = make_scores(_values())
    assert paper_stars(scores, {"auc": True}, Family("f", ("z/*",), ("*",))).empty
    with pytest.raises(UsageError, match="'auc' is better is not declared"):
        paper_stars(scores, {})
