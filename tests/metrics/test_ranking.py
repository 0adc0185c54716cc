from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from rmtl_bench.metrics import grouping
from rmtl_bench.metrics.ranking import auc, auc_score, gauc

# Few distinct scores, so that ties are the rule.
ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 3)), max_size=40)


def auc_of_pairs(labels, scores):
    """The definition: of every positive with every negative."""
    pairs = [
        (p, n) for p, a in zip(scores, labels, strict=True) if a for n, b in zip(scores, labels, strict=True) if not b
    ]
    if not pairs:
        return math.nan
    return sum(2 * (p > n) + (p == n) for p, n in pairs) / (2 * len(pairs))


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ([0, 1], [0.1, 0.9], 1.0),
        ([0, 1], [0.9, 0.1], 0.0),
        ([0, 1], [0.5, 0.5], 0.5),
        ([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.75),
        ([0, 1, 0, 1], [0.2, 0.2, 0.2, 0.3], 0.75),
        ([0, 1, 1], [-math.inf, 0.0, math.inf], 1.0),
    ],
)
def test_auc_of_hand_computed_cases(predictions, labels, scores, expected):
    assert auc(predictions(labels, scores)) == expected


@settings(deadline=None)
@given(ROWS)
def test_auc_is_the_share_of_pairs_in_the_right_order(rows):
    labels = np.array([r[0] for r in rows], dtype=np.float64)
    scores = np.array([r[1] for r in rows], dtype=np.float64) / 7
    np.testing.assert_equal(auc_score(labels, scores), auc_of_pairs(labels, scores))


@settings(deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_auc_depends_on_the_order_of_the_scores_alone(rows, random):
    labels = np.array([r[0] for r in rows], dtype=np.float64)
    scores = np.array([r[1] for r in rows], dtype=np.float64)
    shuffled = np.array(random.sample(range(len(rows)), len(rows)), dtype=np.int64)
    expected = auc_score(labels, scores)
    np.testing.assert_equal(auc_score(labels, np.exp(scores) - 100), expected)
    np.testing.assert_equal(auc_score(labels[shuffled], scores[shuffled]), expected)


@settings(deadline=None)
@given(ROWS)
def test_exchanging_the_classes_mirrors_the_auc(rows):
    labels = np.array([r[0] for r in rows], dtype=np.float64)
    scores = np.array([r[1] for r in rows], dtype=np.float64)
    np.testing.assert_allclose(auc_score(1 - labels, scores), 1 - auc_score(labels, scores), atol=1e-12)


def test_auc_of_many_rows_is_the_mann_whitney_statistic():
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(3)
    labels = (rng.random(5000) < 0.02).astype(np.float64)
    scores = np.round(rng.random(5000), 2).astype(np.float32)
    positive, negative = scores[labels == 1], scores[labels == 0]
    u = mannwhitneyu(positive, negative).statistic
    assert auc_score(labels, scores) == pytest.approx(u / (len(positive) * len(negative)), abs=1e-12)


@pytest.fixture(scope="module", params=["few ties", "many ties", "float32", "rare positives", "rare negatives"])
def columns(request):
    """Labels, scores and users of 20,000 rows."""
    rng = np.random.default_rng(5)
    scores = rng.beta(2, 8, 20_000)
    rate = {"rare positives": 0.01, "rare negatives": 0.99}.get(request.param, 0.4)
    labels = (rng.random(20_000) < rate + 0.1 * (scores - 0.2)).astype(np.float64)
    if request.param == "many ties":
        scores = np.round(scores, 1)
    if request.param == "float32":
        scores = scores.astype(np.float32)
    return labels, scores, rng.integers(100, size=20_000)


def test_auc_is_that_of_scikit_learn(columns):
    labels, scores, _ = columns
    assert auc_score(labels, scores) == pytest.approx(roc_auc_score(labels, scores), rel=0, abs=1e-12)


@pytest.mark.parametrize("in_order", [True, False], ids=["users in order", "users mixed"])
def test_gauc_is_the_weighted_mean_of_scikit_learns_auc(predictions, columns, in_order):
    labels, scores, users = columns
    users = np.sort(users) if in_order else users
    areas, rows = [], []
    for user in np.unique(users):
        mine = users == user
        if len(np.unique(labels[mine])) == 2:
            areas.append(roc_auc_score(labels[mine], scores[mine]))
            rows.append(mine.sum())
    expected = np.average(areas, weights=rows)
    assert gauc(predictions(labels, scores, user=users)) == pytest.approx(expected, rel=0, abs=1e-12)


def test_users_in_blocks_give_the_gauc_of_all_at_once(predictions, columns, monkeypatch):
    labels, scores, users = columns
    in_order = predictions(labels, scores, user=np.sort(users))
    at_once = gauc(in_order)
    monkeypatch.setattr(grouping, "BLOCK", 700)
    assert gauc(in_order) == at_once


def test_users_may_have_any_whole_number(predictions):
    labels, scores = [0, 1, 1, 0, 1, 0], [0.1, 0.2, 0.3, 0.4, 0.5, 0.5]
    few = gauc(predictions(labels, scores, user=[0, 0, 1, 1, 2, 2]))
    assert gauc(predictions(labels, scores, user=[9, 9, -(2**63), -(2**63), 2**63 - 1, 2**63 - 1])) == few
    assert few == pytest.approx((1 + 0 + 0.5) / 3)


@pytest.mark.parametrize("metric", [auc, gauc])
@pytest.mark.parametrize(
    ("labels", "scores"), [([], []), ([1, 1], [0.1, 0.2]), ([0, 0], [0.1, 0.2]), ([0, 1, 1], [0.1, math.nan, 0.9])]
)
def test_ranking_is_undefined_without_both_classes_or_with_a_score_that_is_none(predictions, metric, labels, scores):
    assert math.isnan(metric(predictions(labels, scores, user=[0] * len(labels))))


def test_gauc_weighs_users_by_their_rows(predictions):
    # User 0: AUC 1 over 2 rows; user 1: AUC 1/4 over 4 rows, all of both classes.
    found = gauc(predictions([0, 1, 1, 1, 0, 0], [0.1, 0.2, 0.1, 0.3, 0.2, 0.4], user=[0, 0, 1, 1, 1, 1]))
    assert found == pytest.approx((2 * 1 + 4 * 0.25) / 6)


def test_a_user_of_one_class_is_left_out_of_gauc_with_its_weight(predictions):
    some = predictions([0, 1], [0.9, 0.1], user=[3, 3])
    more = predictions([0, 1, 1, 1, 1], [0.9, 0.1, 0.8, 0.7, 0.6], user=[3, 3, 5, 5, 5])
    assert gauc(some) == gauc(more) == 0.0


def test_gauc_sees_no_difference_between_users(predictions):
    """The base rates of users order all rows, but within each user the scores say nothing."""
    between = predictions([0, 0, 0, 1, 1, 1, 1, 0], [0.1] * 4 + [0.9] * 4, user=[0] * 4 + [1] * 4)
    assert auc(between) == 0.75
    assert gauc(between) == 0.5


@settings(deadline=None)
@given(ROWS)
def test_gauc_is_the_weighted_mean_of_a_plain_loop_over_users(predictions, rows):
    labels, scores, users = ([row[i] for row in rows] for i in range(3))
    weighted, weight = 0.0, 0
    for user in set(users):
        mine = [i for i, u in enumerate(users) if u == user]
        area = auc_of_pairs([labels[i] for i in mine], [scores[i] for i in mine])
        if not math.isnan(area):
            weighted, weight = weighted + len(mine) * area, weight + len(mine)
    expected = weighted / weight if weight else math.nan
    np.testing.assert_allclose(gauc(predictions(labels, scores, user=users)), expected, rtol=1e-12)


@settings(deadline=None)
@given(ROWS)
def test_gauc_of_one_user_is_the_auc(predictions, rows):
    labels, scores = [r[0] for r in rows], [r[1] for r in rows]
    alone = predictions(labels, scores, user=[7] * len(rows))
    np.testing.assert_allclose(gauc(alone), auc(alone), rtol=1e-12)
