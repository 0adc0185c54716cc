"""The protocol on simulated tables, where the truth is known: it errs as often as it says, and no more."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.exploratory import exploratory_pairs
from rmtl_bench.statistics.families import Family, run_families
from rmtl_bench.statistics.paired import paired_table
from rmtl_bench.statistics.verdicts import judge

FOUND = ("better", "better (small)", "worse", "worse (small)")
TABLES = 2_000


def _judged(a, b, families, equivalence=None, **more):
    table = paired_table(a, b, np.ones(len(a), dtype=bool), **more)
    return judge(table.assign(family=families, metric="auc"), equivalence or {})


@pytest.mark.parametrize("n", [5, 10, 20])
def test_equal_methods_are_told_apart_in_5_percent_of_tables(n):
    a, b = np.random.default_rng(n).normal(size=(2, TABLES, n))
    found = _judged(a, b, [f"table {i}" for i in range(TABLES)])["verdict"].isin(FOUND)
    assert 0.04 <= found.mean() <= 0.06


@pytest.mark.parametrize("n", [5, 10, 20])
def test_the_t_interval_covers_the_truth_in_95_percent_of_tables(n):
    rng = np.random.default_rng(100 + n)
    b = rng.normal(size=(TABLES, n))
    table = paired_table(b + 0.3 + rng.normal(size=(TABLES, n)), b, np.ones(TABLES, dtype=bool))
    assert 0.94 <= ((table["low"] <= 0.3) & (table["high"] >= 0.3)).mean() <= 0.96
    assert 0.89 <= ((table["tost_low"] <= 0.3) & (table["tost_high"] >= 0.3)).mean() <= 0.91


@pytest.mark.parametrize("shared", [False, True])
def test_a_family_of_equal_methods_errs_in_at_most_5_percent_of_families(shared):
    # Of 8 independent comparisons 1 - (1 - 0.05 / 8)^8 = 4.9 % of families err, of correlated ones fewer. The share of
    # 6,000 families has a standard error of 0.3 %: that it is at most 5 % is a property of the seed as well.
    families, comparisons, n = 6_000, 8, 8
    rng = np.random.default_rng(1)
    a = rng.normal(size=(families * comparisons, n))
    b = rng.normal(size=(families, n)).repeat(comparisons, axis=0) if shared else rng.normal(size=a.shape)
    judged = _judged(a, b, np.repeat(np.arange(families), comparisons))
    err = judged["verdict"].isin(FOUND).groupby(judged["family"]).any().mean()
    assert err <= 0.05
    assert err >= (0.02 if shared else 0.04)
    uncorrected = (judged["p"] < 0.05).groupby(judged["family"]).any().mean()
    assert uncorrected > 0.15


def test_methods_at_the_edge_of_the_region_are_called_equivalent_in_at_most_5_percent_of_tables():
    rng = np.random.default_rng(0)
    b = rng.normal(size=(TABLES, 10))
    judged = _judged(b + 0.5 + rng.normal(0, 0.5, (TABLES, 10)), b, np.arange(TABLES), {"auc": 0.5})
    assert (judged["tost_high"] <= 0.5).mean() <= 0.06
    assert (judged["verdict"] == "equivalent").mean() <= 0.06


def _overlapping_splits(tables, splits, rows, test):
    """Losses of two equal learners on random splits of one small data set, [tables, splits] each.

    Each learner predicts the mean of its own feature in the training rows and is judged by the squared error.
    """
    rng = np.random.default_rng(0)
    tested = rng.random((tables, splits, rows)).argsort(axis=-1) < test
    losses = []
    for _ in range(2):
        feature = rng.normal(size=(tables, 1, rows))
        prediction = np.where(tested, 0.0, feature).sum(axis=-1, keepdims=True) / (rows - test)
        losses.append(np.where(tested, (feature - prediction) ** 2, 0.0).sum(axis=-1) / test)
    return losses


def test_overlapping_splits_fool_the_paired_test_and_not_the_corrected_one():
    a, b = _overlapping_splits(TABLES, splits=15, rows=40, test=8)
    naive = _judged(a, b, np.arange(TABLES))
    corrected = _judged(a, b, np.arange(TABLES), test_share=np.full(TABLES, 8 / 32))
    assert naive["verdict"].isin(FOUND).mean() > 0.25
    assert corrected["verdict"].isin(FOUND).mean() <= 0.06
    assert ((corrected["low"] <= 0) & (corrected["high"] >= 0)).mean() >= 0.94
    assert ((naive["low"] <= 0) & (naive["high"] >= 0)).mean() < 0.75


def test_of_what_all_pairs_find_at_most_5_percent_is_noise(make_scores):
    # 18 equal methods and 6 better ones, in each of 60 tables.
    methods = [f"b/w{i:02}" for i in range(24)]
    scores = make_scores(dict.fromkeys(methods, [0.0] * 10))
    true = dict(zip(methods, np.repeat([0.0, 1.2], [18, 6]), strict=True))
    rng, shares = np.random.default_rng(0), []
    for _ in range(60):
        drawn = scores.assign(value=scores["method"].map(true) + rng.normal(size=len(scores)))
        table = exploratory_pairs(drawn, {"auc": True}, {})
        found = table["verdict"].isin(FOUND)
        noise = table["a"].map(true) == table["b"].map(true)
        shares.append((found & noise).sum() / max(1, found.sum()))
    assert np.mean(shares) <= 0.05


def test_every_number_is_scipys_or_statsmodels():
    a, b = np.random.default_rng(0).normal(size=(2, 12, 9))
    a += 0.4
    judged = _judged(a, b, np.repeat(["f", "g"], 6), {"auc": 0.9})
    theirs = stats.ttest_rel(a, b, axis=1)
    wide, narrow = theirs.confidence_interval(0.95), theirs.confidence_interval(0.90)
    flips = [_flip_p(d) for d in a - b]
    expected = {
        "p": theirs.pvalue,
        "low": wide.low,
        "high": wide.high,
        "tost_low": narrow.low,
        "tost_high": narrow.high,
        "p_exact": flips,
        "p_holm": _holm_of_halves(theirs.pvalue),
        "p_exact_holm": _holm_of_halves(flips),
    }
    for name, values in expected.items():
        assert np.allclose(judged[name], values, rtol=1e-10, atol=0), name
    tost = np.array([ttost_paired(x, y, -0.9, 0.9)[0] for x, y in zip(a, b, strict=True)])
    inside = (judged["tost_low"] >= -0.9) & (judged["tost_high"] <= 0.9)
    assert list(inside) == list(tost <= 0.05)
    assert 0 < inside.sum() < 12


def _flip_p(d):
    return stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue


def _holm_of_halves(p):
    return np.concatenate([multipletests(half, method="holm")[1] for half in np.split(np.asarray(p), 2)])


def _planted(n=10):
    rng = np.random.default_rng(0)
    seeds = rng.normal(0.7, 0.004, n)
    means = {"b/reference": 0.0, "b/better": 0.01, "b/equal": 0.0, "b/worse": -0.01, "b/noisy": 0.0}
    spread = {"b/noisy": 0.02}
    return {method: seeds + mean + rng.normal(0, spread.get(method, 0.0005), n) for method, mean in means.items()}


FAMILY = Family("planted", ("*",), ("b/reference",))
REGION = {"auc": 0.002, "logloss": 0.002}


def test_what_was_planted_is_found(make_scores):
    table = run_families(make_scores(_planted()), [FAMILY], {"auc": True}, REGION)
    said = dict(zip(table["candidate"].str.removeprefix("b/"), table["verdict"], strict=True))
    assert said == {"better": "better", "equal": "equivalent", "worse": "worse", "noisy": "unresolved"}
    turned = run_families(make_scores(_planted()), [FAMILY], {"auc": False}, REGION)
    said = dict(zip(turned["candidate"].str.removeprefix("b/"), turned["verdict"], strict=True))
    assert said == {"better": "worse", "equal": "equivalent", "worse": "better", "noisy": "unresolved"}


def test_five_seeds_say_nothing_under_wilcoxon_and_one_seed_nothing_at_all(make_scores):
    five = run_families(make_scores(_planted(5)), [FAMILY], {"auc": True}, REGION, protocol="wilcoxon")
    one = run_families(make_scores(_planted(1)), [FAMILY], {"auc": True}, REGION)
    assert set(five["verdict"]) == set(one["verdict"]) == {"n too small"}
    assert one["p"].isna().all()
    assert one["difference"].notna().all()


def test_unpaired_seeds_and_mixed_versions_are_refused(make_scores):
    scores = make_scores(_planted())
    short = scores[~((scores["method"] == "b/better") & (scores["seed"] == 4))]
    with pytest.raises(UsageError, match=r"b/better and b/reference are not paired .*: 4"):
        run_families(short, [FAMILY], {"auc": True}, REGION)
    for name, said in (("suite", "suite versions"), ("fingerprint", "states of the data")):
        mixed = scores.assign(**{name: ["x@1", "x@2"] * (len(scores) // 2)})
        with pytest.raises(UsageError, match=said):
            run_families(mixed, [FAMILY], {"auc": True}, REGION)


FLIPPED = {"better": "worse", "worse": "better", "better (small)": "worse (small)", "worse (small)": "better (small)"}


@pytest.mark.parametrize("protocol", ["paired-t", "wilcoxon", "sign-flip", "rmtl-paper"])
def test_what_must_not_matter_does_not(make_scores, protocol):
    scores = make_scores(_planted(), tasks=("click", "pay"))
    rng = np.random.default_rng(1)
    scores["value"] += rng.normal(0, 0.001, len(scores))

    def run(frame, sides=(("b/*",), ("b/reference",))):
        table = run_families(frame, [Family("f", *sides)], {"auc": True}, REGION, protocol=protocol)
        method = table["candidate"].where(table["candidate"] != "b/reference", table["reference"])
        return table.assign(method=method).sort_values(["task", "method"], ignore_index=True)

    plain = run(scores)
    swapped = run(scores, (("b/reference",), ("b/*",)))
    assert list(swapped["verdict"]) == [FLIPPED.get(word, word) for word in plain["verdict"]]
    assert np.allclose(swapped["p_holm"], plain["p_holm"])
    assert np.allclose(swapped["low"], -plain["high"])
    shuffled = dict(enumerate(rng.permutation(10).tolist()))
    for same in (scores.assign(value=scores["value"] + 3.0), scores.assign(seed=scores["seed"].map(shuffled))):
        other = run(same.sample(frac=1, random_state=0))
        assert list(other["verdict"]) == list(plain["verdict"])
        numbers = ["difference", "low", "high", "p", "p_holm", "p_exact", "mde", "sd", "tost_low"]
        pd.testing.assert_frame_equal(other[numbers], plain[numbers], rtol=1e-8)
    assert {"better", "worse"} <= set(plain["verdict"])
