"""What holds for every weighting that turns the tasks' gradients into a direction."""

from __future__ import annotations

import pytest
import torch

from rmtl_bench_weightings.plugin import rmtl_weightings

NAMES = [info.name for info in rmtl_weightings() if info.form == "gradient"]
every = pytest.mark.parametrize("name", NAMES)

# Their order of projections is drawn at random: with two tasks there is one order only.
ORDERED_AT_RANDOM = {"pcgrad", "gradvac"}
# The first task is the target unless another is named.
TARGETED = {"metabalance"}


def gradients(tasks, steps=6, size=7):
    generator = torch.Generator().manual_seed(1)
    jacobians = torch.randn(steps, tasks, size, generator=generator, dtype=torch.float64)
    return jacobians, torch.rand(steps, tasks, generator=generator, dtype=torch.float64) + 0.1


def step(weighting, jacobian, losses):
    """One step: the direction of two tensors put together, and the weights."""
    directions, weights = weighting.directions([jacobian[:, :4], jacobian[:, 4:]], losses)
    optimizer = torch.optim.SGD([*weighting.parameters(), torch.nn.Parameter(torch.zeros(1))], 0.1)
    optimizer.step()
    weighting.after_step()
    return torch.cat(tuple(directions)), weights.detach()


@every
@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_directions_and_weights_are_finite(name, tasks, make):
    weighting = make(name, tasks)
    for jacobian, losses in zip(*gradients(tasks), strict=True):
        direction, weights = step(weighting, jacobian, losses)
        assert direction.shape == jacobian.shape[1:]
        assert weights.shape == (tasks,)
        assert direction.isfinite().all()
        assert weights.isfinite().all()
        assert not direction.requires_grad


@every
def test_one_task_alone_keeps_its_gradient_bit_for_bit(name, make):
    weighting = make(name, 1)
    for jacobian, losses in zip(*gradients(1), strict=True):
        direction, weights = step(weighting, jacobian, losses)
        assert torch.equal(direction, jacobian[0])
        assert weights.tolist() == [1.0]
    assert not weighting.preconditions


@every
@pytest.mark.parametrize("order", [[1, 0], [2, 0, 1]], ids=len)
def test_permuting_the_tasks_permutes_the_weights_and_leaves_the_direction(name, order, make):
    tasks = len(order)
    if tasks > 2 and name in ORDERED_AT_RANDOM:
        order, tasks = [1, 0], 2
    one, other = make(name, tasks), make(name, tasks, **({"target": f"t{order.index(0)}"} if name in TARGETED else {}))
    for jacobian, losses in zip(*gradients(tasks), strict=True):
        direction, weights = step(one, jacobian, losses)
        permuted_direction, permuted_weights = step(other, jacobian[order], losses[order])
        torch.testing.assert_close(permuted_weights, weights[order], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(permuted_direction, direction, rtol=1e-4, atol=1e-4)


@every
def test_a_task_without_a_gradient_disturbs_nothing(name, make):
    weighting = make(name, 3)
    jacobians, losses = gradients(3)
    jacobians[2:4, 1], losses[2:4, 1] = 0.0, 0.0
    for jacobian, loss in zip(jacobians, losses, strict=True):
        direction, weights = step(weighting, jacobian, loss)
        assert direction.isfinite().all()
        assert weights.isfinite().all()


@every
def test_gradients_that_are_not_finite_show_and_raise_nothing(name, make):
    weighting = make(name)
    jacobian = torch.tensor([[1.0, float("nan"), 1.0, 1.0, 2.0, 0.0, 1.0], [1.0] * 7], dtype=torch.float64)
    direction, weights = step(weighting, jacobian, torch.tensor([float("nan"), 0.5], dtype=torch.float64))
    assert not (direction.isfinite().all() and weights.isfinite().all())


@every
def test_single_precision_gives_single_precision(name, make):
    jacobian, losses = (values[0].float() for values in gradients(2))
    directions, weights = make(name).directions([jacobian], losses)
    assert directions[0].dtype == weights.dtype == torch.float32
