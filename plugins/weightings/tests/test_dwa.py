from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st


def weights_after(weighting, *epochs):
    for epoch in epochs:
        weighting.after_epoch(torch.tensor(epoch))
    return weighting.weights


def test_golden_vector(make):
    weights = weights_after(make("dwa"), [1.0, 0.5], [0.9, 0.3])
    torch.testing.assert_close(weights, torch.tensor([1.07486, 0.92514]), rtol=0, atol=1e-5)


def test_the_first_two_epochs_have_unit_weights(make, combine):
    weighting = make("dwa")
    assert torch.equal(combine(weighting, torch.ones(1, 2)).weights, torch.ones(2))
    weighting.after_epoch(torch.tensor([1.0, 0.5]))
    assert torch.equal(combine(weighting, torch.ones(1, 2)).weights, torch.ones(2))
    weighting.after_epoch(torch.tensor([0.9, 0.3]))
    assert not torch.equal(combine(weighting, torch.ones(1, 2)).weights, torch.ones(2))


def test_only_the_last_two_epochs_count(make):
    long = weights_after(make("dwa"), [5.0, 0.1], [2.0, 0.7], [1.0, 0.5], [0.9, 0.3])
    torch.testing.assert_close(long, weights_after(make("dwa"), [1.0, 0.5], [0.9, 0.3]))


@settings(deadline=None)
@given(
    rates=st.lists(st.tuples(st.floats(0.01, 2), st.floats(0.01, 2)), min_size=1, max_size=5), scale=st.floats(0.5, 10)
)
def test_weights_sum_to_the_number_of_tasks_and_scale_of_a_loss_does_not_matter(rates, scale, make):
    before, after = (torch.tensor(column) for column in zip(*rates, strict=True))
    weighting, scaled = make("dwa", len(rates)), make("dwa", len(rates))
    for epoch in (before, after):
        weighting.after_epoch(epoch)
        scaled.after_epoch(epoch * scale)
    torch.testing.assert_close(weighting.weights.sum(), torch.tensor(float(len(rates))))
    torch.testing.assert_close(scaled.weights, weighting.weights, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("temperature", "spread"), [(0.1, 1.8), (1000.0, 0.001)])
def test_a_high_temperature_evens_the_weights(temperature, spread, make):
    first, second = weights_after(make("dwa", temperature=temperature), [1.0, 0.5], [0.9, 0.3])
    assert (first - second > spread) == (temperature < 1)


def test_a_task_without_a_loss_two_epochs_ago_counts_as_unchanged(make):
    weights = weights_after(make("dwa"), [1.0, 0.0], [0.5, 0.7])
    torch.testing.assert_close(weights, weights_after(make("dwa"), [1.0, 1.0], [0.5, 1.0]))
    assert weights[0] < 1 < weights[1]
