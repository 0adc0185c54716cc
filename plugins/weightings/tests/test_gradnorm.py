from __future__ import annotations

import numpy as np
import pytest
import torch

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.gradnorm import GradientNormalization, target_norms

GOLDEN = torch.tensor([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], dtype=torch.float64)


def make(tasks=2, **parameters):
    return GradientNormalization([Task(f"t{k}") for k in range(tasks)], **parameters).double()


def losses(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_golden_vector():
    norms = GOLDEN.norm(dim=1)
    expected = losses(6.84021, 3.72334)
    torch.testing.assert_close(
        target_norms(norms, losses(0.9, 0.6), losses(1.0, 1.0), 1.5), expected, rtol=0, atol=1e-5
    )
    weighting = make()
    weighting.direction(GOLDEN, losses(1.0, 1.0))
    direction, weights = weighting.direction(GOLDEN, losses(0.9, 0.6))
    torch.testing.assert_close(weighting.weights.grad, losses(-4.24264, 6.16441), rtol=0, atol=1e-5)
    assert weights.tolist() == [1.0, 1.0]
    assert direction.tolist() == [2.0, 2.0, 2.0]


def test_the_gradient_is_that_of_the_papers_loss_by_differences():
    generator = np.random.default_rng(0)
    jacobian = generator.normal(size=(3, 5)) * [[1.0], [3.0], [0.5]]
    initial, now, weights = generator.uniform(0.1, 1, 3), generator.uniform(0.1, 1, 3), np.array([0.5, 0.7, 1.8])

    def norms(weights):
        return np.array([np.linalg.norm(w * g) for w, g in zip(weights, jacobian, strict=True)])

    rates = (now / initial) / np.mean(now / initial)
    targets = norms(weights).mean() * rates**1.5

    def loss(weights):
        return np.abs(norms(weights) - targets).sum()

    expected = [(loss(weights + 1e-6 * unit) - loss(weights - 1e-6 * unit)) / 2e-6 for unit in np.eye(3)]
    weighting = make(3)
    weighting.direction(torch.tensor(jacobian), torch.tensor(initial))
    with torch.no_grad():
        weighting.weights.copy_(torch.tensor(weights))
    direction, _ = weighting.direction(torch.tensor(jacobian), torch.tensor(now))
    assert weighting.weights.grad.tolist() == pytest.approx(expected, rel=1e-6)
    assert direction.tolist() == pytest.approx((weights @ jacobian).tolist())


def test_a_task_whose_gradient_is_long_loses_weight_to_the_others():
    weighting = make(learning_rate=0.1)
    optimizer = torch.optim.Adam(weighting.parameters(), weighting.learning_rate)
    jacobian = torch.diag(losses(1.0, 3.0))
    for _ in range(200):
        weighting.direction(jacobian, losses(0.5, 0.5))
        optimizer.step()
        weighting.after_step()
    first, second = weighting.weights.tolist()
    assert (first, second) == pytest.approx((1.5, 0.5), abs=0.05)


def test_weights_stay_above_zero_and_sum_to_the_number_of_tasks():
    weighting = make(3)
    with torch.no_grad():
        weighting.weights.copy_(losses(-4.0, 1.0, 0.5))
    weighting.after_step()
    assert (weighting.weights > 0).all()
    assert weighting.weights.sum().item() == pytest.approx(3.0)
    assert weighting.weights.tolist() == pytest.approx([0.003 / 1.501, 3 / 1.501, 1.5 / 1.501])


def test_the_weights_are_trained_at_their_own_rate():
    assert make().learning_rate == 0.025
    assert [name for name, _ in make().named_parameters()] == ["weights"]


def test_a_task_without_a_label_has_no_part_and_starts_when_it_has_one():
    weighting = make(3)
    gradients = torch.diag(losses(1.0, 3.0, 0.0))
    weighting.direction(gradients, losses(1.0, 1.0, 0.0))
    assert weighting.initial.tolist() == [1.0, 1.0, 0.0]
    assert weighting.weights.grad.tolist() == [-1.0, 3.0, 0.0]
    weighting.direction(torch.diag(losses(1.0, 3.0, 2.5)), losses(0.5, 0.5, 0.4))
    assert weighting.initial.tolist() == [1.0, 1.0, 0.4]


def test_the_derivative_of_a_gradient_that_has_its_norm_is_zero():
    weighting = make()
    weighting.direction(torch.eye(2, dtype=torch.float64), losses(0.3, 0.7))
    assert weighting.weights.grad.tolist() == [0.0, 0.0]
