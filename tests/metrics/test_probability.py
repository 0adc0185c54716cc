from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench.metrics.probability import BINS, CLIP, ece, logloss, normalised_entropy, session_logloss

ALL = (logloss, session_logloss, normalised_entropy, ece)
ROWS = st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.integers(0, 4)), min_size=1, max_size=50)


def columns(rows):
    return tuple([row[i] for row in rows] for i in range(3))


def test_logloss_of_a_hand_computed_case(predictions):
    found = logloss(predictions([1, 0, 1], [0.8, 0.4, 0.5]))
    assert found == pytest.approx(-(math.log(0.8) + math.log(0.6) + math.log(0.5)) / 3)


def test_a_certain_and_wrong_prediction_costs_much_but_not_everything(predictions):
    worst = -math.log(CLIP)
    assert logloss(predictions([1], [0.0])) == pytest.approx(worst)
    assert logloss(predictions([0], [1.0])) == pytest.approx(worst)
    assert logloss(predictions([1, 0], [1.0, 0.0])) == pytest.approx(0, abs=2 * CLIP)


def test_a_long_session_counts_like_a_short_one(predictions):
    made = predictions([1, 1, 0], [0.5, 0.25, 0.5], session=[4, 4, 9])
    assert session_logloss(made) == pytest.approx(((math.log(2) + math.log(4)) / 2 + math.log(2)) / 2)
    assert logloss(made) == pytest.approx((math.log(2) + math.log(4) + math.log(2)) / 3)


def test_sessions_may_have_any_whole_number(predictions):
    labels, scores = [1, 1, 0, 1], [0.5, 0.25, 0.5, 0.125]
    expected = session_logloss(predictions(labels, scores, session=[1, 1, 2, 0]))
    ids = [7, 7, 2**63 - 1, -(2**63)]
    assert session_logloss(predictions(labels, scores, session=ids)) == pytest.approx(expected, rel=1e-15)
    assert expected == pytest.approx((1.5 + 1 + 3) * math.log(2) / 3)


@settings(deadline=None)
@given(ROWS)
def test_session_logloss_is_the_mean_of_a_plain_loop_over_sessions(predictions, rows):
    labels, scores, sessions = columns(rows)
    means = []
    for session in set(sessions):
        mine = [i for i, s in enumerate(sessions) if s == session]
        means.append(logloss(predictions([labels[i] for i in mine], [scores[i] for i in mine])))
    found = session_logloss(predictions(labels, scores, session=sessions))
    assert found == pytest.approx(float(np.mean(means)))


def test_normalised_entropy_of_hand_computed_cases(predictions):
    base_rate = predictions([1, 0, 0, 0], [0.25] * 4)
    assert normalised_entropy(base_rate) == pytest.approx(1)
    better = predictions([1, 0], [0.75, 0.25])
    assert normalised_entropy(better) == pytest.approx(math.log(4 / 3) / math.log(2))
    assert normalised_entropy(predictions([1, 0], [0.25, 0.75])) == pytest.approx(2)


@pytest.mark.parametrize("label", [0, 1])
def test_normalised_entropy_is_undefined_for_one_class(predictions, label):
    assert math.isnan(normalised_entropy(predictions([label] * 3, [0.5, 0.2, 0.9])))


def test_ece_of_a_hand_computed_case(predictions):
    # 20 rows scored 0.1 of which 4 are positive, 20 scored 0.6 of which 10 are.
    labels = [1] * 4 + [0] * 16 + [1] * 10 + [0] * 10
    assert ece(predictions(labels, [0.1] * 20 + [0.6] * 20)) == pytest.approx((0.1 + 0.1) / 2)


def test_errors_of_one_bin_cancel_and_those_of_two_do_not(predictions):
    one_bin = predictions([1] * 5 + [0] * 5, [0.5] * 10)
    assert ece(one_bin) == 0
    two_bins = predictions([1] * 20 + [0] * 20, [0.4] * 20 + [0.6] * 20)
    assert ece(two_bins) == pytest.approx(0.6)


@settings(deadline=None)
@given(st.integers(1, 4), st.randoms(use_true_random=False))
def test_ece_bins_hold_equally_many_rows(predictions, rows_a_bin, random):
    scores = sorted(random.sample([i / 1000 for i in range(1001)], BINS * rows_a_bin))
    labels = [float(random.random() < 0.3) for _ in scores]
    chunks = zip(np.split(np.array(labels), BINS), np.split(np.array(scores), BINS), strict=True)
    expected = np.mean([abs(a.mean() - b.mean()) for a, b in chunks])
    mixed = random.sample(range(len(scores)), len(scores))
    found = ece(predictions([labels[i] for i in mixed], [scores[i] for i in mixed]))
    assert found == pytest.approx(float(expected))


@settings(deadline=None)
@given(ROWS)
def test_ece_lies_between_the_error_of_the_mean_and_the_mean_error(predictions, rows):
    labels, scores, _ = columns(rows)
    error = np.array(labels, dtype=float) - np.array(scores)
    found = ece(predictions(labels, scores))
    assert abs(error.mean()) - 1e-12 <= found <= np.abs(error).mean() + 1e-12


@settings(deadline=None)
@given(ROWS)
def test_no_metric_depends_on_the_order_of_the_rows(predictions, rows):
    forwards, backwards = columns(rows), columns(rows[::-1])
    for metric in ALL:
        found = [
            metric(predictions(labels, scores, session=session)) for labels, scores, session in (forwards, backwards)
        ]
        np.testing.assert_allclose(found[0], found[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("metric", ALL)
def test_a_metric_of_no_rows_or_of_a_score_that_is_none_is_undefined(predictions, metric):
    assert math.isnan(metric(predictions([], [])))
    assert math.isnan(metric(predictions([0, 1], [0.5, math.nan])))
