from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.paired import paired_table
from rmtl_bench.statistics.verdicts import VERDICTS, Region, judge, verdict, verdicts


def _judge(a, b, equivalence=None, family="f", metric="auc"):
    a, b = np.atleast_2d(np.asarray(a, dtype=float)), np.atleast_2d(np.asarray(b, dtype=float))
    table = paired_table(a, b, np.ones(len(a), dtype=bool)).assign(family=family, metric=metric)
    return judge(table, equivalence or {})


def test_the_default_verdict_errs_in_5_percent_of_null_tables():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 2_000, 10))
    judged = _judge(a, b, family=[f"table {i}" for i in range(2_000)])
    wrong = judged["verdict"].isin(["better", "worse"]).mean()
    assert 0.04 <= wrong <= 0.06
    assert set(judged["verdict"]) == {"better", "worse", "unresolved"}


def test_a_family_of_true_nulls_errs_once_in_5_percent_of_families():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 400 * 8, 10))
    judged = _judge(a, b, family=np.repeat([f"family {i}" for i in range(400)], 8))
    wrong = judged["verdict"].isin(["better", "worse"]).groupby(judged["family"]).any().mean()
    assert wrong <= 0.075


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_seeds_are_too_few_whatever_they_say(n):
    judged = _judge(np.arange(n) + 100.0, np.zeros(n))
    assert judged.loc[0, "verdict"] == judged.loc[0, "robust"] == "n too small"


def test_constant_differences_are_deterministic_and_not_tested():
    judged = _judge([[0.5, 0.6, 0.7], [0.5, 0.6, 0.9]], [[0.4, 0.5, 0.6], [0.4, 0.2, 0.1]])
    assert judged.loc[0, "verdict"] == "deterministic"
    assert judged.loc[0, "robust"] == ""
    # The other row is alone in its family.
    assert judged.loc[1, "p_holm"] == judged.loc[1, "p"]


def test_five_seeds_in_a_big_family_are_too_few_and_not_unresolved():
    rng = np.random.default_rng(0)
    judged = _judge(*rng.normal(size=(2, 24, 5)))
    assert set(judged["verdict"]) == {"n too small"}
    assert set(judged["robust"]) == {"n too small"}


def test_ten_seeds_leave_a_family_of_24_unresolved_and_one_of_50_too_small():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50, 10))
    assert set(_judge(a[:24], b[:24])["verdict"]) == {"unresolved"}
    assert set(_judge(a, b)["verdict"]) == {"n too small"}


def test_the_exact_p_is_adjusted_over_the_same_family():
    # One seed carries no sign, but the t test believes the small spread of the others.
    d = np.array([0.9, 1.0, 1.1, 1.0, 0.9, 1.1, -0.01])
    alone = _judge([d, d + 5], np.zeros((2, 7)), family=["x", "y"])
    assert list(alone["verdict"]) == ["better", "better"]
    assert set(alone["robust"]) == {"agrees"}
    crowded = _judge(np.vstack([d, np.random.default_rng(0).normal(size=(2, 7))]), np.zeros((3, 7)))
    assert crowded.loc[0, "verdict"] == "better"
    assert crowded.loc[0, "p_exact_holm"] == pytest.approx(3 * alone.loc[0, "p_exact"])


def test_disagreement_is_flagged():
    table = _judge(np.arange(10.0), np.zeros(10)).drop(columns=["p_holm", "p_exact_holm", "verdict", "robust"])
    assert judge(table.assign(p=0.04, p_exact=0.06), {}).loc[0, "robust"] == "disagrees"


def test_equivalence_by_percent_is_of_the_references_mean():
    rng = np.random.default_rng(0)
    reference = 0.5 + rng.normal(0, 0.01, 10)
    candidate = reference + rng.normal(0, 0.0001, 10)
    assert _judge(candidate, reference, {"auc": "0.1%"}).loc[0, "verdict"] == "equivalent"
    assert _judge(candidate, reference, {"auc": "0.001%"}).loc[0, "verdict"] == "unresolved"
    assert _judge(candidate, reference, {"auc": 0.0005}).loc[0, "verdict"] == "equivalent"


def test_a_metric_without_a_region_is_never_equivalent():
    rng = np.random.default_rng(0)
    reference = rng.normal(size=10)
    judged = _judge(reference + rng.normal(0, 1e-9, 10), reference, {"logloss": 1.0})
    assert judged.loc[0, "verdict"] == "unresolved"


def test_a_clear_but_tiny_difference_is_small():
    assert verdict(10, False, 0.0004, 0.001, (0.0003, 0.0005), 0.001) == "better (small)"
    assert verdict(10, False, -0.0004, 0.001, (-0.0005, -0.0003), 0.001) == "worse (small)"
    assert verdict(10, False, -0.004, 0.001, (-0.005, -0.003), 0.001) == "worse"


_NUMBER = st.sampled_from([-0.3, -0.1, 0.0, 0.1, 0.3])
_ROWS = st.fixed_dictionaries(
    {
        "n": st.sampled_from([1, 2, 3, 5, 6, 8, 20]),
        "deterministic": st.booleans(),
        "improvement": _NUMBER,
        "p_holm": st.sampled_from([0.0, 0.0499, 0.05, 0.5, math.nan]),
        "tost_low": _NUMBER,
        "tost_high": st.one_of(_NUMBER, st.just(math.nan)),
        "p_floor": st.sampled_from([0.01, math.nan]),
        "delta": st.sampled_from([0.1, 0.2, math.nan]),
        "level": st.sampled_from([0.05, 0.01, 0.002]),
    }
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_ROWS, min_size=1, max_size=20), st.booleans())
def test_the_verdicts_of_a_table_are_those_of_its_rows(rows, exact):
    table = pd.DataFrame(rows)
    said = verdicts(table, table["delta"].to_numpy(), table["level"].to_numpy(), exact=exact)
    for row, words in zip(rows, said, strict=True):
        resampled = math.isnan(row["p_floor"])
        facts = (row["n"], row["deterministic"], row["improvement"], row["p_holm"])
        tost = (row["tost_low"], row["tost_high"])
        assert words == verdict(*facts, tost, row["delta"], row["level"], exact=exact, resampled=resampled)
        assert words in VERDICTS


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([3, 5, 8]), st.floats(-3, 3))
def test_swapping_the_sides_flips_the_verdict(seed, n, shift):
    a, b = np.random.default_rng(seed).normal(size=(2, n))
    flip = {"better": "worse", "worse": "better", "better (small)": "worse (small)", "worse (small)": "better (small)"}
    one, other = _judge(a + shift, b, {"auc": 0.5}), _judge(b, a + shift, {"auc": 0.5})
    said = one.loc[0, "verdict"]
    assert other.loc[0, "verdict"] == flip.get(said, said)
    assert said in VERDICTS


@pytest.mark.parametrize("text", ["", "x%", 0, -1, "nan", "inf%"])
def test_a_region_that_is_no_positive_number_is_refused(text):
    with pytest.raises(UsageError, match="positive number or a percentage"):
        Region.parse(text)


def test_nothing_to_judge_is_judged():
    empty = paired_table(np.empty((0, 3)), np.empty((0, 3)), np.empty(0, dtype=bool))
    assert judge(empty.assign(family=pd.Series(dtype=str), metric=pd.Series(dtype=str)), {}).empty
