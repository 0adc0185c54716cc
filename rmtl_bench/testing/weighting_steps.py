"""What the checks of weightings look at: small trainings whose steps are recorded, and single steps without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.dataset import SessionTable
from rmtl_bench.contracts.schema import Task
from rmtl_bench.contracts.stage import StepReport
from rmtl_bench.contracts.weighting import GradientWeighting, LossWeighting, Weighting
from rmtl_bench.testing.checks import NotApplicable
from rmtl_bench.testing.sessions import simulated_sessions
from rmtl_bench.testing.subjects import Subject
from rmtl_bench.testing.trainings import make_trainer
from rmtl_bench.training.backbone_stage import task_losses
from rmtl_bench.training.trainer import Trainer

TASKS = 3
ROWS = 12
_TABLE_ROWS = 320
_SHORT = {"batch_size": 64, "max_epochs": 1}


def wants_parents(subject: Subject) -> bool:
    """Return whether it requires tasks that have parents."""
    return "parent-task" in subject.info.required(subject.parameters)


def parents_of(subject: Subject, tasks: int) -> list[int | None]:
    """Return the parents of the tasks that it is tried on: none, or each the one before where it requires them."""
    return [k - 1 if wants_parents(subject) and k else None for k in range(tasks)]


def small_table(subject: Subject, tasks: int = 2, rows: int = _TABLE_ROWS, **more: Any) -> SessionTable:
    """Return simulated sessions of tasks that it can weight."""
    return simulated_sessions(rows, parents_of(subject, tasks), **more)


def short_training(subject: Subject, table: SessionTable | None = None, **more: Any) -> Trainer:
    """Return a training of a few steps that has not begun, by default of two tasks and one epoch."""
    return make_trainer(small_table(subject) if table is None else table, weighting=subject, **{**_SHORT, **more})


@dataclass(frozen=True)
class Recorded:
    """One step of a training: the batch and what it was before, the report, and its weights as they were then."""

    stage: str
    batch: Batch
    before: Batch
    report: StepReport
    weights: Tensor | None


def recorded_steps(trainer: Trainer) -> list[Recorded]:
    """Run a training to its end and return its steps, those of all stages."""
    steps: list[Recorded] = []
    with trainer.at_work():
        for stage in trainer.stages():
            taken: Any = stage
            taken.backward = _recording(stage.name, stage.backward, steps)
            trainer.run_stage(stage)
    return steps


def _recording(
    stage: str, backward: Callable[[Batch], StepReport], steps: list[Recorded]
) -> Callable[[Batch], StepReport]:
    def recorded(batch: Batch) -> StepReport:
        before = copy_of(batch)
        report = backward(batch)
        weights = report.weights
        # A plugin may return anything: to say so is the checks' affair.
        kept = weights.clone() if isinstance(weights, Tensor) else weights
        steps.append(Recorded(stage, batch, before, report, kept))
        return report

    return recorded


def copy_of(batch: Batch) -> Batch:
    """Return a copy of a batch that shares no memory with it."""
    columns = {each.name: getattr(batch, each.name) for each in fields(batch)}
    copies: dict[str, Any] = {name: None if one is None else one.clone() for name, one in columns.items()}
    return Batch(**copies)


def columns_changed(batch: Batch, before: Batch) -> list[str]:
    """Return the names of the columns in which two batches differ."""
    pairs = [(each.name, getattr(batch, each.name), getattr(before, each.name)) for each in fields(batch)]
    return [name for name, now, then in pairs if now is not None and not torch.equal(now, then)]


def named_tasks(subject: Subject, tasks: int = TASKS) -> tuple[Task, ...]:
    """Return the tasks that a weighting is made for, with parents where it requires them."""
    names = [f"task-{k}" for k in range(tasks)]
    parents = parents_of(subject, tasks)
    return tuple(Task(name, None if at is None else names[at]) for name, at in zip(names, parents, strict=True))


def new_weighting(subject: Subject, tasks: Sequence[Task] | None = None, seed: int = 0) -> Weighting:
    """Return the weighting of some tasks, by default three, its generator seeded."""
    made: Weighting = subject.load()(named_tasks(subject) if tasks is None else tuple(tasks), **subject.parameters)
    made.generator.manual_seed(seed)
    return made


def loss_weighting(subject: Subject, tasks: Sequence[Task] | None = None, seed: int = 0) -> LossWeighting:
    """Return a new loss weighting; raises ``NotApplicable`` where it is of another form."""
    made = new_weighting(subject, tasks, seed)
    if not isinstance(made, LossWeighting):
        raise NotApplicable("it is no loss weighting")
    return made


def of_one_stage(weighting: Weighting) -> LossWeighting | GradientWeighting:
    """Return a weighting of losses or gradients; raises ``NotApplicable`` for one that says which stages there are."""
    if not isinstance(weighting, (LossWeighting, GradientWeighting)):
        raise NotApplicable("it makes stages of its own")
    return weighting


def random_logits(step: int = 0, tasks: int = TASKS, rows: int = ROWS) -> tuple[Tensor, Tensor]:
    """Return logits and labels [B, K] whose losses differ from task to task and from step to step."""
    generator = torch.Generator().manual_seed(step)
    labels = torch.randint(2, (rows, tasks), generator=generator).float()
    return torch.randn(rows, tasks, generator=generator) + 0.3 * torch.arange(tasks), labels


def random_jacobian(step: int = 0, tasks: int = TASKS) -> tuple[Tensor, Tensor]:
    """Return gradients [K, P] and losses [K] that differ from step to step."""
    generator = torch.Generator().manual_seed(step)
    return torch.randn(tasks, 9, generator=generator), torch.rand(tasks, generator=generator) + 0.2


def batch_of(labels: Tensor, mask: Tensor | None = None) -> Batch:
    """Return a batch of these labels [B, K] and of nothing else worth looking at."""
    rows = len(labels)
    ids, session, user = torch.zeros(3, rows, dtype=torch.int32).unbind()
    known = labels if mask is None else labels * mask
    return Batch(ids[:, None], labels.new_zeros(rows, 0), known, mask, session, user, torch.arange(rows))


def stacked_batches(batches: Sequence[Batch]) -> Batch:
    """Return the batches of several seeds, stacked [S, B, ...]; all have a mask."""
    return Batch(*(torch.stack([getattr(batch, each.name) for batch in batches]) for each in fields(Batch)))


@dataclass(frozen=True)
class Taken:
    """What a step came to: the weights reported, what the losses or gradients became (a scalar, or a direction [P]),
    and the gradient that reached the logits; of a gradient weighting the direction again.
    """

    weights: Tensor
    result: Tensor
    gradient: Tensor


def loss_step(weighting: LossWeighting, logits: Tensor, labels: Tensor, mask: Tensor | None = None) -> Taken:
    """Combine the losses of logits [B, K], train what the weighting has of its own, and tell it of the step."""
    leaf = logits.clone().requires_grad_()
    batch = batch_of(labels, mask)
    found = leaf * 1
    weighted = weighting.combine(task_losses(found, batch), found, batch)
    own = [parameter for parameter in weighting.parameters() if parameter.requires_grad]
    gradient, *of_own = torch.autograd.grad(weighted.loss, [leaf, *own], allow_unused=True)
    gradient = torch.zeros_like(leaf) if gradient is None else gradient
    for parameter, one in zip(own, of_own, strict=True):
        parameter.grad = one
    _finish(weighting, own, lambda: task_losses(logits - 0.1 * gradient.sign(), batch).mean())
    return Taken(weighted.weights, weighted.loss.detach(), gradient)


def gradient_step(weighting: GradientWeighting, jacobian: Tensor, losses: Tensor) -> Taken:
    """Ask for the direction of two tensors, train what the weighting has of its own, and tell it of the step."""
    own = [parameter for parameter in weighting.parameters() if parameter.requires_grad]
    directions, weights = weighting.directions([jacobian[:, :5].clone(), jacobian[:, 5:].clone()], losses)
    direction = torch.cat(tuple(directions))
    _finish(weighting, own, lambda: losses * 0.95)
    return Taken(weights.detach(), direction, direction)


def _finish(weighting: Weighting, own: list[nn.Parameter], losses: Callable[[], Tensor]) -> None:
    if own:
        torch.optim.Adam(own, lr=0.01).step()
    for parameter in own:
        parameter.grad = None
    weighting.after_step()
    weighting.look_again(losses)


def end_epoch(weighting: Weighting, losses: Tensor) -> None:
    """Tell the weighting that an epoch has ended with these losses [K]."""
    weighting.after_epoch(losses.detach().clone())


def some_steps(weighting: LossWeighting | GradientWeighting, order: Sequence[int] | None = None) -> Iterator[Taken]:
    """Take five steps, an epoch's end after the second and the fourth; ``order``: that of the tasks [K]."""
    tasks = len(weighting.tasks)
    places = list(range(tasks)) if order is None else list(order)
    for step in range(5):
        if isinstance(weighting, LossWeighting):
            logits, labels = (values[:, places] for values in random_logits(step, tasks))
            yield loss_step(weighting, logits, labels)
            losses = task_losses(logits, batch_of(labels)).mean()
        else:
            jacobian, losses = (values[places] for values in random_jacobian(step, tasks))
            yield gradient_step(weighting, jacobian, losses)
        if step in (1, 3):
            end_epoch(weighting, losses)
