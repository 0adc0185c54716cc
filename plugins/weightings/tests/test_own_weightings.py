"""What the weightings that are not wrapped from torchjd have to have in common."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from rmtl_bench.contracts import Batch, GradientWeighting, LossWeighting, Task, TaskLosses
from rmtl_bench_weightings.adatask import TaskwiseAdam
from rmtl_bench_weightings.db_mtl import DualBalancing
from rmtl_bench_weightings.gradcraft import GradientCrafting
from rmtl_bench_weightings.gradnorm import GradientNormalization
from rmtl_bench_weightings.igb import ImprovableGap
from rmtl_bench_weightings.metabalance import MetaBalance
from rmtl_bench_weightings.moco import GradientCorrection
from rmtl_bench_weightings.pe_ltr import ParetoEfficient
from rmtl_bench_weightings.uw_so import SoftOptimalUncertainty

WEIGHTINGS: dict[str, Callable[..., Any]] = {
    "adatask": TaskwiseAdam,
    "db-mtl": DualBalancing,
    "gradcraft": lambda tasks: GradientCrafting(tasks, relax=0.7, margin=0.1),
    "gradnorm": GradientNormalization,
    "igb": ImprovableGap,
    "metabalance": lambda tasks: MetaBalance(tasks, target="t0"),
    "moco": lambda tasks: GradientCorrection(tasks, rho=0.1),
    "pe-ltr": ParetoEfficient,
    "uw-so": SoftOptimalUncertainty,
}
COLUMNS = (4, 3)


@dataclass
class Step:
    """The gradients [K, P] and the losses [K] of a step."""

    jacobian: Tensor
    losses: Tensor

    def permuted(self, order: Sequence[int]) -> Step:
        return Step(self.jacobian[list(order)], self.losses[list(order)])

    def without(self, *tasks: int) -> Step:
        jacobian, losses = self.jacobian.clone(), self.losses.clone()
        jacobian[list(tasks)], losses[list(tasks)] = 0.0, 0.0
        return Step(jacobian, losses)


def build(name: str, order: Sequence[int] = (0, 1, 2), dtype: torch.dtype = torch.float64) -> Any:
    return WEIGHTINGS[name]([Task(f"t{k}") for k in order]).to(dtype)


def steps(number: int, tasks: int = 3, dtype: torch.dtype = torch.float64, seed: int = 0) -> list[Step]:
    """Return steps whose gradients have conflicts and very different lengths."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([1.0, 5.0, 0.2, 2.0, 1.0])[:tasks, None]
    return [
        Step(
            (lengths * torch.randn(tasks, sum(COLUMNS), generator=generator)).to(dtype),
            (0.05 + torch.rand(tasks, generator=generator)).to(dtype),
        )
        for _ in range(number)
    ]


def take(weighting: Any, step: Step) -> tuple[Tensor, Tensor]:
    """Return the direction and the weights of a step, and let the weighting's own parameters follow it."""
    optimizer = torch.optim.SGD([*weighting.parameters(), torch.nn.Parameter(torch.zeros(1))], 0.01)
    if isinstance(weighting, GradientWeighting):
        directions, weights = weighting.directions(step.jacobian.split(COLUMNS, dim=1), step.losses)
        direction = torch.cat(tuple(directions))
    else:
        direction, weights = combined(weighting, step)
    optimizer.step()
    weighting.after_step()
    return direction, weights


def combined(weighting: LossWeighting, step: Step) -> tuple[Tensor, Tensor]:
    per_sample = step.losses.repeat(4, 1).requires_grad_()
    mask = (step.losses != 0).repeat(4, 1)
    ids = torch.zeros(4, dtype=torch.int32)
    batch = Batch(ids[:, None], per_sample[:, :0], torch.zeros_like(per_sample), mask, ids, ids, torch.arange(4))
    loss, weights = weighting.combine(TaskLosses(per_sample, mask), torch.zeros_like(per_sample), batch)
    (gradient,) = torch.autograd.grad(loss, per_sample)
    return gradient.sum(0) @ step.jacobian, weights


def train(weighting: Any, history: Sequence[Step]) -> list[tuple[Tensor, Tensor]]:
    """Take steps, each of them an epoch."""
    taken = []
    for step in history:
        taken.append(take(weighting, step))
        weighting.after_epoch(step.losses)
    return taken


@pytest.fixture(params=sorted(WEIGHTINGS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_directions_and_weights_are_finite_and_of_the_right_form(name, tasks, dtype):
    for direction, weights in train(build(name, range(tasks), dtype), steps(4, tasks, dtype)):
        assert direction.shape == (sum(COLUMNS),)
        assert weights.shape == (tasks,)
        assert direction.dtype == weights.dtype == dtype
        assert not weights.requires_grad
        assert not direction.requires_grad
        assert direction.isfinite().all()
        assert weights.isfinite().all()
        assert (weights > 0).any()


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 0, 1)])
def test_permuting_the_tasks_permutes_the_weights_and_leaves_the_direction(name, order):
    history = steps(5)
    plain = train(build(name), history)
    permuted = train(build(name, order), [step.permuted(order) for step in history])
    for (direction, weights), (same, elsewhere) in zip(plain, permuted, strict=True):
        torch.testing.assert_close(same, direction)
        torch.testing.assert_close(elsewhere, weights[list(order)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_task_alone_is_plain_training_bit_for_bit(name, dtype):
    weighting = build(name, [0], dtype)
    history = steps(4, 1, dtype)
    for step, (direction, weights) in zip(history, train(weighting, history), strict=True):
        assert torch.equal(direction, step.jacobian[0])
        assert torch.equal(weights, torch.ones(1, dtype=dtype))
    assert not getattr(weighting, "preconditions", False)
    assert all(torch.equal(parameter, torch.ones_like(parameter)) for parameter in weighting.parameters())


@pytest.mark.parametrize("stop", [1, 2, 4])
@pytest.mark.parametrize("through_a_file", [False, True])
def test_a_saved_state_resumes_identically(name, stop, through_a_file):
    history = steps(6)
    history[2] = history[2].without(1)
    whole = train(build(name), history)
    first, second = build(name), build(name)
    train(first, history[:stop])
    state = first.state_dict()
    if through_a_file:
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        state = torch.load(file, weights_only=True)
    second.load_state_dict(state)
    train(first, history[:1])
    resumed = train(second, history[stop:])
    for (direction, weights), (expected, reported) in zip(resumed, whole[stop:], strict=True):
        assert torch.equal(direction, expected)
        assert torch.equal(weights, reported)


@pytest.mark.parametrize("missing", [(1,), (0,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("when", [0, 2])
def test_missing_labels_give_finite_results(name, missing, when):
    history = steps(5)
    history[when] = history[when].without(*missing)
    taken = train(build(name), history)
    assert all(direction.isfinite().all() and weights.isfinite().all() for direction, weights in taken)
    if when == 0 and len(missing) == 3:
        assert torch.equal(taken[0][0], torch.zeros(sum(COLUMNS), dtype=torch.float64))


def test_a_task_that_never_has_a_label_does_not_stop_the_others(name):
    taken = train(build(name), [step.without(1) for step in steps(6)])
    for direction, weights in taken:
        assert weights.isfinite().all()
        assert direction.isfinite().all()
        assert direction.ne(0).any()


def test_weights_and_directions_already_reported_do_not_change_later(name):
    weighting = build(name)
    start = {
        key: value.clone() if isinstance(value, Tensor) else value for key, value in weighting.state_dict().items()
    }
    taken = [(given, given.clone()) for step in steps(5) for given in take(weighting, step)]
    weighting.after_epoch(torch.tensor([0.3, 0.2, 0.1]))
    weighting.load_state_dict(start)
    take(weighting, steps(1)[0])
    assert all(torch.equal(given, then) for given, then in taken)


@pytest.mark.parametrize("where", ["jacobian", "losses"])
@pytest.mark.parametrize("fault", [torch.nan, torch.inf])
@pytest.mark.parametrize("history", [0, 2])
def test_numbers_that_are_not_finite_show_and_raise_nothing(name, where, fault, history):
    weighting = build(name)
    train(weighting, steps(history))
    step = steps(1, seed=1)[0]
    getattr(step, where)[1] = fault
    for _ in range(2):
        direction, weights = take(weighting, step)
        if where == "jacobian" or fault != torch.inf:
            assert not (direction.isfinite().all() and weights.isfinite().all())


def test_the_global_generator_is_left_alone(name):
    history = steps(3)
    before = torch.get_rng_state()
    train(build(name), history)
    assert torch.equal(torch.get_rng_state(), before)
