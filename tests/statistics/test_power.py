from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.families import COMPARISON_COLUMNS, Family, run_families
from rmtl_bench.statistics.paired import detectable_effect
from rmtl_bench.statistics.power import POWER_COLUMNS, power_table, reachable_seeds, seeds_needed
from rmtl_bench.statistics.t_power import paired_power


@pytest.mark.parametrize("effect", [0.08, 0.3, 0.5, 0.9, 1.4, 2.5])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_the_seeds_are_statsmodels_rounded_up_and_at_least_three(effect, power):
    theirs = TTestPower().solve_power(effect_size=effect, alpha=0.05, power=power)
    assert seeds_needed(effect, 1.0, power=power) == max(3, math.ceil(theirs))


@pytest.mark.parametrize("effect", [0.1, 0.4, 1.0, 1.9])
@pytest.mark.parametrize("comparisons", [2, 24, 300])
def test_the_seeds_reach_the_power_at_the_corrected_level_and_one_fewer_does_not(effect, comparisons):
    n = seeds_needed(-effect * 0.002, 0.002, comparisons=comparisons)
    theirs = [_power_by_integration(effect, seeds, 0.05 / comparisons) for seeds in (n - 1, n)]
    assert theirs[0] < 0.8 <= theirs[1]


def _power_by_integration(effect, n, alpha):
    """Average the power of a normal test over the standard deviation that is seen."""
    critical = stats.t.isf(alpha / 2, n - 1)
    seen = np.sqrt(stats.chi2.ppf((np.arange(20_000) + 0.5) / 20_000, n - 1) / (n - 1))
    shift = effect * math.sqrt(n)
    return float((stats.norm.sf(critical * seen - shift) + stats.norm.cdf(-critical * seen - shift)).mean())


@settings(deadline=None, max_examples=60)
@given(st.floats(0.05, 3), st.integers(3, 200), st.sampled_from([0.05, 0.01, 0.001]))
def test_the_power_is_statsmodels_wherever_theirs_is_a_number(effect, n, alpha):
    theirs = TTestPower().power(effect, n, alpha)
    ours = float(paired_power(effect, n, alpha))
    assert 0 <= ours <= 1
    assert math.isnan(theirs) or ours == pytest.approx(theirs, abs=1e-10)


@pytest.mark.parametrize("n", [3, 5, 10, 20, 50])
def test_the_detectable_effect_is_statsmodels_and_takes_as_many_seeds(n):
    assert detectable_effect(n) == pytest.approx(TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8), rel=1e-5)
    assert seeds_needed(detectable_effect(n), 1.0) == n
    assert seeds_needed(0.999 * detectable_effect(n), 1.0) == n + 1


@pytest.mark.parametrize("n", [3, 8, 10, 20])
@pytest.mark.parametrize("comparisons", [6, 24, 3_000])
def test_the_detectable_effect_holds_at_corrected_levels_too(n, comparisons):
    level = 0.05 / comparisons
    assert _power_by_integration(detectable_effect(n, level), n, level) == pytest.approx(0.8, abs=2e-3)


def test_the_seeds_of_a_huge_and_of_a_tiny_difference_are_found():
    assert seeds_needed(1e9, 1.0) == seeds_needed(1.0, 0.0) == 3
    # The normal test takes (1.95996 + 0.84162)^2 / effect^2.
    assert seeds_needed(1e-4, 1.0) == pytest.approx(7.8489 / 1e-8, rel=1e-4)


def test_an_exact_test_reaches_its_level_from_these_seeds_on():
    assert [reachable_seeds(m) for m in (1, 6, 24)] == [6, 8, 10]
    for m in (1, 2, 5, 17, 300):
        n = reachable_seeds(m)
        assert 2 / 2**n <= 0.05 / m < 2 / 2 ** (n - 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"difference": 0.0, "sd": 1.0}, "other than 0"),
        ({"difference": math.nan, "sd": 1.0}, "other than 0"),
        ({"difference": 1.0, "sd": -1.0}, "at least 0"),
        ({"difference": 1.0, "sd": 1.0, "power": 1.0}, "a power lies between 0 and 1"),
        ({"difference": 1.0, "sd": 1.0, "alpha": 0.0}, "a level lies between 0 and 1"),
        ({"difference": 1.0, "sd": 1.0, "comparisons": 0}, "at least 1 comparison"),
    ],
)
def test_what_has_no_answer_is_refused(arguments, said):
    with pytest.raises(UsageError, match=said):
        seeds_needed(**arguments)


def _compared(make_scores, n=8):
    rng = np.random.default_rng(0)
    values = {f"b/w{i}": 0.7 + rng.normal(0, 0.004, n) for i in range(3)}
    values["b/w3"] = values["b/w0"] + 0.01
    scores = make_scores(values, metrics=("auc", "logloss"))
    families = [Family("f", ("b/w1", "b/w2", "b/w3"), ("b/w0",))]
    return run_families(scores, families, {"auc": True, "logloss": False}, {})


def test_each_row_says_what_its_seeds_find_and_how_many_it_takes(make_scores):
    compared = _compared(make_scores)
    table = power_table(compared, difference={"auc": 0.002}, equivalence={"logloss": "1%", "auc": 0.5})
    assert list(table.columns) == POWER_COLUMNS
    # The constant difference of b/w3 is no test.
    assert set(table["comparisons"]) == {2}
    assert set(table["reachable"]) == {reachable_seeds(2)}
    row = table.iloc[0]
    assert row["seeds"] == seeds_needed(0.002, row["sd"], comparisons=2)
    assert row["detectable"] == pytest.approx(detectable_effect(8, 0.025) * row["sd"])
    by_percent = table[table["metric"] == "logloss"]
    assert np.allclose(by_percent["difference"], 0.01 * compared.loc[by_percent.index, "mean_reference"])
    constant = table[table["candidate"] == "b/w3"]
    assert constant["seeds"].isna().all()
    assert constant["detectable"].isna().all()


def test_a_metric_without_a_difference_has_no_seeds_and_two_seeds_have_no_sd_to_go_by(make_scores):
    table = power_table(_compared(make_scores), equivalence={"auc": 0.002})
    assert table.loc[table["metric"] == "logloss", ["difference", "seeds"]].isna().all(axis=None)
    assert power_table(_compared(make_scores, n=2), difference=0.002)["seeds"].isna().all()


def test_a_difference_that_is_not_positive_is_refused_by_metric(make_scores):
    with pytest.raises(UsageError, match="found in auc is a positive number, not -1"):
        power_table(_compared(make_scores), difference={"auc": -1.0})


def test_two_thousand_rows_take_no_time():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({name: [0.0] * 2_000 for name in COMPARISON_COLUMNS})
    rows = rows.assign(family=[f"f{i % 50}" for i in range(2_000)], metric="auc", n=10)
    rows["sd"] = np.exp(rng.uniform(-9, 0, 2_000))
    table = power_table(rows, difference=0.001)
    for i in (0, 999, 1_999):
        assert table.loc[i, "seeds"] == seeds_needed(0.001, rows.loc[i, "sd"], comparisons=40)


@pytest.mark.parametrize(("difference", "sd"), [(1e-300, 1e300), (1e-12, 1.0), (5e-324, 1.0)])
def test_where_no_number_of_seeds_will_do_it_says_so_at_once(difference, sd):
    with pytest.raises(UsageError, match="no number of seeds finds a difference of"):
        seeds_needed(difference, sd)


def test_a_great_number_of_seeds_is_still_a_number():
    assert seeds_needed(1e-6, 1.0) == pytest.approx(7.8489e12, rel=1e-4)
    assert seeds_needed(1e300, 1e-300) == 3
