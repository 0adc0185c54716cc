"""The contract of a weighting: how the losses of the tasks become one training signal.

Three kinds, one base class each. A :class:`LossWeighting` turns losses into a scalar, a
:class:`GradientWeighting` turns the tasks' gradients into a direction, a :class:`StagedWeighting` says
which stages a training has. The trainer knows stages only, so none of them is a special case.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from rmtl_bench.contracts.batch import Batch, SplitRows
from rmtl_bench.contracts.schema import Task

if TYPE_CHECKING:
    from rmtl_bench.contracts.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class TaskLosses:
    """Binary cross-entropies of a batch.

    ``per_sample`` float32 [B, K], 0 where the label is missing; ``mask`` bool [B, K] or ``None`` when no label is.
    """

    per_sample: Tensor
    mask: Tensor | None

    def mean(self, sample_weights: Tensor | None = None) -> Tensor:
        """Return the mean loss of each task [K] over its known labels, weighted per sample [B, K] if given.

        Of stacked losses [S, B, K], the means are [S, K]. A task without a known label in the batch has loss 0. Weights
        are not normalised: weights of 1 and no weights give the same.
        """
        losses = self.per_sample if sample_weights is None else self.per_sample * sample_weights
        if self.mask is None:
            return losses.mean(-2)
        return losses.sum(-2) / self.mask.sum(-2).clamp(min=1)

    def known(self) -> Tensor:
        """Return the number of known labels of each task, float32 [K]."""
        if self.mask is None:
            return self.per_sample.new_full(self.per_sample.shape[1:], len(self.per_sample))
        return self.mask.sum(0).to(self.per_sample)

    def replica(self, place: int) -> TaskLosses:
        """Return the losses at a place of losses stacked [S, B, K]."""
        return TaskLosses(self.per_sample[place], None if self.mask is None else self.mask[place])

    def halves(self) -> tuple[TaskLosses, TaskLosses]:
        """Return the losses of the first and of the second half of the rows."""
        middle = self.per_sample.shape[-2] // 2
        masks = (None, None) if self.mask is None else (self.mask[..., :middle, :], self.mask[..., middle:, :])
        first, second = self.per_sample[..., :middle, :], self.per_sample[..., middle:, :]
        return TaskLosses(first, masks[0]), TaskLosses(second, masks[1])


class Weighted(NamedTuple):
    """What a loss weighting returns: the scalar to minimise, and the weights it used ([K] or [B, K])."""

    loss: Tensor
    weights: Tensor


class Diagnostic(NamedTuple):
    """One number that a weighting says of itself, for one task.

    ``position`` counts the rows of a session from 0 where the number belongs to one place in it, and is -1 elsewhere.
    ``value`` may be NaN: undefined.
    """

    task: str
    quantity: str
    value: float
    position: int = -1


class Weighting(nn.Module, ABC):
    """Base of the three kinds. State belongs in parameters and buffers, so that checkpoints just work.

    Learnable parameters are trained by the trainer's optimiser, without weight decay. Random draws come
    from ``self.generator`` (on the CPU), which the trainer seeds from every part of the run's identity; where it
    stands is a part of the ``state_dict``.
    """

    learning_rate: float | None = None
    """The step size of the weighting's own parameters; ``None``: the stage's."""

    capturable: bool = False
    """Whether its part in a step is the same operations on the device each time (see ``Stage.capturable``), side by
    side, too. A subclass that draws from the generator, or looks at a value in Python, has to take it back."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.generator = torch.Generator()

    def stages(self, context: StageContext) -> Iterator[Stage]:
        """Yield the stages of a training under this weighting: by default one, called ``train``.

        Each is run to its end before the next is asked for. A training that goes on from a checkpoint asks anew: it
        puts the modules of the stages that had ended, and this weighting, into the state of the end of each, and asks
        for the next. What is done between two stages has to follow from that state and from ``context``.
        """
        yield context.backbone_stage("train", self)

    def after_step(self) -> None:
        """Called after each optimiser step."""

    def look_again(self, losses: Callable[[], Tensor]) -> None:
        """Called after :meth:`after_step`, for what depends on the losses that the step has led to.

        ``losses()`` returns the mean losses [K] of the same batch under the new parameters, without gradient, at the
        cost of a forward pass. It drops out the same units as the step did, so that the two differ by the step alone.
        """

    def after_epoch(self, losses: Tensor) -> None:
        """Called after each training epoch with its mean loss a task [K], on the CPU."""

    def kept(self) -> Mapping[str, Tensor]:
        """Return the tensors that later runs may want of this one, by name; asked after the training.

        Another run is given them as ``StageContext.handed_on`` (see ``Parameter.backbone_of_source``).
        """
        return {}

    def diagnose(self, context: StageContext, rows: SplitRows) -> Iterable[Diagnostic]:
        """Return what this weighting says of itself on held-out rows; asked once, after the training.

        They are stored with the run and shown; they never enter a metric. By default there is nothing to say.
        """
        return ()

    def get_extra_state(self) -> dict[str, Any]:
        """Return the state that is no tensor of the module: where the generator stands. Extend it by more keys."""
        return {"generator": self.generator.get_state()}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that :meth:`get_extra_state` gave."""
        self.generator.set_state(state["generator"].cpu())


class LossWeighting(Weighting):
    """Turns per-sample losses into one scalar."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        # What an ancestor does for several seeds at once is no longer what this class does for one.
        if "combine" in vars(cls) and "combine_side_by_side" not in vars(cls):
            cls.combine_side_by_side = LossWeighting.__dict__["combine_side_by_side"]  # type: ignore[method-assign]

    @abstractmethod
    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        """Return the scalar to minimise, and the weights used, without gradient: [K], or [B, K] per sample.

        ``logits`` [B, K] carry the gradient of the losses; detach them for anything else.
        """

    @classmethod
    def combine_side_by_side(
        cls, weightings: Sequence[Self], losses: TaskLosses, logits: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        """Return the scalars [S] of several seeds and the weights they used, [S, K] or [S, B, K].

        ``losses``, ``logits`` and ``batch`` are stacked [S, B, ...]. By default, every seed's weighting combines its
        own. Override it where one pass does for all what would be slow one after another; the numbers are the same.
        A subclass that overrides :meth:`combine` alone has the default again.
        """
        each = [
            own.combine(losses.replica(place), logits[place], batch.replica(place))
            for place, own in enumerate(weightings)
        ]
        return torch.stack([found.loss for found in each]), torch.stack([found.weights for found in each])


class GradientWeighting(Weighting):
    """Turns the gradients of the tasks into one direction for what they share.

    ``scope`` says whose gradients: ``shared``, the dense parameters that every task's loss depends on;
    ``representation``, the output of that part of the model; ``all``, every parameter of the backbone. Everything
    outside the scope gets the gradient of the sum of the losses under the weights that are reported.

    Override the cheapest of these that is enough: :meth:`task_weights` from the Gramian, :meth:`direction` from the
    whole Jacobian, :meth:`directions` from the Jacobian tensor by tensor.
    """

    preconditions: bool = False
    """Whether the directions are steps already: they then go, times the learning rate, to the parameters as they are,
    past Adam. The scope must consist of parameters."""

    two_halves: bool = False
    """Whether :meth:`task_weights` is given J_1 J_2^T of the Jacobians of two halves of the batch, independent of each
    other, in place of J J^T: unbiased, not symmetric."""

    def __init__(self, tasks: Sequence[Task], scope: str = "shared") -> None:
        super().__init__(tasks)
        self.scope = scope

    def task_weights(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Return weights [K] from the Gramian of the tasks' gradients [K, K] and their losses [K]."""
        raise NotImplementedError(f"{type(self).__name__} defines neither task_weights nor direction nor directions")

    def direction(self, jacobian: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
        """Return the direction [P] (to be used as the gradient) and the weights [K] to report and to give
        the remaining parameters, from the Jacobian [K, P] of the losses [K].
        """
        weights = self.task_weights(jacobian @ jacobian.T, losses)
        return weights @ jacobian, weights

    def directions(self, jacobians: Sequence[Tensor], losses: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """Return a direction [n] for each tensor of the scope, from its Jacobian [K, n], and the weights [K].

        The Jacobians stand in the order of the backbone's parameters, the same at every step. By default they are put
        together for :meth:`direction` where that is overridden, else never: the Gramian is the sum of theirs.
        """
        if type(self).direction is not GradientWeighting.direction:
            direction, weights = self.direction(torch.cat(tuple(jacobians), dim=1), losses)
            return direction.split([jacobian.shape[1] for jacobian in jacobians]), weights
        weights = self.task_weights(torch.stack([j @ j.T for j in jacobians]).sum(0), losses)
        return [weights @ jacobian for jacobian in jacobians], weights

    @property
    def combines(self) -> bool:
        """Whether every direction is the sum of the tasks' gradients under the reported weights."""
        own = type(self)
        return (
            own.direction is GradientWeighting.direction
            and own.directions is GradientWeighting.directions
            and not self.preconditions
        )


class StagedWeighting(Weighting):
    """Says which stages a training has, what each optimises and what ends it."""

    @abstractmethod
    def stages(self, context: StageContext) -> Iterator[Stage]:
        """Yield the stages. Each is run to its end before the next is asked for."""
