from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.families import Family, run_families
from rmtl_bench.statistics.paired import compare, detectable_effect, paired_table
from rmtl_bench.statistics.ranks import rank_methods

D = np.array([0.3, 0.5, -0.1, 0.4, 0.6])


def _two(rng, n=10, shift=0.0):
    base = rng.normal(0.7, 0.01, n)
    return {"b/x": base + shift + rng.normal(0, 0.01, n), "b/y": base}


def test_the_corrected_test_gives_the_values_worked_out_by_hand():
    # mean .34, variance .073, (1/5 + 1/9) * .073 = .02271111, its root .15070206, t = 2.25610721 with 4 degrees.
    row = paired_table(D[None], np.zeros((1, 5)), np.array([True]), test_share=np.array([1 / 9])).iloc[0]
    assert row["p"] == pytest.approx(2 * stats.t.sf(2.25610721, 4), rel=1e-7)
    assert row["low"] == pytest.approx(0.34 - 2.7764451052 * 0.15070206, rel=1e-7)
    assert row["tost_high"] == pytest.approx(0.34 + 2.1318467863 * 0.15070206, rel=1e-7)


def test_a_share_of_zero_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 6, 7))
    up = np.ones(6, dtype=bool)
    plain, zero = paired_table(a, b, up), paired_table(a, b, up, test_share=np.zeros(6))
    assert plain.equals(zero)
    assert np.allclose(plain["p"], stats.ttest_rel(a, b, axis=1).pvalue, rtol=1e-10, atol=0)


def test_rows_of_splits_and_rows_of_seeds_stand_side_by_side():
    a, b, up = np.vstack([D, D]), np.zeros((2, 5)), np.array([True, True])
    table = paired_table(a, b, up, test_share=np.array([0.0, 0.25]))
    assert table.loc[1, "p"] > table.loc[0, "p"]
    assert table.loc[1, "high"] > table.loc[0, "high"]
    assert table.loc[1, "d_z"] == table.loc[0, "d_z"]
    assert np.isfinite(table.loc[0, ["p_exact", "p_floor"]].astype(float)).all()
    assert table.loc[1, ["p_exact", "p_floor"]].isna().all()


def test_the_detectable_effect_of_splits_is_found_with_80_percent_power():
    n, share, sd = 10, 0.25, 1.0
    result = compare(dict(enumerate(np.append(D, D))), dict.fromkeys(range(10), 0.0), True, test_share=share)
    assert result.mde == pytest.approx(detectable_effect(n) * math.sqrt(1 + n * share) * result.sd)
    off_centre = result.mde / result.sd * sd / math.sqrt(1 / n + share)
    critical = stats.t.isf(0.025, n - 1)
    assert stats.nct.sf(critical, n - 1, off_centre) == pytest.approx(0.8, abs=1e-6)


def test_only_the_data_sets_that_are_resampled_are_corrected(make_scores):
    scores = make_scores(_two(np.random.default_rng(0), shift=0.005), ("seeds", "splits"))
    families = [Family("f", ("b/x",), ("b/y",))]
    table = run_families(scores, families, {"auc": True}, {}, resampled={"splits": 0.25}).set_index("dataset")
    plain = run_families(scores, families, {"auc": True}, {}).set_index("dataset")
    assert table.loc["seeds", "p"] == plain.loc["seeds", "p"]
    ratio = table.loc["splits", "high"] - table.loc["splits", "low"]
    assert ratio / (plain.loc["splits", "high"] - plain.loc["splits", "low"]) == pytest.approx(math.sqrt(1 + 10 * 0.25))
    assert list(table["robust"]) == ["agrees", ""]


def test_splits_have_no_exact_test_that_would_ask_for_more_of_them(make_scores):
    scores = make_scores(_two(np.random.default_rng(0), n=5))
    families = [Family("f", ("b/x",), ("b/y",))]
    assert run_families(scores, families, {"auc": True}, {}).loc[0, "verdict"] == "n too small"
    table = run_families(scores, families, {"auc": True}, {}, resampled={"toy": 0.25})
    assert table.loc[0, "verdict"] == "unresolved"


def test_ranks_of_splits_are_more_careful(make_scores):
    scores = make_scores(_two(np.random.default_rng(0), shift=0.012))
    assert list(rank_methods(scores, {"auc": True})["rank"]) == [1, 2]
    assert list(rank_methods(scores, {"auc": True}, resampled={"toy": 1.0})["rank"]) == [1, 1]


@pytest.mark.parametrize("share", [0.0, -1.0, math.nan, math.inf])
def test_a_share_that_is_no_positive_number_is_refused_and_named(make_scores, share):
    scores = make_scores(_two(np.random.default_rng(0)))
    with pytest.raises(UsageError, match="'toy': n_test / n_train is a positive number"):
        run_families(scores, [Family("f", ("b/x",), ("b/y",))], {"auc": True}, {}, resampled={"toy": share})


def test_a_negative_share_of_a_row_is_refused():
    with pytest.raises(UsageError, match="n_test / n_train"):
        paired_table(D[None], np.zeros((1, 5)), np.array([True]), test_share=np.array([-0.1]))
