"""A whole plugin in one file, for tests of the core: nothing in it is slow, and it can misbehave on request."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rmtl_bench import BackboneInfo, DatasetInfo, Parameter, WeightingInfo, hookimpl, scope_parameter
from rmtl_bench.contracts import (
    Backbone,
    Batch,
    CategoricalField,
    Dataset,
    FieldEmbedding,
    GradientWeighting,
    LossWeighting,
    Schema,
    SessionTable,
    Stage,
    StageContext,
    StagedWeighting,
    Task,
    TaskLosses,
    Weighted,
)


class ToyBackbone(Backbone):
    """Logistic regression on embeddings, a shared linear layer before."""

    def __init__(self, schema: Schema, width: int = 4) -> None:
        super().__init__(schema)
        self.embedding = FieldEmbedding(schema, width)
        self.shared = nn.Linear(self.embedding.width, width)
        self.heads = nn.Linear(width, len(schema.tasks))

    def forward(self, batch: Batch) -> Tensor:
        hidden = torch.tanh(self.shared(self.embedding(batch)))
        return self.heads(nn.functional.dropout(hidden, 0.1, self.training))

    def shared_parameters(self) -> list[nn.Parameter]:
        return list(self.shared.parameters())


class ToyEqual(LossWeighting):
    """Sums the losses, unless told to misbehave in the first step, or after the first epoch, of the run."""

    epochs: Tensor

    def __init__(self, tasks: tuple[Task, ...], behaviour: str = "learn", flag: str = "") -> None:
        super().__init__(tasks)
        self.behaviour = behaviour
        self.flag = flag
        self.register_buffer("epochs", torch.tensor(0))
        self.hoard: list[Tensor] = []

    def after_epoch(self, losses: Tensor) -> None:
        self.epochs += 1

    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        if self.behaviour == "raise":
            raise RuntimeError("the toy was told to raise")
        due = self.behaviour == "kill" or (self.behaviour == "kill-later" and self.epochs)
        if due and not Path(self.flag).exists():
            Path(self.flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.behaviour == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.behaviour == "lack":
            raise MemoryError("the toy was told to want more")
        if self.behaviour == "hog":
            self.hoard.append(torch.ones(10_000_000))
        if self.behaviour in ("sleep", "hog"):
            time.sleep(0.2)
        mean = losses.mean()
        if self.behaviour == "diverge" or (self.behaviour == "diverge-later" and self.epochs):
            mean = mean * float("nan")
        return Weighted(mean.sum(), torch.ones_like(mean))


class ToyMGDA(GradientWeighting):
    """The min-norm point of two gradients, in closed form."""

    def task_weights(self, gramian: Tensor, losses: Tensor) -> Tensor:
        (a, b), (_, c) = gramian
        first = ((c - b) / (a - 2 * b + c).clamp(min=1e-12)).clamp(0, 1)
        return torch.stack([first, 1 - first])


class ToyConstant(LossWeighting):
    """Weighs the losses by numbers that stay."""

    def __init__(self, tasks: tuple[Task, ...], weights: Tensor) -> None:
        super().__init__(tasks)
        self.register_buffer("weights", weights)

    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        return Weighted((losses.mean() * self.weights).sum(), self.weights)


class ToyHeir(StagedWeighting):
    """Draws weights, or inherits them from the run that it builds on; keeps them for its own heirs.

    Without anything to inherit it can be told to raise, or to warn.
    """

    def __init__(self, tasks: tuple[Task, ...], builds_on: str = "", alone: str = "learn") -> None:
        super().__init__(tasks)
        self.builds_on = builds_on
        self.alone = alone

    def stages(self, context: StageContext) -> Iterator[Stage]:
        if (context.handed_on is None) != (self.builds_on == ""):
            raise RuntimeError(f"{self.builds_on!r} was named, and {context.handed_on} handed on")
        if context.handed_on is None:
            if self.alone == "raise":
                raise RuntimeError("the toy was told to raise\nand says more of it")
            if self.alone == "warn":
                context.warn("the toy was told to warn")
            self.weights = 0.5 + torch.rand(len(self.tasks), generator=self.generator)
        else:
            self.weights = context.handed_on["weights"].clone()
        yield context.backbone_stage("train", ToyConstant(self.tasks, self.weights))

    def kept(self) -> Mapping[str, Tensor]:
        square = self.weights.outer(self.weights)
        # Views: two share their memory, and one is not contiguous.
        return {
            "weights": self.weights,
            "again": self.weights[:1],
            "transposed": square[:, :1].T,
            "scalar": square.sum(),
        }


class ToySessions(Dataset):
    """Sessions of three rows; the first field decides the label's rate, which is known."""

    def __init__(self, rows: int = 1200) -> None:
        self.rows = rows

    def build(self, data_dir: Path, scratch: Path) -> SessionTable:
        rng = np.random.default_rng(5)
        n = self.rows // 15 * 15
        field = rng.integers(1, 6, n).astype(np.int32)
        optimum = np.stack([0.15 * field, (0.15 * field) ** 2], axis=1).astype(np.float32)
        first = rng.random(n) < optimum[:, 0]
        second = first & (rng.random(n) < optimum[:, 0])
        end = np.tile(np.array([0, 0, 1], dtype=np.uint8), n // 3)
        return SessionTable(
            schema=Schema((CategoricalField("level", 6),), ("x",), (Task("click"), Task("pay", "click"))),
            categorical=field[:, None],
            numerical=rng.standard_normal((n, 1)).astype(np.float32),
            labels=np.stack([first, second], axis=1).astype(np.float32),
            session=np.repeat(np.arange(n // 3, dtype=np.int32), 3),
            user=np.repeat(np.arange(n // 15, dtype=np.int32), 15),
            timestamp=np.arange(n, dtype=np.int64),
            session_end=end,
            split_sizes=(n * 3 // 5, n // 5, n // 5),
            optimum=optimum,
        )


@hookimpl
def rmtl_backbones() -> list[BackboneInfo]:
    return [
        BackboneInfo(
            name="toy-logistic",
            target=f"{__name__}:ToyBackbone",
            summary="logistic regression",
            parameters={"width": Parameter(4, "width of everything", minimum=1)},
            provides=frozenset({"shared-parameters"}),
        ),
        BackboneInfo(
            name="toy-needy",
            target=f"{__name__}:ToyBackbone",
            summary="requires what nobody provides",
            requires=frozenset({"moonlight"}),
        ),
    ]


@hookimpl
def rmtl_weightings() -> list[WeightingInfo]:
    behaviours = ("learn", "raise", "kill", "kill-later", "die", "lack", "hog", "sleep", "diverge", "diverge-later")
    return [
        WeightingInfo(
            name="toy-equal",
            target=f"{__name__}:ToyEqual",
            summary="the sum",
            parameters={
                "behaviour": Parameter("learn", "what to do", choices=behaviours),
                "flag": Parameter("", "a file that says that the process was killed before"),
            },
        ),
        WeightingInfo(
            name="toy-mgda",
            target=f"{__name__}:ToyMGDA",
            summary="the min-norm point of two gradients",
            parameters={"scope": scope_parameter()},
        ),
        WeightingInfo(
            name="toy-heir",
            target=f"{__name__}:ToyHeir",
            summary="weights inherited from another run",
            parameters={
                "builds_on": Parameter("", "the backbone of the run to inherit from", backbone_of_source=True),
                "alone": Parameter("learn", "what to do if there is none", choices=("learn", "raise", "warn")),
            },
        ),
    ]


@hookimpl
def rmtl_datasets() -> list[DatasetInfo]:
    return [
        DatasetInfo(
            name="toy-sessions",
            target=f"{__name__}:ToySessions",
            summary="sessions of three rows",
            parameters={"rows": Parameter(1200, "number of rows", minimum=75)},
            provides=frozenset({"sessions", "parent-task", "optimum"}),
        )
    ]
