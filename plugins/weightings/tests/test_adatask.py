from __future__ import annotations

import pytest
import torch

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.adatask import TaskwiseAdam


def make(tasks=2, **parameters):
    return TaskwiseAdam([Task(f"t{k}") for k in range(tasks)], **parameters)


def gradients(number, tasks=2, dtype=torch.float64):
    return torch.randn(number, tasks, 5, generator=torch.Generator().manual_seed(0), dtype=dtype)


def steps_of_adam(history, **settings):
    """Return the steps that torch's Adam takes from gradients [T, P], one task's."""
    parameter = torch.nn.Parameter(torch.zeros_like(history[0]))
    optimizer = torch.optim.Adam([parameter], lr=1.0, **settings)
    taken = []
    for gradient in history:
        before = parameter.detach().clone()
        parameter.grad = gradient.clone()
        optimizer.step()
        taken.append(before - parameter.detach())
    return torch.stack(taken)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("settings", [{}, {"beta1": 0.5, "beta2": 0.9, "epsilon": 0.1}])
def test_the_direction_is_the_sum_of_the_steps_of_one_adam_a_task(settings, dtype):
    history = gradients(6, 3, dtype) * torch.tensor([1.0, 100.0, 0.01], dtype=dtype)[:, None]
    betas = settings.get("beta1", 0.9), settings.get("beta2", 0.999)
    expected = sum(steps_of_adam(history[:, k], betas=betas, eps=settings.get("epsilon", 1e-8)) for k in range(3))
    weighting = make(3, **settings)
    for jacobian, step in zip(history, expected, strict=True):
        direction, weights = weighting.direction(jacobian, torch.ones(3, dtype=dtype))
        torch.testing.assert_close(direction, step, rtol=1e-5, atol=1e-6)
        assert weights.tolist() == [1.0, 1.0, 1.0]


def test_the_first_step_goes_by_the_signs_of_the_gradients():
    jacobian = torch.tensor([[3.0, -0.1, 2.0], [-40.0, -5.0, 0.7]], dtype=torch.float64)
    direction, _ = make().direction(jacobian, torch.ones(2, dtype=torch.float64))
    assert direction.tolist() == pytest.approx([0.0, -2.0, 2.0], abs=1e-6)


def test_directions_are_steps_only_where_there_are_tasks_to_part():
    assert make(2).preconditions
    assert not make(2).combines
    assert not make(1).preconditions


def test_a_task_without_a_label_rests():
    history = gradients(4)
    rested = history.clone()
    rested[2, 1] = 0.0
    weighting = make()
    ones = torch.ones(2, dtype=torch.float64)
    taken = [weighting.direction(jacobian, ones)[0] for jacobian in rested]
    first = steps_of_adam(history[:, 0])
    second = steps_of_adam(history[[0, 1, 3], 1])
    torch.testing.assert_close(taken[1], first[1] + second[1])
    torch.testing.assert_close(taken[2], first[2])
    torch.testing.assert_close(taken[3], first[3] + second[2])
    assert weighting.steps.tolist() == [4, 3]
