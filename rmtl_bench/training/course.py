"""The course of a stage: its epochs and steps so far, and the best state that it has had."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from rmtl_bench.contracts.stage import Stage
from rmtl_bench.training.history import StageSummary
from rmtl_bench.training.settings import TrainerSettings

_PROGRESS: Mapping[str, Callable[[Any], float]] = {
    "epochs": int,
    "best_epoch": int,
    "best_score": float,
    "seconds": float,
    "steps": int,
    "step_seconds": float,
}


class StageCourse:
    """How far a stage has come. Until an epoch is better, its best state is the one that it started in.

    ``epochs`` counts the one that is being run; ``best_score`` is minus infinity while nothing was scored;
    ``seconds`` are those of the whole stage, ``step_seconds`` of its ``steps``; ``ended_by`` is empty until
    :meth:`judge` finds that the stage is at its end, or a value was not finite.
    """

    def __init__(self, stage: Stage, settings: TrainerSettings) -> None:
        self.stage = stage
        self.max_epochs = stage.max_epochs or settings.max_epochs
        self.patience = stage.patience or settings.patience
        self.learning_rate = settings.learning_rate if stage.learning_rate is None else stage.learning_rate
        self.weight_decay = settings.weight_decay
        self.ended_by = ""
        self.epochs = 0
        self.best_epoch = 0
        self.best_score = -math.inf
        self.seconds = 0.0
        self.steps = 0
        self.step_seconds = 0.0
        self.best_state = state_of(stage.module)

    def __str__(self) -> str:
        return f"stage {self.stage.name!r}, epoch {self.epochs}"

    def judge(self, score: float) -> bool:
        """Return whether this epoch is the best one; then its state is kept. Else the stage may be at its end."""
        least = self.best_score + self.stage.tolerance * abs(self.best_score)
        better = score > least or math.isinf(self.best_score)
        if better:
            self.best_epoch, self.best_score = self.epochs, score
            self.best_state = state_of(self.stage.module)
        elif self.epochs - self.best_epoch >= self.patience:
            self.ended_by = "no-improvement"
        if not self.ended_by and self.epochs >= self.max_epochs:
            self.ended_by = "max-epochs"
        return better

    def add_steps(self, steps: int, seconds: float) -> None:
        """Count the steps of an epoch, and the seconds that they took."""
        self.steps += steps
        self.step_seconds += seconds

    def progress(self) -> dict[str, float]:
        """Return how far it has come, in numbers, for :meth:`go_on_from`."""
        return {name: getattr(self, name) for name in _PROGRESS}

    def go_on_from(self, progress: Mapping[str, float], best_state: dict[str, Any]) -> None:
        """Stand where a course stood that said ``progress`` of itself; raises ``ValueError`` if none can have."""
        numbers = {name: kind(progress[name]) for name, kind in _PROGRESS.items()}
        if not 0 <= numbers["best_epoch"] <= numbers["epochs"] <= self.max_epochs:
            raise ValueError(f"no course is at epoch {numbers['epochs']} of {self.max_epochs}")
        vars(self).update(numbers)
        self.best_state = best_state

    def end(self) -> StageSummary:
        """Put the stage's module back into its best state, tell the stage what ended it, and sum its course up."""
        self.stage.module.load_state_dict(self.best_state)
        self.stage.ended_by = self.ended_by
        return StageSummary(
            name=self.stage.name,
            epochs=self.epochs,
            best_epoch=self.best_epoch,
            best_score=self.best_score if math.isfinite(self.best_score) else None,
            ended_by=self.ended_by,
            seconds=self.seconds,
            steps=self.steps,
            step_seconds=self.step_seconds / self.steps if self.steps else None,
        )


def state_of(module: nn.Module) -> dict[str, Any]:
    """Return a copy of the module's state.

    Tensors are cloned one by one: a deep copy of one that is a view, as those of stacked modules are, would copy the
    whole stack.
    """
    state = module.state_dict()
    return {key: value.clone() if isinstance(value, Tensor) else copy.deepcopy(value) for key, value in state.items()}
