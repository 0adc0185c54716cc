from __future__ import annotations

import math

import pytest
import torch

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.uw_so import SoftOptimalUncertainty


def weights_of(losses, known=None, **parameters):
    means = torch.tensor(losses, dtype=torch.float64, requires_grad=True)
    weighting = SoftOptimalUncertainty([Task(f"t{k}") for k in range(len(losses))], **parameters)
    known = torch.tensor(known or [True] * len(losses))
    loss, weights = weighting.balance(means, known)
    (gradient,) = torch.autograd.grad(loss, means)
    assert torch.equal(gradient, weights)
    return weights.tolist()


def test_golden_vector():
    assert weights_of([0.2, 0.05], temperature=1.0) == pytest.approx([3.05902e-7, 1.0], rel=1e-5)


@pytest.mark.parametrize("temperature", [2.0, 10.0, 50.0])
def test_the_weights_are_the_softmax_of_the_inverse_losses(temperature):
    losses = [0.2, 0.05, 0.4]
    exponentials = [math.exp(1 / (temperature * loss)) for loss in losses]
    expected = [e / sum(exponentials) for e in exponentials]
    assert weights_of(losses, temperature=temperature) == pytest.approx(expected, rel=1e-12)


def test_the_default_temperature_is_near_to_inverse_losses_at_losses_of_clicks_and_purchases():
    assert weights_of([0.2, 0.05]) == pytest.approx([0.2, 0.8], abs=0.02)


def test_a_high_temperature_evens_the_weights():
    assert weights_of([0.2, 0.05, 0.4], temperature=1e6) == pytest.approx([1 / 3] * 3, abs=1e-4)


def test_a_task_without_a_label_has_no_weight_and_the_others_share():
    assert weights_of([0.2, 0.0, 0.05], [True, False, True])[1] == 0.0
    assert weights_of([0.2, 0.0, 0.05], [True, False, True])[::2] == pytest.approx(weights_of([0.2, 0.05]))
    assert weights_of([0.0, 0.0], [False, False]) == [0.0, 0.0]


def test_losses_too_small_to_be_inverted_share_the_weight():
    assert weights_of([1e-310, 1e-310, 0.5], temperature=0.5) == [0.5, 0.5, 0.0]
