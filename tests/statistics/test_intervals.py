from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.intervals import half_width, mean_interval, summarise


def test_the_interval_is_scipys():
    values = [0.71, 0.73, 0.70, 0.74]
    interval = mean_interval(values, 0.9)
    theirs = stats.t.interval(0.9, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (interval.low, interval.high) == pytest.approx(theirs)
    assert interval.n == 4


def test_one_value_has_a_mean_and_no_interval():
    interval = mean_interval([0.7])
    assert interval.mean == 0.7
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_the_95_percent_interval_covers_95_percent():
    draws = np.random.default_rng(0).normal(size=(20_000, 5))
    width = half_width(np.full(len(draws), 5.0), draws.std(axis=1, ddof=1), 0.95)
    covered = np.abs(draws.mean(axis=1)) <= width
    assert covered.mean() == pytest.approx(0.95, abs=0.006)


def test_groups_are_summarised_like_single_values(make_scores):
    table = summarise(make_scores({"b/v": [1.0, 2.0, 4.0], "b/w": [1.0]}), ["method"])
    one = mean_interval([1.0, 2.0, 4.0])
    assert tuple(table.loc[0, ["n", "mean", "low", "high"]]) == pytest.approx((3, one.mean, one.low, one.high))
    assert math.isnan(table.loc[1, "low"])


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_a_confidence_outside_0_and_1_is_refused(confidence):
    with pytest.raises(UsageError, match="between 0 and 1"):
        mean_interval([1.0, 2.0], confidence)


def test_no_values_are_refused():
    with pytest.raises(UsageError, match="no values"):
        mean_interval([])
