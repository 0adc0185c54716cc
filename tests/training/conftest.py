from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rmtl_bench.contracts import Backbone, SessionTable, Weighting
from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.plugins import load_plugins
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench.training.streams import Streams
from rmtl_bench.training.trainer import Trainer

MakeCell = Callable[..., Cell]
MakeTrainer = Callable[..., Trainer]
SETTINGS: Mapping[str, Any] = {
    "batch_size": 64,
    "max_epochs": 3,
    "patience": 2,
    "learning_rate": 0.01,
}


@pytest.fixture(scope="session")
def toy(toy_plugin: Path) -> SimpleNamespace:
    """The classes of the toy plugin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RMTL_BENCH_LOAD_PLUGINS", "")
        registry = load_plugins([toy_plugin]).registry
    return SimpleNamespace(
        Backbone=registry.find("backbone", "toy-logistic").load(),
        Equal=registry.find("weighting", "toy-equal").load(),
        MGDA=registry.find("weighting", "toy-mgda").load(),
        Sessions=registry.find("dataset", "toy-sessions").load(),
    )


@pytest.fixture(scope="session")
def table(toy: SimpleNamespace) -> SessionTable:
    return toy.Sessions(rows=600).build(Path(), Path())


@pytest.fixture(scope="session")
def make_cell() -> MakeCell:
    def make(seed: int = 0, backbone: str = "logistic", weighting: str = "equal", fingerprint: str = "f") -> Cell:
        parts = [Component(name, name, 1, "toy", "1") for name in ("sessions", backbone, weighting)]
        return Cell(parts[0], fingerprint, parts[1], parts[2], SETTINGS, ("auc",), seed)

    return make


@pytest.fixture(scope="session")
def make_trainer(toy: SimpleNamespace, table: SessionTable, make_cell: MakeCell) -> MakeTrainer:
    """Build a trainer as a run does: the backbone from the init stream, in training mode."""

    def make(
        weighting: Weighting | None = None,
        cell: Cell | None = None,
        backbone: Callable[..., Backbone] | None = None,
        data: SessionTable | None = None,
        observer: Callable[..., None] | None = None,
        handed_on: Mapping[str, torch.Tensor] | None = None,
        device: str = "cpu",
        **settings: Any,
    ) -> Trainer:
        used = table if data is None else data
        streams = Streams(make_cell() if cell is None else cell)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(streams.init())
            model = (backbone or toy.Backbone)(used.schema).to(device)
        train, valid = (DeviceRows(used, split, torch.device(device)) for split in ("train", "valid"))
        return Trainer(
            model,
            toy.Equal(used.schema.tasks) if weighting is None else weighting,
            train,
            valid,
            TrainerSettings.resolve({**SETTINGS, **settings}),
            streams,
            observer,
            handed_on,
        )

    return make
