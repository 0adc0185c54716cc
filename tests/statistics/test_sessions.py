"""The bootstrap over sessions: exact where it can be counted, and honest where it can only be simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.metrics import probability
from rmtl_bench.metrics.ranking import auc_score
from rmtl_bench.statistics.sessions import (
    CLIP,
    MetricDraws,
    bootstrap_metric,
    cluster_draws,
    metric_draws,
    paired_bootstrap,
    paired_variance,
    weighted_auc,
    weighted_logloss,
)

_ROW = st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3))
_WEIGHTS = st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=4)


def _auc_of_all_pairs(labels, scores, weights):
    """Every positive against every negative, each pair as heavy as the product of its rows."""
    won = total = 0.0
    for i in np.flatnonzero(labels):
        for j in np.flatnonzero(~labels):
            weight = weights[i] * weights[j]
            won += weight * (1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0)
            total += weight
    return won / total if total else math.nan


def _random(rows=400, sessions=50, seeds=3, seed=0):
    rng = np.random.default_rng(seed)
    clusters = np.sort(rng.integers(0, sessions, rows))
    labels = (rng.random(rows) < 0.3).astype(np.float32)
    a, b = (np.clip(rng.normal(0.3 + 0.2 * labels, 0.2, (seeds, rows)), 0.01, 0.99).astype(np.float32) for _ in "ab")
    return labels, clusters, a, b


@given(st.lists(_ROW, min_size=1, max_size=14), _WEIGHTS)
def test_the_weighted_auc_counts_every_pair(rows, weights):
    labels, scores, clusters = (np.array(column) for column in zip(*rows, strict=True))
    found = weighted_auc(labels, scores[None].astype(float), clusters, np.array(weights, dtype=np.uint8))[0]
    expected = [_auc_of_all_pairs(labels, scores, np.array(row)[clusters]) for row in weights]
    assert found == pytest.approx(expected, nan_ok=True)


@given(st.lists(_ROW, min_size=1, max_size=14), _WEIGHTS)
def test_the_weighted_logloss_is_the_weighted_mean_over_rows(rows, weights):
    labels, scores, clusters = (np.array(column) for column in zip(*rows, strict=True))
    p = scores / 5
    found = weighted_logloss(labels, p[None], clusters, np.array(weights, dtype=np.uint8))[0]
    p = np.clip(p, CLIP, 1 - CLIP)
    losses = -np.where(labels, np.log(p), np.log(1 - p))
    for value, row in zip(found, weights, strict=True):
        w = np.array(row)[clusters]
        expected = np.average(losses, weights=w) if w.sum() else math.nan
        assert value == pytest.approx(expected, nan_ok=True)


def test_many_draws_are_weighed_in_blocks_as_one_by_one(monkeypatch):
    labels, clusters, a, _ = _random()
    weights = cluster_draws(50, 33)
    whole = [compute(labels > 0.5, a, clusters, weights) for compute in (weighted_auc, weighted_logloss)]
    monkeypatch.setattr("rmtl_bench.statistics.sessions._BLOCK", 1)
    for compute, expected in zip((weighted_auc, weighted_logloss), whole, strict=True):
        assert compute(labels > 0.5, a, clusters, weights) == pytest.approx(expected, rel=1e-12)


def test_the_rows_as_they_are_have_the_metrics_of_the_runs():
    labels, clusters, a, _ = _random()
    assert CLIP == probability.CLIP
    by_auc, by_logloss = (metric_draws(labels, clusters, a, metric, draws=2) for metric in ("auc", "logloss"))
    assert by_auc.values == pytest.approx([auc_score(labels, one) for one in a], rel=1e-12)
    losses = -np.log(np.where(labels > 0.5, a, 1 - a.astype(float)))
    assert by_logloss.values == pytest.approx(losses.mean(axis=1), rel=1e-6)


def test_every_draw_takes_as_many_clusters_as_there_are_and_a_seed_repeats_it():
    draws = cluster_draws(30, 50, seed=3)
    assert (draws.sum(axis=1) == 30).all()
    assert np.array_equal(draws, cluster_draws(30, 50, seed=3))
    assert not np.array_equal(draws, cluster_draws(30, 50, seed=4))
    # Poisson-like: variance 1 - 1/C.
    assert cluster_draws(100, 2000).astype(float).var() == pytest.approx(0.99, abs=0.02)


@pytest.mark.parametrize("metric", ["auc", "logloss"])
def test_identical_scores_do_not_vary_and_swapping_turns_the_sign(metric):
    labels, clusters, a, b = _random()
    same = paired_bootstrap(labels, clusters, a, a, metric, draws=50)
    assert (same.difference, same.se_seeds, same.se_sessions, same.low, same.high) == (0, 0, 0, 0, 0)
    assert same.limited_by == ""
    one, other = (paired_bootstrap(labels, clusters, *pair, metric, draws=50) for pair in ((a, b), (b, a)))
    assert one.difference == -other.difference
    assert (one.se, one.high, one.session_high) == pytest.approx((other.se, -other.low, -other.session_low))


def test_pairing_by_session_takes_out_what_both_methods_share():
    labels, clusters, a, _ = _random(seeds=1)
    noise = np.random.default_rng(1).normal(0, 0.01, a.shape)
    paired = paired_bootstrap(labels, clusters, a, a + noise, "auc", draws=200)
    assert paired.se_sessions < 0.2 * bootstrap_metric(labels, clusters, a[0], "auc", draws=200).se


def test_rows_without_a_label_are_left_out_with_their_sessions():
    labels, clusters, a, b = _random()
    labels[clusters < 5] = np.nan
    known = clusters >= 5
    found = paired_bootstrap(labels, clusters, a, b, "auc", draws=50)
    assert found == paired_bootstrap(labels[known], clusters[known], a[:, known], b[:, known], "auc", draws=50)
    assert found.sessions == len(np.unique(clusters[known]))


def test_ids_may_be_any_integers_in_any_order():
    labels, clusters, a, b = _random()
    shuffled = np.random.default_rng(0).permutation(len(labels))
    moved = (x[..., shuffled] for x in (labels, clusters * 7 - 1000, a, b))
    one, other = paired_bootstrap(labels, clusters, a, b, "auc", draws=50), paired_bootstrap(*moved, "auc", draws=50)
    assert vars(one) == pytest.approx(vars(other))


def test_draws_without_a_positive_are_skipped_and_counted():
    labels, clusters = np.array([1.0, 0, 0, 0, 0, 0]), np.arange(6)
    scores = np.array([0.9, 0.1, 0.2, 0.95, 0.3, 0.4])
    found = bootstrap_metric(labels, clusters, scores, "auc", draws=400)
    # The only positive is missed with probability (5/6)^6 = 0.335.
    assert found.skipped / 400 == pytest.approx((5 / 6) ** 6, abs=0.06)
    assert found.value == 0.8
    assert np.isfinite([found.se, found.low, found.high]).all()
    assert bootstrap_metric(labels, clusters, scores, "logloss", draws=400).skipped == 0


def test_both_errors_add_up_with_satterthwaites_degrees_of_freedom():
    labels, clusters, a, b = _random(seeds=4)
    found = paired_bootstrap(labels, clusters, a, b, "auc", draws=200)
    by_seed = [auc_score(labels, x) - auc_score(labels, y) for x, y in zip(a, b, strict=True)]
    assert found.difference == pytest.approx(np.mean(by_seed))
    assert found.se_seeds == pytest.approx(stats.sem(by_seed))
    v_seeds, v_sessions = found.se_seeds**2, found.se_sessions**2
    df = (v_seeds + v_sessions) ** 2 / (v_seeds**2 / 3 + v_sessions**2 / 49)
    low, high = stats.t.interval(0.95, df, found.difference, math.sqrt(v_seeds + v_sessions))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.limited_by == ("seeds" if v_seeds > v_sessions else "sessions")


def test_without_noise_of_sessions_the_interval_is_the_t_interval_over_seeds():
    values = np.array([0.01, 0.03, 0.02, 0.05])
    a, b = (MetricDraws(x, np.repeat(x[:, None], 10, axis=1), 1000) for x in (values, np.zeros(4)))
    found = paired_variance(a, b)
    assert found.se_sessions == pytest.approx(0, abs=1e-15)
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 3, values.mean(), stats.sem(values)))
    assert found.limited_by == "seeds"


def test_one_seed_has_an_interval_over_sessions_and_no_other():
    labels, clusters, a, b = _random(seeds=1)
    found = paired_bootstrap(labels, clusters, a, b, "auc", draws=50)
    assert found.session_low < found.difference < found.session_high
    assert all(math.isnan(x) for x in (found.se_seeds, found.se, found.low, found.high))
    assert found.limited_by == ""


@pytest.mark.parametrize("sessions", [0, 1])
def test_one_session_or_none_says_nothing(sessions):
    labels = np.array([1.0, 0, 1, 0]) if sessions else np.full(4, np.nan)
    found = paired_bootstrap(labels, np.zeros(4, int), np.ones((2, 4)), np.zeros((2, 4)), "logloss", draws=10)
    assert (found.sessions, found.skipped) == (sessions, 10)
    assert math.isnan(found.se_sessions)
    assert math.isnan(found.low)


def test_a_score_that_is_no_number_makes_a_metric_that_is_none():
    labels, clusters, a, b = _random()
    a[0, 3] = np.nan
    for metric in ("auc", "logloss"):
        found = metric_draws(labels, clusters, a, metric, draws=10)
        assert np.isnan(found.draws[0]).all()
        assert np.isfinite(found.draws[1:]).all()
        assert math.isnan(paired_bootstrap(labels, clusters, a, b, metric, draws=10).difference)


def test_what_does_not_fit_is_refused():
    labels, clusters, a, b = _random()
    with pytest.raises(UsageError, match="'acu' has no bootstrap over sessions; those that do are auc, logloss"):
        bootstrap_metric(labels, clusters, a[0], "acu")
    with pytest.raises(UsageError, match=r"not labels \(400,\), clusters \(399,\)"):
        paired_bootstrap(labels, clusters[1:], a, b, "auc")
    with pytest.raises(UsageError, match="at least 2 draws, not 1"):
        paired_bootstrap(labels, clusters, a, b, "auc", draws=1)
    with pytest.raises(UsageError, match="not paired"):
        paired_bootstrap(labels, clusters, a, b[:2], "auc", draws=10)
    with pytest.raises(UsageError, match="the draws are of 4 clusters; 50 have a known label"):
        metric_draws(labels, clusters, a, "auc", weights=cluster_draws(4, 10))


SETS, SESSIONS, ROWS = 400, 150, 8


def _of_session(values):
    return np.repeat(values, ROWS, axis=1)


def _session_labels(rng, rate):
    """Labels that all rows of a session share: the dependence at its strongest."""
    return _of_session((rng.random((SETS, SESSIONS)) < rate).astype(float))


def _auc_sets(rng):
    """Two models on the same sessions; pairs of both classes are of different sessions, hence the closed form."""
    labels = _session_labels(rng, 0.5)
    of_session = rng.normal(size=(2, SETS, SESSIONS))
    of_row = 0.5 * rng.normal(size=(2, *labels.shape))
    gaps = np.array([1.2, 0.8])
    scores = [gap * labels + _of_session(u) + e for gap, u, e in zip(gaps, of_session, of_row, strict=True)]
    return labels, scores, stats.norm.cdf(gaps / math.sqrt(2 * 1.25))


def _logloss_sets(rng):
    labels = _session_labels(rng, 0.4)
    p = _of_session(rng.choice([0.3, 0.6], (SETS, SESSIONS)))
    truth = np.mean([-(0.4 * math.log(q) + 0.6 * math.log(1 - q)) for q in (0.3, 0.6)])
    constant = -(0.4 * math.log(0.35) + 0.6 * math.log(0.65))
    return labels, [p, np.full_like(p, 0.35)], (truth, constant)


@pytest.mark.parametrize(("metric", "simulate"), [("auc", _auc_sets), ("logloss", _logloss_sets)])
@pytest.mark.parametrize("of", ["one model", "difference"])
def test_resampled_sessions_cover_the_truth_and_resampled_rows_do_not(metric, simulate, of):
    labels, (first, second), truths = simulate(np.random.default_rng(7))
    truth = truths[0] - (truths[1] if of == "difference" else 0.0)
    by_session, by_row = _of_session(np.arange(SESSIONS)[None])[0], np.arange(SESSIONS * ROWS)
    draws = {len(np.unique(ids)): cluster_draws(len(np.unique(ids)), 300) for ids in (by_session, by_row)}
    covered = {SESSIONS: 0, SESSIONS * ROWS: 0}
    for y, a, b in zip(labels, first, second, strict=True):
        for ids in (by_session, by_row):
            weights = draws[len(np.unique(ids))]
            one, other = (metric_draws(y, ids, x[None], metric, weights=weights).draws[0] for x in (a, b))
            low, high = np.quantile(one - other if of == "difference" else one, [0.025, 0.975])
            covered[weights.shape[1]] += low <= truth <= high
    assert 0.92 <= covered[SESSIONS] / SETS <= 0.97
    assert covered[SESSIONS * ROWS] / SETS < 0.88


def test_both_errors_together_cover_what_neither_covers_alone():
    rng, seeds, sd, sets = np.random.default_rng(2), 5, 0.4, 300
    ids, weights = _of_session(np.arange(SESSIONS)[None])[0], cluster_draws(SESSIONS, 100)
    # A seed shifts the gap between the classes: the mean over all seeds that might have been is in closed form.
    better, worse = stats.norm.cdf(np.array([1.2, 0.8]) / math.sqrt(2 * 1.25 + sd**2))
    covered = dict.fromkeys(("both", "sessions", "seeds"), 0)
    for _ in range(sets):
        labels = _of_session((rng.random((1, SESSIONS)) < 0.5).astype(float))[0]
        sides = []
        for gap in (1.2, 0.8):
            shared = _of_session(rng.normal(size=(1, SESSIONS)))
            own = 0.5 * rng.normal(size=(seeds, len(labels)))
            scores = (gap + sd * rng.normal(size=(seeds, 1))) * labels + shared + own
            sides.append(metric_draws(labels, ids, scores, "auc", weights=weights))
        found = paired_variance(*sides)
        covered["both"] += found.low <= better - worse <= found.high
        covered["sessions"] += found.session_low <= better - worse <= found.session_high
        covered["seeds"] += abs(found.difference - (better - worse)) <= stats.t.ppf(0.975, seeds - 1) * found.se_seeds
    assert 0.91 <= covered["both"] / sets <= 0.98
    assert max(covered["sessions"], covered["seeds"]) / sets < 0.90


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_permuting_the_seeds_of_both_together_changes_nothing(seed):
    labels, clusters, a, b = _random(rows=60, sessions=12, seeds=4, seed=seed)
    order = np.random.default_rng(seed).permutation(4)
    one, other = (
        vars(paired_bootstrap(labels, clusters, x, y, "auc", draws=20)) for x, y in ((a, b), (a[order], b[order]))
    )
    one.pop("limited_by"), other.pop("limited_by")
    assert one == pytest.approx(other, nan_ok=True)
