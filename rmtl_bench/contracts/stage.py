"""The contract of a stage: one part of a training, from its first step to what ends it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.batch import Batch, SplitRows
from rmtl_bench.contracts.optimizers import Adam
from rmtl_bench.contracts.schema import Schema
from rmtl_bench.contracts.side_by_side import StageGroup
from rmtl_bench.contracts.weighting import Weighting


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step tells the history, detached: losses [K], and the weights used, [K] or [B, K]."""

    losses: Tensor
    weights: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A validation result: ``score`` decides early stopping (higher is better).

    ``values`` go into the history, keyed by (task, metric).
    """

    score: float
    values: Mapping[tuple[str, str], float] = field(default_factory=dict)


class Stage(ABC):
    """One part of a training: what it optimises, on what signal, and what ends it.

    The trainer draws batches, calls :meth:`backward`, steps the optimiser, evaluates after each epoch, stops
    when ``patience`` epochs brought no improvement, and restores the best state of ``module``. What else it carries
    from one epoch to the next has to be in :meth:`get_extra_state`, so that a training can go on from a checkpoint.

    Attributes: ``module``, whose parameters are trained and whose state is restored; ``max_epochs``, ``patience``,
    ``learning_rate``, ``None`` for the trainer's; ``tolerance``, the relative improvement of the score that counts as
    one; ``counts_start``, whether the state at the start may be the best one; ``order``, the name of the stream
    that shuffles and drops out: stages of one order see the same batches in every run of a seed; ``ended_by``, set by
    the trainer at the end: ``no-improvement``, ``max-epochs`` or, if a value was not finite, ``diverged``.
    """

    ended_by = ""

    def __init__(
        self,
        name: str,
        module: nn.Module,
        *,
        max_epochs: int | None = None,
        patience: int | None = None,
        learning_rate: float | None = None,
        tolerance: float = 0.0,
        counts_start: bool = False,
        order: str | None = None,
    ) -> None:
        self.name = name
        self.module = module
        self.max_epochs = max_epochs
        self.patience = patience
        self.learning_rate = learning_rate
        self.tolerance = tolerance
        self.counts_start = counts_start
        self.order = order or name

    @property
    def capturable(self) -> bool:
        """Whether a CUDA graph may record a step and repeat it in place of Python; ``False`` by default.

        It may where :meth:`backward`, the optimisers and :meth:`after_step` are the same operations on the device each
        time: no draw on the CPU, nothing in Python that depends on data or on the number of the step, no waiting for
        the device (``item``, ``bool``, ``cpu``, a mask as index). What changes between epochs may do so in any way.
        """
        return False

    def parameter_groups(self) -> Iterable[dict[str, Any]]:
        """Return the optimiser's parameter groups: by default all of ``module`` in one."""
        return [{"params": [p for p in self.module.parameters() if p.requires_grad]}]

    def optimizers(self, learning_rate: float, weight_decay: float) -> Sequence[torch.optim.Optimizer]:
        """Return what moves the parameters after each :meth:`backward`: by default Adam on the parameter groups."""
        groups = [group for group in self.parameter_groups() if group["params"]]
        if not groups:
            return []
        # The same arithmetic either way; torch refuses to have a CUDA graph record the steps of one that is not.
        capturable = any(parameter.is_cuda for group in groups for parameter in group["params"])
        return [Adam(groups, lr=learning_rate, weight_decay=weight_decay, fused=True, capturable=capturable)]

    @abstractmethod
    def backward(self, batch: Batch) -> StepReport:
        """Compute the gradients of one step into ``.grad`` (which is ``None`` before)."""

    def after_step(self) -> None:
        """Called after each optimiser step."""

    def after_epoch(self, losses: Tensor) -> None:
        """Called after each epoch with its mean loss a task [K], on the CPU."""

    @abstractmethod
    def evaluate(self) -> Evaluation:
        """Return the validation result at the end of an epoch."""

    def get_extra_state(self) -> dict[str, Any]:
        """Return what the stage carries from one epoch to the next outside ``module``: target networks, generators.

        A training that goes on from a checkpoint gives it to a new stage. It is made of dicts, lists, tuples, tensors,
        numbers, texts and ``None``. By default there is nothing. What the constructor computes, and what an epoch
        makes anew, need not be in it.
        """
        return {}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that :meth:`get_extra_state` gave. Its tensors may be of any shape: a file may lie."""

    @classmethod
    def side_by_side(cls, stages: Sequence[Self]) -> StageGroup[Any] | None:
        """Return what takes the steps of this stage for several seeds in one pass.

        ``None``, the default: nothing can, and they run one after another. Raises ``NotStackableError`` where these
        seeds' modules cannot be stacked.
        """
        return None


class StageContext(Protocol):
    """What a staged weighting is given: the model, the data, and a maker of stages."""

    backbone: Backbone
    schema: Schema
    train: SplitRows
    valid: SplitRows
    device: torch.device
    evaluation_batch_size: int
    handed_on: Mapping[str, Tensor] | None
    """What the run that this one builds on has kept (``Weighting.kept``), on the CPU; ``None`` if it builds on none."""

    def backbone_stage(self, name: str, weighting: Weighting, **limits: Any) -> Stage:
        """Return a stage that trains the backbone under a loss or gradient weighting.

        Its score is the mean validation AUC of the tasks that have one.

        ``limits`` are those of :class:`Stage`.
        """
        ...

    def predict(self, rows: SplitRows) -> Tensor:
        """Return the backbone's logits [N, K] on all rows of a split, in evaluation mode, without gradient."""
        ...

    def validate(self) -> Evaluation:
        """Return the backbone's mean validation AUC as score, with AUC and logloss by task."""
        ...

    def seed(self, stream: str, *, paired: bool = False) -> int:
        """Return a seed for a random stream of the weighting's own, from every part of the run's identity.

        ``paired``: from data, backbone and seed alone, so that weightings which have a part in common, a method and
        its control, draw the same for it.
        """
        ...

    def warn(self, text: str) -> None:
        """Tell the user something that does not stop the run, in one line; it is stored with the run."""
        ...
