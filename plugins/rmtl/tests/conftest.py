"""Sessions, a small backbone and trainers for the tests of this distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rmtl_bench.contracts import (
    Backbone,
    Batch,
    CategoricalField,
    Cell,
    Component,
    Evaluation,
    FieldEmbedding,
    Schema,
    SessionTable,
    SplitRows,
    StageContext,
    Task,
    Weighting,
)
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench.training.streams import Streams
from rmtl_bench.training.trainer import Trainer
from rmtl_bench_rmtl.critics import Critics

# Threads would fight over the cores, and small tensors gain nothing by them.
torch.set_num_threads(1)

CRITICS: dict[str, Any] = {"embedding_dim": 3, "bottom": (8,), "tower": (4,), "dropout": 0.2}
INSIDE, END, CUT = 0, 1, 2


class Actor(Backbone):
    """A linear model with dropout on embeddings."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.embedding = FieldEmbedding(schema, 4)
        self.heads = nn.Linear(self.embedding.width, len(schema.tasks))

    def forward(self, batch: Batch) -> Tensor:
        return self.heads(nn.functional.dropout(self.embedding(batch), 0.1, self.training))


@pytest.fixture(scope="session")
def make_table() -> Callable[..., SessionTable]:
    def make(
        tasks: int = 2, *, missing: bool = False, optimum: bool = False, single_rows: bool = False
    ) -> SessionTable:
        """200 rows in sessions of 1 to 5; a boundary of the splits cuts a session on either side.

        ``optimum``: with the labels' true probabilities. ``single_rows``: every session has one row, none is cut.
        """
        rng = np.random.default_rng(3)
        sizes, n = (120, 40, 40), 200
        session = np.repeat(np.arange(n), rng.integers(1, 6, n))[:n]
        end = np.append(session[1:] != session[:-1], True).astype(np.uint8)
        for last in (119, 159):
            session[last + 1 :] += session[last] == session[last + 1]
            end[last] = CUT
        if single_rows:
            session, end = np.arange(n), np.full(n, END, dtype=np.uint8)
        level = rng.integers(1, 6, n)
        probability = np.repeat(0.16 * level[:, None], tasks, axis=1)
        labels = rng.random((n, tasks)) < probability
        mask = rng.random((n, tasks)) < 0.7
        return SessionTable(
            schema=Schema((CategoricalField("level", 6),), ("x",), tuple(Task(f"t{k}") for k in range(tasks))),
            categorical=level[:, None].astype(np.int32),
            numerical=rng.standard_normal((n, 1)).astype(np.float32),
            labels=(labels & mask if missing else labels).astype(np.float32),
            session=session.astype(np.int32),
            user=np.zeros(n, dtype=np.int32),
            timestamp=np.arange(n, dtype=np.int64),
            session_end=end,
            split_sizes=sizes,
            label_mask=mask if missing else None,
            optimum=probability.astype(np.float32) if optimum else None,
        )

    return make


@pytest.fixture(scope="session")
def make_trainer(make_table: Callable[..., SessionTable]) -> Callable[..., Trainer]:
    def make(
        weighting: Weighting,
        *,
        label: str = "w",
        seed: int = 0,
        missing: bool = False,
        optimum: bool = False,
        single_rows: bool = False,
        handed_on: Mapping[str, Tensor] | None = None,
        actor: Callable[[Schema], Backbone] = Actor,
        **settings: Any,
    ) -> Trainer:
        """As a run builds it: ``label`` tells the weightings of two runs apart, everything else is the same."""
        table = make_table(len(weighting.tasks), missing=missing, optimum=optimum, single_rows=single_rows)
        named = {name: Component(name, name, 1, "toy", "1") for name in ("data", "actor", label)}
        settings = {"batch_size": 32, "learning_rate": 0.02, "max_epochs": 4, **settings}
        cell = Cell(named["data"], "0", named["actor"], named[label], settings, ("auc",), seed)
        streams = Streams(cell)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(streams.init())
            backbone = actor(table.schema)
        train, valid = (DeviceRows(table, split, torch.device("cpu")) for split in ("train", "valid"))
        resolved = TrainerSettings.resolve(settings)
        return Trainer(backbone, weighting, train, valid, resolved, streams, handed_on=handed_on)

    return make


@pytest.fixture(scope="session")
def make_critics() -> Callable[..., Critics]:
    def make(schema: Schema, seed: int = 0, **sizes: Any) -> Critics:
        torch.manual_seed(seed)
        return Critics(schema, **{**CRITICS, **sizes})

    return make


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., SplitRows]:
    def make(
        session_end: Sequence[int],
        labels: Sequence[Sequence[float]],
        label_mask: Sequence[Sequence[bool]] | None = None,
        optimum: Sequence[Sequence[float]] | None = None,
    ) -> SplitRows:
        """Rows whose only field and only number tell them apart: row i has id i and the number i."""
        n, tasks = len(labels), len(labels[0])
        end = np.array(session_end, dtype=np.uint8)
        table = SessionTable(
            schema=Schema((CategoricalField("row", n),), ("i",), tuple(Task(f"t{k}") for k in range(tasks))),
            categorical=np.arange(n, dtype=np.int32)[:, None],
            numerical=np.arange(n, dtype=np.float32)[:, None],
            labels=np.array(labels, dtype=np.float32),
            session=np.append(0, np.cumsum(end[:-1] != INSIDE)).astype(np.int32),
            user=np.zeros(n, dtype=np.int32),
            timestamp=np.arange(n, dtype=np.int64),
            session_end=end,
            split_sizes=(n, 0, 0),
            label_mask=None if label_mask is None else np.array(label_mask),
            optimum=None if optimum is None else np.array(optimum, dtype=np.float32),
        )
        rows = DeviceRows(table, "train", torch.device("cpu"))
        rows.schema = table.schema  # type: ignore[attr-defined]
        return rows

    return make


@pytest.fixture(scope="session")
def make_context() -> Callable[..., StageContext]:
    def make(rows: SplitRows, logits: Tensor, seed: int = 0, handed_on: Mapping[str, Tensor] | None = None) -> Any:
        """What a critic stage asks for, where train and valid are one and the actor's logits are given.

        What it is told by ``warn`` stands in ``warnings``.
        """
        warnings: list[str] = []
        return SimpleNamespace(
            schema=rows.schema,  # type: ignore[attr-defined]
            train=rows,
            valid=rows,
            device=torch.device("cpu"),
            evaluation_batch_size=2,
            predict=lambda rows: logits,
            # As in a run, every stream has a seed of its own, and a paired one does not equal the unpaired.
            seed=lambda stream, *, paired=False: 1000 * seed + 2 * len(stream) + paired,
            handed_on=handed_on,
            warnings=warnings,
            warn=warnings.append,
            validate=lambda: Evaluation(0.0),
        )

    return make
