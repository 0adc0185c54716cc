from __future__ import annotations

import numpy as np
import pytest
import torch

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.gradcraft import GradientCrafting

GOLDEN = np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]])


def make(tasks=2, **parameters):
    return GradientCrafting([Task(f"t{k}") for k in range(tasks)], **parameters)


def direction_of(weighting, jacobian):
    direction, weights = weighting.direction(torch.tensor(jacobian), torch.ones(len(jacobian), dtype=torch.float64))
    assert direction.tolist() == pytest.approx((weights.numpy() @ jacobian).tolist())
    return direction.numpy()


def crafted(jacobian, averages, relax, margin):
    """Compute the crafted gradients with vectors, one task after another, and check that no conflict is left."""
    balanced = [(relax * max(averages) / m + 1 - relax) * g for g, m in zip(jacobian, averages, strict=True)]
    made = []
    for own in balanced:
        others = np.array([other for other in balanced if other @ own < 0])
        new = own
        if len(others):
            products = np.array([margin * np.linalg.norm(own) * np.linalg.norm(other) for other in others])
            new = own + others.T @ np.linalg.solve(others @ others.T, products - others @ own)
            assert others @ new == pytest.approx(products)
        made.append(new)
    return made


def test_two_tasks_without_balance_and_margin_are_pcgrads_golden_vector():
    direction = direction_of(make(relax=0.0, margin=0.0), GOLDEN)
    assert direction.tolist() == pytest.approx([0.58480, 3.80117, 3.80117], abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("relax", "margin"), [(0.0, 0.0), (0.5, 0.0), (1.0, 0.2), (0.3, 0.05)])
def test_all_conflicts_of_a_task_are_settled_at_once(relax, margin, seed):
    generator = np.random.default_rng(seed)
    weighting = make(4, beta=0.8, relax=relax, margin=margin)
    averages = np.zeros(4)
    for _ in range(3):
        jacobian = generator.normal(size=(4, 6)) * [[1.0], [4.0], [0.2], [1.0]]
        averages = 0.8 * averages + 0.2 * np.linalg.norm(jacobian, axis=1)
        expected = sum(crafted(jacobian, averages, relax, margin))
        assert direction_of(weighting, jacobian).tolist() == pytest.approx(expected.tolist())


def test_full_relaxation_brings_all_gradients_to_the_length_of_the_largest():
    direction = direction_of(make(3, relax=1.0), np.diag([1.0, 4.0, 2.0]))
    assert direction.tolist() == pytest.approx([4.0, 4.0, 4.0])


def test_gradients_without_conflict_are_added():
    assert direction_of(make(relax=0.0, margin=0.3), np.array([[1.0, 2.0], [3.0, 0.5]])).tolist() == [4.0, 2.5]


def test_dependent_conflicts_are_settled_like_one():
    single = direction_of(make(relax=0.0), GOLDEN)
    own = GOLDEN[0] + 22 / 38 * GOLDEN[1]
    other = single - own
    double = direction_of(make(3, relax=0.0), np.vstack([GOLDEN, GOLDEN[1:]]))
    assert double.tolist() == pytest.approx((own + 2 * other).tolist())


def test_a_task_without_a_label_keeps_its_average_and_the_others_their_aim():
    weighting = make(beta=0.5, relax=1.0)
    direction_of(weighting, np.diag([1.0, 4.0]))
    kept = weighting.averages[:, 1].clone()
    assert direction_of(weighting, np.diag([1.0, 0.0])).tolist() == pytest.approx([4.0, 0.0])
    assert torch.equal(weighting.averages[:, 1], kept)


def test_the_scale_of_all_gradients_passes_through():
    direction = direction_of(make(relax=0.4, margin=0.1), GOLDEN)
    assert (1e9 * direction_of(make(relax=0.4, margin=0.1), 1e-9 * GOLDEN)).tolist() == pytest.approx(
        direction.tolist()
    )
