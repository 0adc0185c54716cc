from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.completeness import cell_counts
from rmtl_bench.statistics.exploratory import exploratory_pairs
from rmtl_bench.statistics.families import Family, run_families
from rmtl_bench.statistics.frames import SCORE_COLUMNS, check_directions, check_scores
from rmtl_bench.statistics.paper_stars import paper_stars
from rmtl_bench.statistics.ranks import rank_methods


def test_a_missing_column_is_named(make_scores):
    with pytest.raises(UsageError, match="lack the columns task, seed"):
        check_scores(make_scores({"b/w": [0.7]}).drop(columns=["task", "seed"]))


def test_a_score_given_twice_is_refused_and_named(make_scores):
    scores = make_scores({"b/w": [0.7]})
    with pytest.raises(UsageError, match="given twice: toy, b/w, click, auc, seed 0"):
        check_scores(pd.concat([scores, scores]))


def test_a_score_that_is_not_finite_counts_as_missing(make_scores):
    assert list(check_scores(make_scores({"b/w": [0.7, math.nan, math.inf]}))["seed"]) == [0]


def test_several_versions_of_a_suite_are_no_table(make_scores):
    scores = make_scores({"b/w": [0.7, 0.8], "b/v": [0.7, 0.8]})
    one = scores.assign(suite="paper@1")
    assert list(check_scores(one).columns) == SCORE_COLUMNS
    mixed = scores.assign(suite=["paper@1", "paper@1", "paper@2", None])
    with pytest.raises(UsageError, match="come from 2 suite versions: paper@1, paper@2; a table never mixes them"):
        check_scores(mixed)


def test_a_data_set_in_several_states_is_no_table(make_scores):
    scores = make_scores({"b/w": [0.7, 0.8]}, datasets=("d1", "d2"))
    # Every data set has a fingerprint of its own, and a missing one says nothing.
    check_scores(scores.assign(fingerprint=["aa", None, "bb", "bb"]))
    said = "scores of data set 'd2' come from 2 states of the data: bb, cc; a table never mixes them"
    with pytest.raises(UsageError, match=said):
        check_scores(scores.assign(fingerprint=["aa", "aa", "cc", "bb"]))


def test_mixtures_are_refused_before_anything_is_compared_or_ranked(make_scores):
    rng = np.random.default_rng(0)
    scores = make_scores({"b/w": rng.normal(size=4), "b/v": rng.normal(size=4)}).assign(fingerprint=["x", "y"] * 4)
    for refused in (
        lambda: run_families(scores, [Family("f", ("b/w",), ("b/v",))], {"auc": True}, {}),
        lambda: rank_methods(scores, {"auc": True}),
        lambda: exploratory_pairs(scores, {"auc": True}, {}),
        lambda: paper_stars(scores, {"auc": True}),
        lambda: cell_counts(None, scores),
    ):
        with pytest.raises(UsageError, match="2 states of the data"):
            refused()


def test_a_metric_without_a_direction_is_refused_with_a_hint():
    with pytest.raises(UsageError, match="'aux' is better is not declared; did you mean 'auc'"):
        check_directions(["aux"], {"auc": True})
