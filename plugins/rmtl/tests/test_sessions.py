from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench_rmtl.sessions import (
    CLIP,
    CUT,
    END,
    INSIDE,
    Transitions,
    discounted_returns,
    positions_in_session,
    rewards,
)


def test_the_reward_is_the_log_likelihood_of_the_label():
    logits = torch.tensor([[0.0, math.log(4)], [math.log(4), math.log(4)]])
    expected = torch.tensor([[0.5, 0.8], [0.2, 0.8]]).log()
    torch.testing.assert_close(rewards(logits, torch.tensor([[1.0, 1.0], [0.0, 1.0]])), expected)


@settings(deadline=None)
@given(st.floats(-(2.0**100), 2.0**100, width=32), st.sampled_from([0.0, 1.0]))
def test_a_reward_is_never_positive_nor_below_that_of_a_logit_of_15(logit, label):
    reward = rewards(torch.tensor([[logit]]), torch.tensor([[label]])).item()
    assert -15.001 < reward <= 0


@settings(deadline=None)
@given(st.floats(-40, 40, width=32), st.floats(0, 1, width=32))
def test_a_reward_is_y_log_a_plus_1_minus_y_log_1_minus_a_of_the_clipped_logit(logit, label):
    clipped = min(max(logit, -15.0), 15.0)
    expected = -label * math.log1p(math.exp(-clipped)) - (1 - label) * math.log1p(math.exp(clipped))
    reward = rewards(torch.tensor([[logit]]), torch.tensor([[label]])).item()
    assert reward == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_clip_is_at_15_and_does_not_touch_logits_below_it():
    assert CLIP == 15
    torch.testing.assert_close(rewards(torch.tensor([[14.0]]), torch.zeros(1, 1)), torch.tensor([[-14.0]]))
    torch.testing.assert_close(rewards(torch.tensor([[1e30]]), torch.zeros(1, 1)), torch.tensor([[-15.0]]))
    torch.testing.assert_close(rewards(torch.tensor([[-1e30]]), torch.ones(1, 1)), torch.tensor([[-15.0]]))


@settings(deadline=None)
@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_of_all_actions_the_labels_probability_has_the_highest_expected_reward(probability, other):
    label = torch.full((2, 1), probability)
    best, worse = rewards(torch.tensor([[probability], [other]]).logit(), label).squeeze(1).tolist()
    assert best >= worse - 1e-6


def returns_in_a_loop(reward, session_end, discount):
    total, exact, following, known = [], [], 0.0, False
    for r, end in reversed(list(zip(reward, session_end, strict=True))):
        following = r + (discount * following if end == INSIDE else 0.0)
        known = {INSIDE: known, END: True, CUT: False}[end]
        total.append(following)
        exact.append(known)
    return total[::-1], exact[::-1]


sessions = st.lists(st.tuples(st.integers(1, 9), st.sampled_from([END, CUT])), min_size=1, max_size=8)


def laid_out(sessions):
    return [e for length, last in sessions for e in [INSIDE] * (length - 1) + [last]]


@settings(deadline=None)
@given(sessions, st.sampled_from([0.0, 0.5, 0.95, 1.0]), st.integers(0, 99))
def test_returns_are_those_of_a_loop_over_the_rows(sessions, discount, seed):
    end = laid_out(sessions)
    reward = -torch.rand(len(end), 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    total, exact = discounted_returns(reward, torch.tensor(end, dtype=torch.uint8), discount)
    for task in range(2):
        expected, known = returns_in_a_loop(reward[:, task].tolist(), end, discount)
        assert total[:, task].tolist() == pytest.approx(expected, rel=1e-12)
        assert exact.tolist() == known


def test_returns_by_hand():
    reward = torch.tensor([[-1.0], [-2.0], [-4.0], [-8.0], [-16.0]])
    end = torch.tensor([INSIDE, INSIDE, END, INSIDE, CUT], dtype=torch.uint8)
    total, exact = discounted_returns(reward, end, 0.5)
    assert total.squeeze(1).tolist() == [-3.0, -4.0, -4.0, -16.0, -16.0]
    assert exact.tolist() == [True, True, True, False, False]


def test_one_session_of_many_rows_is_summed_to_its_end():
    end = torch.zeros(1000, dtype=torch.uint8)
    end[-1] = END
    total, exact = discounted_returns(torch.full((1000, 1), -1.0), end, 1.0)
    assert total.squeeze(1).tolist() == [-float(n) for n in range(1000, 0, -1)]
    assert exact.all()


def test_the_rewards_given_are_left_as_they_are():
    reward = torch.tensor([[-1.0], [-2.0]])
    discounted_returns(reward, torch.tensor([INSIDE, END], dtype=torch.uint8), 0.5)
    assert reward.tolist() == [[-1.0], [-2.0]]


@settings(deadline=None)
@given(sessions)
def test_a_row_leads_to_the_next_one_unless_its_session_ends_or_is_cut_there(sessions):
    end = laid_out(sessions)
    transitions = Transitions.of(torch.tensor(end, dtype=torch.uint8))
    assert transitions.following.tolist() == [i + 1 if e == INSIDE else i for i, e in enumerate(end)]
    assert transitions.goes_on.tolist() == [e == INSIDE for e in end]
    # What follows a cut is not known; that it were nothing would be wrong.
    assert transitions.known.tolist() == [e != CUT for e in end]


@settings(deadline=None)
@given(sessions)
def test_positions_count_the_rows_of_a_session_from_zero(sessions):
    end = laid_out(sessions)
    expected = [position for length, _ in sessions for position in range(length)]
    assert positions_in_session(torch.tensor(end, dtype=torch.uint8)).tolist() == expected
