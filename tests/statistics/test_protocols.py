from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics.families import Family, run_families, run_pairs
from rmtl_bench.statistics.protocols import DEFAULT_PROTOCOL, PROTOCOLS, find_protocol
from rmtl_bench.statistics.verdicts import VERDICTS

FAMILY = Family("f", ("b/x", "b/y"), ("b/ref",))


def _values(n, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    base = 0.7 + rng.normal(0, 0.01, n)
    return {
        "b/ref": base,
        "b/x": base + shift + rng.normal(0, 0.004, n),
        "b/y": base + rng.normal(0, 0.004, n),
    }


def _run(scores, protocol, equivalence=None, **more):
    return run_families(scores, [FAMILY], {"auc": True}, equivalence or {}, protocol=protocol, **more)


def test_the_paired_t_test_is_the_default(make_scores):
    scores = make_scores(_values(8))
    default = run_families(scores, [FAMILY], {"auc": True}, {})
    assert default.equals(_run(scores, "paired-t"))
    assert DEFAULT_PROTOCOL == "paired-t"


def test_each_protocol_decides_by_its_own_test(make_scores):
    values = _values(10, shift=0.003)
    scores = make_scores(values)
    a, b = values["b/x"], values["b/ref"]
    flips = stats.permutation_test((a - b,), np.mean, permutation_type="samples", n_resamples=np.inf)
    expected = {
        "paired-t": stats.ttest_rel(a, b).pvalue,
        "wilcoxon": stats.wilcoxon(a, b, method="exact").pvalue,
        "sign-flip": flips.pvalue,
        "rmtl-paper": stats.ttest_ind(a, b, equal_var=True).pvalue,
    }
    assert set(expected) == set(PROTOCOLS)
    interval = stats.ttest_rel(a, b).confidence_interval()
    for protocol, p in expected.items():
        row = _run(scores, protocol).iloc[0]
        assert row["p"] == pytest.approx(p, rel=1e-10), protocol
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high), rel=1e-10), protocol
        assert row["p_exact"] == pytest.approx(flips.pvalue, rel=1e-10), protocol


def test_all_but_the_papers_practice_are_corrected(make_scores):
    scores = make_scores(_values(10, shift=0.003))
    for protocol in PROTOCOLS:
        table = _run(scores, protocol)
        adjusted = table["p"] if protocol == "rmtl-paper" else multipletests(table["p"], method="holm")[1]
        assert np.allclose(table["p_holm"], adjusted), protocol


@pytest.mark.parametrize("protocol", ["wilcoxon", "sign-flip"])
def test_five_seeds_are_too_few_for_an_exact_test_however_clear_the_difference(make_scores, protocol):
    table = _run(make_scores(_values(5, shift=1.0)), protocol, {"auc": 10.0})
    assert set(table["verdict"]) == {"n too small"}
    assert table.loc[0, "p"] == 2 / 2**5


def test_an_exact_test_speaks_as_soon_as_its_level_can_be_reached(make_scores):
    family_of_one = [("f", "b/x", "b/ref")]
    for n, said in ((5, "n too small"), (6, "better")):
        table = run_pairs(make_scores(_values(n, shift=1.0)), family_of_one, {"auc": True}, {}, protocol="wilcoxon")
        assert table.loc[0, "verdict"] == said
    # Two comparisons ask for 0.025, which 7 seeds reach.
    assert set(_run(make_scores(_values(6, shift=1.0)), "sign-flip")["verdict"]) == {"n too small"}
    assert _run(make_scores(_values(7, shift=1.0)), "sign-flip").loc[0, "verdict"] == "better"


def test_equivalence_is_said_where_an_exact_test_has_a_say(make_scores):
    small, large = (make_scores(_values(n)) for n in (5, 10))
    assert set(_run(small, "paired-t", {"auc": 0.1})["verdict"]) == {"equivalent"}
    assert set(_run(small, "wilcoxon", {"auc": 0.1})["verdict"]) == {"n too small"}
    assert set(_run(large, "wilcoxon", {"auc": 0.1})["verdict"]) == {"equivalent"}


def test_without_a_star_nothing_is_claimed(make_scores):
    table = _run(make_scores(_values(8, shift=0.05)), "rmtl-paper", {"auc": 0.5})
    assert list(table["verdict"]) == ["better", "not starred"]
    assert set(table["robust"]) == {""}
    assert "not starred" in VERDICTS
    worse = run_families(make_scores(_values(8, shift=0.05)), [FAMILY], {"auc": False}, {}, protocol="rmtl-paper")
    assert worse.loc[0, "verdict"] == "worse"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_two_seeds_are_too_few_and_constant_differences_are_deterministic_under_every_protocol(make_scores, protocol):
    base = np.array([0.7, 0.71, 0.69, 0.72])
    scores = make_scores({"b/ref": base, "b/x": base + 0.01, "b/y": base})
    assert set(_run(scores, protocol)["verdict"]) == {"deterministic"}
    assert set(_run(make_scores(_values(2)), protocol)["verdict"]) == {"n too small"}
    assert set(_run(make_scores(_values(1)), protocol)["verdict"]) == {"n too small"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_missing_seed_leaves_the_others_to_every_protocol(make_scores, protocol):
    values = _values(9, shift=0.003)
    scores = make_scores(values)
    short = scores[~((scores["method"] == "b/x") & (scores["seed"] == 8))]
    table = _run(short, protocol, only_shared=True)
    alone = _run(make_scores({m: v[:8] for m, v in values.items()}), protocol)
    assert list(table["n"]) == [8, 9]
    assert table.loc[0, "p"] == pytest.approx(alone.loc[0, "p"])


def test_equal_and_zero_differences_make_wilcoxon_careful_and_not_loud(make_scores):
    zeros = np.zeros(8)
    scores = make_scores({"b/ref": zeros, "b/x": np.array([1.0, 1, 2, 2, 3, 4, 5, 0]), "b/y": np.arange(1.0, 9)})
    table = _run(scores, "wilcoxon")
    assert list(table["p"]) == [2 / 2**7, 2 / 2**8]


@pytest.mark.parametrize("protocol", ["wilcoxon", "sign-flip"])
def test_an_exact_test_of_splits_is_refused(make_scores, protocol):
    with pytest.raises(UsageError, match=f"'{protocol}' takes independent seeds, not resampled splits"):
        _run(make_scores(_values(8)), protocol, resampled={"toy": 0.25})


def test_an_unknown_protocol_is_refused_with_a_hint(make_scores):
    with pytest.raises(UsageError, match="unknown protocol 'wilcoxen'; did you mean 'wilcoxon'"):
        find_protocol("wilcoxen")
    with pytest.raises(UsageError, match="did you mean 'paired-t'"):
        _run(make_scores(_values(3)), "paired_t")


def test_only_the_papers_practice_carries_a_warning():
    assert [name for name, protocol in PROTOCOLS.items() if protocol.warning] == ["rmtl-paper"]
    for word in ("unpaired", "not corrected", "picked on the same seeds", "comparison"):
        assert word in PROTOCOLS["rmtl-paper"].warning
