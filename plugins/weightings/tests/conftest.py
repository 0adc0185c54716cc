"""Tasks, losses, weightings and trainings for the tests of this distribution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rmtl_bench.contracts import (
    Backbone,
    Batch,
    CategoricalField,
    FieldEmbedding,
    LossWeighting,
    Schema,
    SessionTable,
    Task,
    TaskLosses,
    Weighted,
    Weighting,
)
from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench.training.streams import Streams
from rmtl_bench.training.trainer import Trainer
from rmtl_bench_weightings.plugin import rmtl_weightings

Make = Callable[..., Weighting]


class SharedLayer(Backbone):
    """Two shared layers and one linear head a task, with dropout."""

    capturable = True

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.embedding = FieldEmbedding(schema, 4)
        self.shared = nn.Sequential(nn.Linear(self.embedding.width, 6), nn.ReLU(), nn.Linear(6, 5))
        self.heads = nn.Linear(5, len(schema.tasks))

    def forward(self, batch: Batch) -> Tensor:
        return self.represent(batch)[0]

    def represent(self, batch: Batch) -> tuple[Tensor, Tensor]:
        representation = self.shared(self.embedding(batch))
        return self.heads(nn.functional.dropout(representation, 0.1, self.training)), representation

    def shared_parameters(self) -> list[nn.Parameter]:
        return list(self.shared.parameters())


@pytest.fixture(scope="session")
def make() -> Make:
    def build(name: str, tasks: int = 2, seed: int = 0, **parameters: Any) -> Weighting:
        (info,) = [info for info in rmtl_weightings() if info.name == name]
        module, _, target = info.target.partition(":")
        named = [Task(f"t{k}") for k in range(tasks)]
        weighting = getattr(import_module(module), target)(named, **info.resolve(parameters))
        assert isinstance(weighting, Weighting)
        weighting.generator.manual_seed(seed)
        return weighting

    return build


@pytest.fixture(scope="session")
def combine() -> Callable[..., Weighted]:
    def call(weighting: LossWeighting, per_sample: Tensor, mask: Tensor | None = None) -> Weighted:
        rows = len(per_sample)
        ids = torch.zeros(rows, dtype=torch.int32)
        batch = Batch(ids[:, None], per_sample[:, :0], torch.zeros_like(per_sample), mask, ids, ids, torch.arange(rows))
        return weighting.combine(TaskLosses(per_sample, mask), torch.zeros_like(per_sample), batch)

    return call


@pytest.fixture(scope="session")
def losses_of() -> Callable[[Sequence[float]], Tensor]:
    """Return per-sample losses [4, K] with the given means."""
    return lambda means: torch.tensor([means] * 4) * torch.tensor([[0.5], [1.5], [0.75], [1.25]])


@pytest.fixture(scope="session")
def make_table() -> Callable[..., SessionTable]:
    """A small table of one-row sessions whose labels follow from the fields; ``unknown`` is a task without labels."""

    def table(tasks: int = 2, rows: int = 120, unknown: int | None = None) -> SessionTable:
        rng = np.random.default_rng(0)
        schema = Schema(
            tuple(CategoricalField(f"f{i}", 5) for i in range(3)), (), tuple(Task(f"t{k}") for k in range(tasks))
        )
        codes = rng.integers(5, size=(rows, 3)).astype(np.int32)
        chance = 1 / (1 + np.exp(2 - codes[:, [k % 3 for k in range(tasks)]]))
        mask = np.ones((rows, tasks), bool)
        if unknown is not None:
            mask[:, unknown] = False
        return SessionTable(
            schema=schema,
            categorical=codes,
            numerical=np.zeros((rows, 0), np.float32),
            labels=((rng.random((rows, tasks)) < chance) & mask).astype(np.float32),
            label_mask=None if unknown is None else mask,
            session=np.arange(rows, dtype=np.int32),
            user=np.arange(rows, dtype=np.int32),
            timestamp=np.arange(rows, dtype=np.int64),
            session_end=np.ones(rows, np.uint8),
            split_sizes=(rows - 40, 20, 20),
        )

    return table


@pytest.fixture(scope="session")
def make_trainer(make_table: Callable[..., SessionTable]) -> Callable[..., Trainer]:
    """A training of :class:`SharedLayer` under a weighting, always from the same start and on the same batches."""
    part = Component("x", "x", 1, "x", "1")

    def build(weighting: Weighting, table: SessionTable | None = None, device: str = "cpu", **settings: Any) -> Trainer:
        used = table or make_table(len(weighting.tasks))
        trainer = TrainerSettings.resolve({"batch_size": 25, "learning_rate": 0.02, "max_epochs": 2, **settings})
        streams = Streams(Cell(part, "f", part, part, {}, ("auc",), 0))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(streams.init())
            backbone = SharedLayer(used.schema).to(device)
        train, valid = (DeviceRows(used, split, torch.device(device)) for split in ("train", "valid"))
        return Trainer(backbone, weighting, train, valid, trainer, streams)

    return build
