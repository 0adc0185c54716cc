from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rmtl_bench.contracts import Backbone, SessionTable, Weighting
from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.contracts.errors import DivergedError
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.plugins import load_plugins
from rmtl_bench.training.history import History
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide
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


@pytest.fixture(scope="session")
def wide(toy: SimpleNamespace) -> SessionTable:
    """A table with so many rows to validate that a pair whose order is a matter of rounding does not show."""
    table: SessionTable = toy.Sessions(rows=2000).build(Path(), Path())
    return table


@pytest.fixture(scope="session")
def seeds_of(make_trainer: MakeTrainer, make_cell: MakeCell, wide: SessionTable) -> Callable[..., list[Trainer]]:
    """Trainers of ``count`` seeds; ``weighting(seed)`` makes each one's weighting."""

    def build(weighting: Callable[[int], Weighting], count: int = 4, **more: Any) -> list[Trainer]:
        given = {"data": wide, "batch_size": 256, **more}
        return [make_trainer(weighting(seed), make_cell(seed=seed), **given) for seed in range(count)]

    return build


@pytest.fixture(scope="session")
def assert_same_training() -> Callable[..., None]:
    """Compare two trainings of a seed: their course, losses, scores and weights, and the backbones."""

    def compare(solo: Trainer, joint: Trainer, exactly: bool = False) -> None:
        one, other = solo.history, joint.history
        courses = [
            [(s.name, s.epochs, s.best_epoch, s.ended_by, s.steps) for s in seen.stages] for seen in (one, other)
        ]
        assert courses[0] == courses[1]
        kept = [
            None if seen.kept_epoch is None else (seen.kept_epoch.stage, seen.kept_epoch.epoch) for seen in (one, other)
        ]
        assert kept[0] == kept[1]
        expected, found = _epochs_of(one), _epochs_of(other)
        losses = [key for key in expected if key[-1] == "train-loss"]
        absolute, relative = (0.0, 0.0) if exactly else (1e-4, 1e-5)
        assert found == pytest.approx(expected, rel=0, abs=absolute)
        assert [found[key] for key in losses] == pytest.approx([expected[key] for key in losses], rel=relative, abs=0)
        assert other.weights["mean"] == pytest.approx(one.weights["mean"], rel=absolute, abs=0)
        state, same = solo.backbone.state_dict(), joint.backbone.state_dict()
        assert state.keys() == same.keys()
        for key, value in state.items():
            torch.testing.assert_close(same[key], value, rtol=0, atol=absolute)

    return compare


def _epochs_of(history: History) -> dict[tuple[Any, ...], float]:
    columns = [history.epochs[column] for column in ("stage", "epoch", "task", "quantity", "value")]
    return {tuple(key): value for *key, value in zip(*columns, strict=True) if key[-1] != "seconds"}


@pytest.fixture(scope="session")
def both(
    seeds_of: Callable[..., list[Trainer]], assert_same_training: Callable[..., None]
) -> Callable[..., tuple[list[Trainer], list[Trainer]]]:
    """Train the same seeds alone and side by side, and compare all that is left of them."""

    def both(
        weighting: Callable[[int], Weighting], exactly: bool = False, **more: Any
    ) -> tuple[list[Trainer], list[Trainer]]:
        solo, joint = (seeds_of(weighting, **more) for _ in range(2))
        expected = [_error_of(trainer) for trainer in solo]
        assert [str(error) for error in SeedsSideBySide(joint).run()] == [str(error) for error in expected]
        for one, other in zip(solo, joint, strict=True):
            assert_same_training(one, other, exactly)
        return solo, joint

    return both


def _error_of(trainer: Trainer) -> DivergedError | None:
    try:
        trainer.run()
    except DivergedError as error:
        return error
    return None
