"""A run that is killed after every epoch and every stage ends as one that is not: every backbone, every weighting."""

from __future__ import annotations

import pytest
import torch

from rmtl_bench.contracts import Cell
from rmtl_bench.execution import DataSources
from rmtl_bench.execution.run_cell import LoadedData, RunOfCell
from rmtl_bench.plugins import load_plugins
from rmtl_bench.training import seeds_side_by_side
from rmtl_bench.training.checkpoint import Checkpoint
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide

TRAINER = {
    "batch_size": 64,
    "evaluation_batch_size": 256,
    "learning_rate": 0.01,
    "weight_decay": 1e-6,
    "max_epochs": 3,
    "patience": 1,
}
SMALL = {"embedding_dim": 4, "bottom": (8, 6), "tower": (4,), "dropout": 0.2}
SHORT = {"critic_epochs": 3, "fine_tune_epochs": 2, "fine_tune_learning_rate": 0.02, "epochs": 3}
REGISTRY = load_plugins().registry


class Killed(BaseException):
    """Stands for the death of a process."""


class Deadly(Checkpoint):
    """Kills the process when an epoch, or a stage, has ended and is saved."""

    def epoch_ended(self, course, optimizers):
        super().epoch_ended(course, optimizers)
        if not course.ended_by:
            raise Killed

    def stage_ended(self, course):
        super().stage_ended(course)
        raise Killed


def component(kind, name, **given):
    entry = REGISTRY.find(kind, name)
    parameters = {key: value for key, value in (SMALL | SHORT).items() if key in entry.info.parameters}
    if kind == "weighting" and "candidates" in entry.info.parameters:
        parameters |= {"candidates": 2, "epochs": 5}
    return entry.component({**parameters, **given})


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    sources = DataSources(REGISTRY, folder, folder)
    dataset = component("dataset", "simulated", rows=300, tasks=3)
    return dataset, sources.prepare(dataset, sources.fingerprint(dataset))


@pytest.fixture(scope="module")
def make(table):
    dataset, folder = table
    data = LoadedData(folder, "cpu")

    def make(backbone, weighting, checkpoint, seed=3):
        cell = Cell(dataset, "f", backbone, weighting, TRAINER, ("auc", "logloss"), seed)
        return RunOfCell(cell, data, REGISTRY, lambda record: None, checkpoint=checkpoint)

    return make


@pytest.fixture
def side_by_side(make, tmp_path):
    """Train four seeds in one pass; return the runs and their results."""

    def train(*parts, saved):
        checkpoints = [Checkpoint(tmp_path / f"{seed}" if saved else None, f"{seed}", interval=0) for seed in range(4)]
        runs = [make(*parts, own, seed) for seed, own in enumerate(checkpoints)]
        assert SeedsSideBySide([run.trainer for run in runs]).run() == [None] * 4
        return [(run, run.conclude("", 0.0)) for run in runs]

    return train


def in_pieces(make, *parts, path):
    """Train with a process for each epoch, every one of which goes on from where the last was killed."""
    for number in range(100):
        run = make(*parts, Deadly(path, "run", interval=0))
        try:
            result = run.train()
        except Killed:
            continue
        assert len(result.facts["resumed"]) == number > 1
        return run, result
    raise AssertionError("no end of the training")


def left(run, result):
    """All that a run leaves, seconds apart."""
    history = result.history.as_data()
    yield [row for row in zip(*history["epochs"].values(), strict=True) if "seconds" not in row]
    yield history["weights"], history["warnings"], history["kept_epoch"]
    yield [{name: value for name, value in stage.items() if "seconds" not in name} for stage in history["stages"]]
    yield result.metrics, result.diagnostics, result.error
    yield {name: column.tolist() for name, column in result.predictions.items()}
    for state in (run.backbone.state_dict(), run.weighting.state_dict(), result.kept):
        yield {name: value.tolist() for name, value in state.items() if isinstance(value, torch.Tensor)}


def assert_goes_on(make, backbone, weighting, path):
    whole = make(backbone, weighting, None)
    expected = left(whole, whole.train())
    # As text, since NaN is not equal to itself; a number's has every digit of it.
    for found, wanted in zip(left(*in_pieces(make, backbone, weighting, path=path)), expected, strict=True):
        assert repr(found) == repr(wanted)


@pytest.mark.parametrize("name", [entry.info.name for entry in REGISTRY.entries("weighting")])
def test_every_weighting_goes_on_from_a_checkpoint_with_the_same_numbers(name, make, tmp_path):
    assert_goes_on(make, component("backbone", "shared-bottom"), component("weighting", name), tmp_path / "saved")


@pytest.mark.parametrize("name", [entry.info.name for entry in REGISTRY.entries("backbone")])
def test_every_backbone_goes_on_from_a_checkpoint_with_the_same_numbers(name, make, tmp_path):
    assert_goes_on(make, component("backbone", name), component("weighting", "fixed"), tmp_path / "saved")


@pytest.mark.parametrize(
    ("backbone", "weighting", "more"),
    [
        ("ple", "ddpg", {}),
        ("ple", "ddpg", {"pre_train": True}),
        ("ple", "td3-bc", {"pre_train": True}),
        ("stem", "rmtl", {"twin_critics": True, "shared_bottom": False}),
        ("mmoe", "rmtl-official", {"target_every": 3}),
    ],
)
def test_actors_and_critics_go_on_with_targets_generators_and_steps(backbone, weighting, more, make, tmp_path):
    assert_goes_on(make, component("backbone", backbone), component("weighting", weighting, **more), tmp_path / "saved")


@pytest.mark.parametrize("name", ["uncertainty", "famo", "adatask", "rmtl", "td3-bc"])
def test_seeds_side_by_side_go_on_with_the_same_numbers(name, side_by_side, monkeypatch):
    parts = component("backbone", "shared-bottom"), component("weighting", name)
    whole = side_by_side(*parts, saved=False)
    save, deaths = seeds_side_by_side._Pass._save, 0

    def deadly(own):
        nonlocal deaths
        save(own)
        deaths += 1
        raise Killed

    monkeypatch.setattr(seeds_side_by_side._Pass, "_save", deadly)
    for _ in range(100):
        try:
            found = side_by_side(*parts, saved=True)
        except Killed:
            continue
        break
    assert deaths > 1
    for one, other in zip(whole, found, strict=True):
        assert one[0].checkpoint.resumed == []
        assert other[1].facts["resumed"]
        assert list(map(repr, left(*other))) == list(map(repr, left(*one)))
