"""What a training leaves behind: losses, scores and weights by epoch, and how each stage ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

from rmtl_bench.contracts.cell import EpochRecord
from rmtl_bench.training.used_weights import QUANTILES, UsedWeights

_KINDS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("stage", "task", "quantity", "name", "ended_by"), str),
    **dict.fromkeys(("epoch", "epochs", "best_epoch", "steps"), int),
}
"""What is no floating-point number, by the name of a column or a field."""


@dataclass(frozen=True)
class StageSummary:
    """How a stage went: epochs run, the epoch whose state was kept (0 is the start), and what ended it.

    ``best_score`` is ``None`` where no epoch was good. ``seconds`` of the whole stage; ``step_seconds``, the mean
    seconds of one of its ``steps``, evaluation left out, ``None`` where there was none. An epoch in the middle of which
    a step failed counts among the epochs, and its steps do not.
    """

    name: str
    epochs: int
    best_epoch: int
    best_score: float | None
    ended_by: str
    seconds: float
    steps: int
    step_seconds: float | None


@dataclass(frozen=True)
class KeptEpoch:
    """The epoch of the backbone's training whose state it is in: its stage, its number and its validation score."""

    stage: str
    epoch: int
    score: float


@dataclass
class History:
    """Rows for the run folder's ``history`` and ``weights`` tables, as columns; how stages ended; warnings.

    ``kept_epoch``: the epoch whose state the backbone is left in; ``None`` before any was good.
    """

    tasks: Sequence[str]
    epochs: dict[str, list[Any]] = field(
        default_factory=lambda: {"stage": [], "epoch": [], "task": [], "quantity": [], "value": []}
    )
    weights: dict[str, list[Any]] = field(
        default_factory=lambda: {
            key: [] for key in ("stage", "epoch", "task", "mean", *(f"q{round(100 * q):02d}" for q in QUANTILES))
        }
    )
    stages: list[StageSummary] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    kept_epoch: KeptEpoch | None = None

    def mark(self) -> list[tuple[list[Any], int]]:
        """Return where the tables end now, for :meth:`back_to`."""
        return [(column, len(column)) for table in (self.epochs, self.weights) for column in table.values()]

    def back_to(self, mark: Sequence[tuple[list[Any], int]]) -> None:
        """Take the rows that were added since away again: an epoch is there whole or not."""
        for column, length in mark:
            del column[length:]

    def add_epoch(self, record: EpochRecord) -> None:
        """Add the losses, the score and the validation values of an epoch."""
        rows = [(task, "train-loss", loss) for task, loss in record.losses.items()]
        rows += [(task, quantity, value) for (task, quantity), value in record.values.items()]
        rows += [("", "score", record.score), ("", "seconds", record.seconds)]
        for task, quantity, value in rows:
            for column, cell in zip(self.epochs, (record.stage, record.epoch, task, quantity, value), strict=True):
                self.epochs[column].append(cell)

    def add_weights(self, stage: str, epoch: int, used: UsedWeights | Iterable[Tensor]) -> None:
        """Add the mean and quantiles of the weights of an epoch's steps, each [K] or [B, K]."""
        weights = used if isinstance(used, UsedWeights) else UsedWeights(len(self.tasks), used)
        if not len(weights):
            return
        means, quantiles = weights.summary()
        for k, (task, mean) in enumerate(zip(self.tasks, means, strict=True)):
            row = (stage, epoch, task, mean, *quantiles[:, k].tolist())
            for column, cell in zip(self.weights, row, strict=True):
                self.weights[column].append(cell)

    def as_data(self) -> dict[str, Any]:
        """Return all of it as JSON-ready data, for :meth:`from_data`."""
        return {**asdict(self), "tasks": list(self.tasks)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> History:
        """Return the history that said ``data`` of itself. Raises an error of one kind or another if none can have."""
        fresh = cls(tuple(data["tasks"]))
        for table, saved in ((fresh.epochs, data["epochs"]), (fresh.weights, data["weights"])):
            table.update({name: [_KINDS.get(name, float)(value) for value in saved[name]] for name in table})
            if len({len(column) for column in table.values()}) > 1:
                raise ValueError("the columns of a table differ in length")
        fresh.stages = [StageSummary(**_of_kinds(summary)) for summary in data["stages"]]
        fresh.warnings = [str(text) for text in data["warnings"]]
        kept = data["kept_epoch"]
        fresh.kept_epoch = None if kept is None else KeptEpoch(**_of_kinds(kept))
        return fresh

    def seconds_a_step(self) -> float | None:
        """Return the mean seconds of a step over all stages, evaluation left out; ``None`` if there was no step."""
        timed = [(stage.steps, stage.step_seconds) for stage in self.stages if stage.step_seconds is not None]
        steps = sum(count for count, _ in timed)
        return sum(count * seconds for count, seconds in timed) / steps if steps else None

    def stage_summaries(self) -> list[dict[str, Any]]:
        """Return the stages as JSON-ready data."""
        return [asdict(stage) for stage in self.stages]


def _of_kinds(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if value is None else _KINDS.get(name, float)(value) for name, value in fields.items()}
