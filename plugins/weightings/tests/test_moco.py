from __future__ import annotations

import numpy as np
import pytest
import torch

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.moco import GradientCorrection

GOLDEN = torch.tensor([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], dtype=torch.float64)


def make(tasks=2, **parameters):
    return GradientCorrection([Task(f"t{k}") for k in range(tasks)], **parameters)


def ones(tasks=2):
    return torch.ones(tasks, dtype=torch.float64)


def nearest_on_the_simplex(values):
    """Find by bisection what has to be taken from every value."""
    low, high = values.min() - 1, values.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(values - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(values - low, 0)


def test_a_first_step_by_hand():
    # w - gamma G w = (.5, .5) - .01 (-2, 8) = (.52, .42); its nearest point on the simplex is (.55, .45).
    direction, weights = make(beta=1.0, gamma=0.01).direction(GOLDEN, ones())
    assert weights.tolist() == pytest.approx([0.55, 0.45])
    assert direction.tolist() == pytest.approx([0.5, 1.0, 1.0])


@pytest.mark.parametrize("rho", [0.0, 0.3])
def test_steps_are_those_of_the_paper(rho):
    generator = np.random.default_rng(0)
    weighting = make(3, beta=0.6, beta_decay=0.4, gamma=0.2, gamma_decay=0.7, rho=rho)
    tracked, shares = np.zeros((3, 4)), np.full(3, 1 / 3)
    for step in range(1, 7):
        jacobian = generator.normal(size=(3, 4))
        direction, weights = weighting.direction(torch.tensor(jacobian), ones(3))
        tracked = tracked - 0.6 / step**0.4 * (tracked - jacobian)
        matrix = tracked @ tracked.T + rho * np.eye(3)
        shares = nearest_on_the_simplex(shares - 0.2 / step**0.7 * matrix @ shares)
        assert weights.tolist() == pytest.approx(shares.tolist(), abs=1e-9)
        assert direction.tolist() == pytest.approx((shares @ tracked).tolist(), abs=1e-9)


def test_constant_gradients_lead_to_the_shortest_direction():
    weighting = make(gamma=0.01, gamma_decay=0.0)
    for _ in range(100):
        direction, weights = weighting.direction(GOLDEN, ones())
    assert weights.tolist() == pytest.approx([0.6, 0.4], abs=1e-3)
    assert direction.tolist() == pytest.approx([0.0, 1.0, 1.0], abs=1e-2)


def test_a_task_without_a_label_keeps_its_average_and_its_part_in_the_direction():
    weighting = make()
    weighting.direction(GOLDEN, ones())
    kept = weighting.tracked[1].clone()
    direction, weights = weighting.direction(GOLDEN * torch.tensor([[1.0], [0.0]]), torch.tensor([1.0, 0.0]).double())
    assert torch.equal(weighting.tracked[1], kept)
    assert weighting.seen.tolist() == [2, 1]
    torch.testing.assert_close(direction, weights @ weighting.tracked)


def test_the_weight_of_a_task_never_seen_stays_as_it_is():
    weighting = make(3)
    for _ in range(5):
        _, weights = weighting.direction(torch.cat([GOLDEN, torch.zeros(1, 3)]), torch.tensor([1.0, 1.0, 0.0]).double())
    assert weights[2].item() == pytest.approx(1 / 3)
    assert weights.sum().item() == pytest.approx(1.0)
    assert weights[0] > weights[1]
