"""What weightings of losses and of gradients keep to in every step: looked at without a model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from rmtl_bench.contracts.weighting import GradientWeighting, LossWeighting
from rmtl_bench.testing.checks import NotApplicable, broken, check
from rmtl_bench.testing.subjects import Subject
from rmtl_bench.testing.weighting_steps import (
    ROWS,
    TASKS,
    Taken,
    batch_of,
    columns_changed,
    copy_of,
    end_epoch,
    gradient_step,
    loss_step,
    loss_weighting,
    named_tasks,
    new_weighting,
    of_one_stage,
    random_jacobian,
    random_logits,
    some_steps,
    stacked_batches,
    wants_parents,
)
from rmtl_bench.training.backbone_stage import task_losses

_ORDER = (2, 0, 1)
_SEEDS = 3


@check
def no_task_is_favoured(subject: Subject) -> None:
    """Tasks in another order have the same weights in that order, so that equal tasks have equal weights."""
    if wants_parents(subject):
        raise NotApplicable("it requires a parent task")
    tasks = named_tasks(subject)
    one = of_one_stage(new_weighting(subject, tasks))
    other = of_one_stage(new_weighting(subject, [tasks[place] for place in _ORDER]))
    stood = one.generator.get_state()
    for taken, permuted in zip(some_steps(one), some_steps(other, _ORDER), strict=True):
        expected = taken.weights[..., list(_ORDER)]
        if not torch.allclose(permuted.weights, expected, rtol=1e-3, atol=1e-4):
            if not torch.equal(one.generator.get_state(), stood):
                raise NotApplicable("its weights are drawn at random")
            broken(
                f"tasks in another order have weights {_listed(permuted.weights)} instead of {_listed(expected)}",
                "treat every task alike, or leave this check out with the reason why one is favoured",
            )


@check
def reported_weights_are_those_used(subject: Subject) -> None:
    """The scalar of a loss weighting has the gradient of the losses under the weights that it reports."""
    weighting = loss_weighting(subject)
    for _ in some_steps(weighting):
        pass
    mask = torch.ones(ROWS, TASKS, dtype=torch.bool)
    mask[:5, 1] = False
    for known in (None, mask):
        logits, labels = random_logits(7)
        taken = loss_step(weighting, logits, labels, known)
        leaf = logits.clone().requires_grad_()
        losses = task_losses(leaf, batch_of(labels, known))
        weights = taken.weights.detach()
        weighted = losses.mean(weights).sum() if weights.dim() == 2 else (losses.mean() * weights).sum()
        (expected,) = torch.autograd.grad(weighted, leaf)
        scale = float(expected.abs().max())
        if not torch.allclose(taken.gradient, expected, rtol=1e-3, atol=1e-5 * max(scale, 1e-3)):
            ratio = taken.gradient.abs().sum(0) / expected.abs().sum(0).clamp(min=1e-12)
            broken(
                f"the gradients of the tasks are {_listed(ratio)} times those under the reported weights",
                "report the derivatives of the scalar by the mean losses [K], or by the losses of the rows times "
                "their number [B, K]",
            )


@check
def extreme_losses_give_finite_numbers(subject: Subject) -> None:
    """Losses and gradients that are 0, tiny, large, equal or opposed give finite weights and gradients."""
    weighting = of_one_stage(new_weighting(subject))
    cases = _extreme_logits() if isinstance(weighting, LossWeighting) else _extreme_jacobians()
    for what, first, second in cases:
        weighting = of_one_stage(new_weighting(subject))
        for _ in range(3):
            _look_at_finite(weighting, _extreme_step(weighting, first, second), what)


def _extreme_step(weighting: LossWeighting | GradientWeighting, first: Tensor, second: Tensor) -> Taken:
    if isinstance(weighting, GradientWeighting):
        taken = gradient_step(weighting, first, second)
        end_epoch(weighting, second)
    else:
        taken = loss_step(weighting, first, second)
        end_epoch(weighting, task_losses(first, batch_of(second)).mean())
    return taken


def _look_at_finite(weighting: LossWeighting | GradientWeighting, taken: Taken, what: str) -> None:
    change = "keep divisors, logarithms and exponents away from 0 and from overflow"
    for name, value in (
        ("weights", taken.weights),
        ("a loss" if isinstance(weighting, LossWeighting) else "a direction", taken.result),
        ("gradients", taken.gradient),
        *weighting.named_parameters(),
    ):
        if not value.isfinite().all():
            broken(f"{what} lead to {name} of {_listed(value)}", change)


def _extreme_logits() -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield what is extreme, the logits and the labels."""
    ones = torch.ones(ROWS, TASKS)
    for value, loss in ((200.0, "0"), (18.4, "1e-8"), (-1000.0, "1000"), (0.0, "the same size")):
        yield f"losses of {loss}", value * ones, ones
    yield "losses of 0, 1e-8 and 1000", torch.tensor([200.0, 18.4, -1000.0]) * ones, ones


def _extreme_jacobians() -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield what is extreme, the gradients and the losses."""
    jacobian, losses = random_jacobian()
    for scale in (0.0, 1e-8, 1e3):
        yield f"gradients and losses of size {scale:g}", scale * jacobian, scale * losses
    one = jacobian[:1].expand(TASKS, -1).clone()
    yield "equal gradients", one, losses[:1].expand(TASKS).clone()
    yield "opposed gradients", torch.tensor([[1.0], [-1.0], [1.0]]) * one, losses
    yield "gradients of size 0, 1e-8 and 1000", torch.tensor([[0.0], [1e-8], [1e3]]) * jacobian, losses


@check
def rows_without_labels_count_for_nothing(subject: Subject) -> None:
    """Rows of a batch whose labels are missing change neither the scalar of a loss weighting nor its weights."""
    one, other = loss_weighting(subject), loss_weighting(subject)
    stood = one.generator.get_state()
    for step in range(2):
        logits, labels = random_logits(step)
        mask = torch.ones(ROWS, TASKS, dtype=torch.bool)
        more = torch.full((5, TASKS), 3.0)
        with_rows = torch.cat([logits, more]), torch.cat([labels, more]), torch.cat([mask, more < 0])
        taken, found = loss_step(one, logits, labels, mask), loss_step(other, *with_rows)
        weights = found.weights[:ROWS] if found.weights.dim() == 2 else found.weights
        same = torch.allclose(weights, taken.weights, rtol=1e-4) and torch.allclose(found.result, taken.result, 1e-4)
        if not same and not torch.equal(one.generator.get_state(), stood):
            raise NotApplicable("its weights are drawn at random")
        if not same:
            broken(
                f"five rows without a label change the loss from {taken.result:.4g} to {found.result:.4g} and the "
                f"weights from {_listed(taken.weights)} to {_listed(weights)}",
                "take losses.mean(), which leaves them out, and look at batch.labels only where losses.mask is True",
            )


@check
def losses_and_gradients_are_left_as_they_were(subject: Subject) -> None:
    """A step changes neither the losses nor the logits nor the tasks' gradients in place."""
    weighting = of_one_stage(new_weighting(subject))
    if isinstance(weighting, LossWeighting):
        logits, labels = random_logits()
        batch = batch_of(labels, torch.ones_like(labels, dtype=torch.bool))
        found = logits.clone().requires_grad_() * 1
        losses, before = task_losses(found, batch), copy_of(batch)
        pairs = [("losses.per_sample", losses.per_sample), ("the logits", found)]
        kept = [value.detach().clone() for _, value in pairs]
        weighting.combine(losses, found, batch)
        pairs += [(f"batch.{name}", getattr(batch, name)) for name in columns_changed(batch, before)]
        kept += [getattr(before, name) for name in columns_changed(batch, before)]
    else:
        jacobian, means = random_jacobian()
        halves = [jacobian[:, :5].clone(), jacobian[:, 5:].clone()]
        pairs = [("the losses", means), *(("the tasks' gradients", half) for half in halves)]
        kept = [value.clone() for _, value in pairs]
        weighting.directions(halves, means)
    for (name, value), before_value in zip(pairs, kept, strict=True):
        if not torch.equal(value.detach(), before_value):
            broken(f"a step changes {name} in place", "work on a copy: other parts of the step read it, too")


@check
def side_by_side_it_gives_the_same_numbers(subject: Subject) -> None:
    """Where a loss weighting combines the losses of several seeds in one pass, each seed has the numbers of its own."""
    first = loss_weighting(subject)
    own: object = getattr(type(first).combine_side_by_side, "__func__", None)
    if own is getattr(LossWeighting.combine_side_by_side, "__func__", None):
        raise NotApplicable("it leaves combine_side_by_side as it is")
    alone, together = ([loss_weighting(subject, seed=seed) for seed in range(_SEEDS)] for _ in range(2))
    for step in range(2):
        logits, labels = (
            torch.stack(values)
            for values in zip(*(random_logits(10 * step + seed) for seed in range(_SEEDS)), strict=True)
        )
        batch = stacked_batches([batch_of(own, (own + more) > -1) for own, more in zip(labels, logits, strict=True)])
        # Some take the derivative of their scalar themselves.
        losses = task_losses(logits.requires_grad_(), batch)
        scalars, weights = type(first).combine_side_by_side(together, losses, logits, batch)
        for seed, weighting in enumerate(alone):
            expected = weighting.combine(losses.replica(seed), logits[seed], batch.replica(seed))
            same = torch.allclose(scalars[seed], expected.loss, rtol=1e-4)
            if not same or not torch.allclose(weights[seed], expected.weights, rtol=1e-4, atol=1e-6):
                broken(
                    f"side by side, seed {seed} has weights {_listed(weights[seed])}, and alone "
                    f"{_listed(expected.weights)}",
                    "let combine_side_by_side do for each seed what combine does, or do not override it",
                )


def _listed(values: Tensor) -> str:
    """Return up to five numbers, of the first row where there are several."""
    row = values.detach().reshape(-1, values.shape[-1])[0] if values.dim() else values.detach().reshape(1)
    return "[" + ", ".join(f"{value:.4g}" for value in row.tolist()[:5]) + "]"
