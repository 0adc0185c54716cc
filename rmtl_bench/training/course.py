"""The course of a stage: its epochs and steps so far, and the best state that it has had."""

from __future__ import annotations

import copy
import math
import time

from rmtl_bench.contracts.stage import Stage
from rmtl_bench.training.history import StageSummary


class StageCourse:
    """How far a stage has come. Until an epoch is better, its best state is the one that it started in.

    ``epochs`` counts the one that is being run; ``best_score`` is minus infinity while nothing was scored.
    """

    def __init__(self, stage: Stage) -> None:
        self._started = time.perf_counter()
        self.stage = stage
        self.epochs = 0
        self.best_epoch = 0
        self.best_score = -math.inf
        self.steps = 0
        self._step_seconds = 0.0
        self._best_state = copy.deepcopy(stage.module.state_dict())

    def __str__(self) -> str:
        return f"stage {self.stage.name!r}, epoch {self.epochs}"

    def is_better(self, score: float) -> bool:
        """Return whether a score is better than the best one by more than the stage's tolerance."""
        least = self.best_score + self.stage.tolerance * abs(self.best_score)
        return score > least or math.isinf(self.best_score)

    def keep(self, score: float) -> None:
        """Keep the state after this epoch as the best one."""
        self.best_epoch, self.best_score = self.epochs, score
        self._best_state = copy.deepcopy(self.stage.module.state_dict())

    def add_steps(self, steps: int, seconds: float) -> None:
        """Count the steps of an epoch, and the seconds that they took."""
        self.steps += steps
        self._step_seconds += seconds

    def end(self, ended_by: str) -> StageSummary:
        """Put the stage's module back into its best state, tell the stage what ended it, and sum its course up."""
        self.stage.module.load_state_dict(self._best_state)
        self.stage.ended_by = ended_by
        return StageSummary(
            name=self.stage.name,
            epochs=self.epochs,
            best_epoch=self.best_epoch,
            best_score=self.best_score if math.isfinite(self.best_score) else None,
            ended_by=ended_by,
            seconds=time.perf_counter() - self._started,
            steps=self.steps,
            step_seconds=self._step_seconds / self.steps if self.steps else None,
        )
