from __future__ import annotations

import math

import pandas as pd
import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.frames import check_directions, check_scores


def test_a_missing_column_is_named(make_scores):
    with pytest.raises(UsageError, match="lack the columns task, seed"):
        check_scores(make_scores({"b/w": [0.7]}).drop(columns=["task", "seed"]))


def test_a_score_given_twice_is_refused_and_named(make_scores):
    scores = make_scores({"b/w": [0.7]})
    with pytest.raises(UsageError, match="given twice: toy, b/w, click, auc, seed 0"):
        check_scores(pd.concat([scores, scores]))


def test_a_score_that_is_not_finite_counts_as_missing(make_scores):
    assert list(check_scores(make_scores({"b/w": [0.7, math.nan, math.inf]}))["seed"]) == [0]


def test_a_metric_without_a_direction_is_refused_with_a_hint():
    with pytest.raises(UsageError, match="'aux' is better is not declared; did you mean 'auc'"):
        check_directions(["aux"], {"auc": True})
