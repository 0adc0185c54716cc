from __future__ import annotations

import numpy as np
import pytest
import torch

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.db_mtl import DualBalancing

GOLDEN = torch.tensor([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], dtype=torch.float64)


def make(tasks=2, **parameters):
    return DualBalancing([Task(f"t{k}") for k in range(tasks)], **parameters)


def losses(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_golden_vector():
    weighting = make(beta=0.0)
    direction, weights = weighting.direction(GOLDEN, losses(0.2, 0.05))
    torch.testing.assert_close(direction, losses(3.76269, 49.05933, 49.05933), rtol=0, atol=1e-5)
    torch.testing.assert_close(weights @ GOLDEN, direction)
    assert weights.tolist() == pytest.approx([29.05933, 20.0], abs=1e-5)
    assert weighting.tracked is None


@pytest.mark.parametrize("beta_decay", [0.0, 0.5])
def test_averages_are_those_of_the_paper(beta_decay):
    generator = np.random.default_rng(0)
    weighting = make(3, beta=0.9, beta_decay=beta_decay)
    averages = np.zeros((3, 4))
    for step in range(1, 6):
        jacobian, values = generator.normal(size=(3, 4)), generator.uniform(0.1, 1, 3)
        direction, weights = weighting.direction(torch.tensor(jacobian), torch.tensor(values))
        kept = 0.9 / step**beta_decay
        for k in range(3):
            averages[k] = kept * averages[k] + (1 - kept) * jacobian[k] / values[k]
        lengths = [np.linalg.norm(average) for average in averages]
        expected = sum(max(lengths) * averages[k] / lengths[k] for k in range(3))
        assert direction.tolist() == pytest.approx(expected.tolist())
        assert weights.tolist() == pytest.approx([max(lengths) / lengths[k] / values[k] for k in range(3)])


def test_every_task_has_an_equal_share():
    direction, _ = make(beta=0.0).direction(torch.diag(losses(1e-3, 7.0)), losses(0.3, 0.9))
    assert direction[0].item() == pytest.approx(direction[1].item())


def test_the_scale_of_a_loss_is_no_matter():
    direction, _ = make(beta=0.0).direction(GOLDEN, losses(0.2, 0.05))
    scaled, _ = make(beta=0.0).direction(GOLDEN * losses(100.0, 1.0)[:, None], losses(20.0, 0.05))
    torch.testing.assert_close(scaled, direction)


def test_a_task_without_a_label_keeps_its_average_and_takes_no_part():
    weighting = make()
    weighting.direction(GOLDEN, losses(0.2, 0.05))
    kept = weighting.tracked[1].clone()
    direction, weights = weighting.direction(GOLDEN * losses(1.0, 0.0)[:, None], losses(0.2, 0.0))
    assert torch.equal(weighting.tracked[1], kept)
    assert weighting.steps.tolist() == [2, 1]
    torch.testing.assert_close(direction, weighting.tracked[0])
    assert weights.tolist() == pytest.approx([5.0, 0.0])


def test_a_zero_gradient_leaves_the_weight_that_the_logarithm_has():
    _, weights = make(beta=0.0).direction(GOLDEN * losses(1.0, 0.0)[:, None], losses(0.2, 0.5))
    assert weights.tolist() == pytest.approx([5.0, 2.0])
