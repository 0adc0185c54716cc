"""Every backbone with four seeds side by side: each seed's numbers are those of its training alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rmtl_bench.contracts import GradientWeighting, LossWeighting, SessionTable, Weighted
from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench.training.streams import Streams
from rmtl_bench.training.trainer import Trainer
from rmtl_bench.training.validation import predict
from rmtl_bench_backbones.plugin import rmtl_backbones

SEEDS = 4
# Wide enough that no layer is dead from the start.
WIDE = {"embedding_dim": 8, "bottom": (16, 12), "tower": (8,)}
REPRESENTING = [info.name for info in rmtl_backbones() if "shared-representation" in info.provides]
PENALISED = ["escm2", "aitm", "dselect-k"]


class _Sum(LossWeighting):
    def combine(self, losses, logits, batch):
        means = losses.mean()
        return Weighted(means.sum(), torch.ones_like(means))


class _ByLength(GradientWeighting):
    """Gradients of one length: smooth in them."""

    def task_weights(self, gramian, losses):
        return gramian.diagonal().clamp(min=1e-12).rsqrt()


def table_of(schema, missing=False):
    """Labels that follow from two fields, and a number that no two rows have in common, so that no scores are equal.

    So many rows to validate that a pair whose order is a matter of rounding does not show.
    """
    rng, rows = np.random.default_rng(0), 580
    tasks = len(schema.tasks)
    codes = np.stack([rng.integers(field.size, size=rows) for field in schema.categorical], 1).astype(np.int32)
    numerical = rng.standard_normal((rows, len(schema.numerical))).astype(np.float32)
    events = rng.random((rows, tasks)) < 0.2 + 0.6 * (codes[:, :1] + codes[:, 1:2]) / 10
    labels = np.logical_and.accumulate(events, axis=1)
    mask = rng.random((rows, tasks)) < 0.7 if missing else None
    return SessionTable(
        schema=schema,
        categorical=codes,
        numerical=numerical,
        labels=(labels if mask is None else labels & mask).astype(np.float32),
        label_mask=mask,
        session=np.arange(rows, dtype=np.int32),
        user=np.arange(rows, dtype=np.int32),
        timestamp=np.arange(rows, dtype=np.int64),
        session_end=np.ones(rows, np.uint8),
        split_sizes=(rows - 420, 400, 20),
    )


@pytest.fixture
def seeds_of(make_model):
    """Return a trainer a seed, each as a run makes it."""

    def build(table, name, parameters, weighting):
        settings = TrainerSettings.resolve({"batch_size": 64, "learning_rate": 0.01, "max_epochs": 2})
        rows = [DeviceRows(table, split, torch.device("cpu")) for split in ("train", "valid")]
        parts = [Component(part, part, 1, "x", "1") for part in ("data", name, "weighting")]
        trainers = []
        for seed in range(SEEDS):
            backbone = make_model(name, table.schema, seed, **{**WIDE, **parameters})
            streams = Streams(Cell(parts[0], "f", *parts[1:], {}, ("auc",), seed))
            trainers.append(Trainer(backbone, weighting(table.schema.tasks), *rows, settings, streams))
        return trainers

    return build


def epochs_of(history):
    columns = (history.epochs[column] for column in ("epoch", "task", "quantity", "value"))
    return {tuple(key): value for *key, value in zip(*columns, strict=True) if key[-1] != "seconds"}


def assert_same_training(alone, joint):
    """Compare two trainings of one seed: how they went, losses, scores, weights, and what the backbones predict."""
    one, other = alone.history, joint.history
    assert other.warnings == one.warnings
    assert other.kept_epoch.epoch == one.kept_epoch.epoch
    expected, found = epochs_of(one), epochs_of(other)
    losses = [key for key in expected if key[-1] in ("train-loss", "logloss")]
    assert found == pytest.approx(expected, rel=0, abs=1e-4)
    assert [found[key] for key in losses] == pytest.approx([expected[key] for key in losses], rel=1e-5)
    assert other.weights["mean"] == pytest.approx(one.weights["mean"], rel=1e-4, abs=1e-4)
    predictions = [predict(trainer.backbone, trainer.valid, 100) for trainer in (alone, joint)]
    torch.testing.assert_close(*predictions, rtol=1e-3, atol=1e-3)


@pytest.fixture
def compare(seeds_of):
    """Train the seeds one after another and side by side, and compare."""

    def compare(*what):
        alone, joint = (seeds_of(*what) for _ in range(2))
        for trainer in alone:
            trainer.run()
        assert SeedsSideBySide(joint).run() == [None] * SEEDS
        for one, other in zip(alone, joint, strict=True):
            assert_same_training(one, other)
        # Seeds that were all alike would show nothing.
        assert len({epochs_of(trainer.history)[1, "t0", "train-loss"] for trainer in joint}) == SEEDS

    return compare


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        *((info.name, {}) for info in rmtl_backbones()),
        # An interaction is the same part in every backbone that has one.
        *((name, {"interaction": kind}) for name in ("shared-bottom", "home") for kind in ("dcn-v2", "deepfm")),
        ("dselect-k", {"per_example": True}),
    ],
    ids=str,
)
def test_each_seed_has_the_numbers_that_it_has_alone(name, parameters, compare, make_schema):
    compare(table_of(make_schema(3, numerical=("price",))), name, {**parameters, "dropout": 0.0}, _Sum)


def test_each_seed_drops_the_units_that_it_drops_alone(name, compare, make_schema):
    compare(table_of(make_schema(2, numerical=("price",))), name, {"dropout": 0.3}, _Sum)


@pytest.mark.parametrize("name", REPRESENTING)
def test_a_gradient_weighting_sees_each_seeds_representation(name, compare, make_schema):
    table = table_of(make_schema(2, numerical=("price",)))
    compare(table, name, {"dropout": 0.0}, lambda tasks: _ByLength(tasks, "representation"))


@pytest.mark.parametrize("name", ["mmoe", "ple", "stem"])
def test_a_gradient_weighting_sees_each_seeds_shared_parameters(name, compare, make_schema):
    table = table_of(make_schema(3, numerical=("price",)))
    compare(table, name, {"dropout": 0.0}, lambda tasks: _ByLength(tasks, "shared"))


@pytest.mark.parametrize("name", ["mmoe", "home", *PENALISED])
def test_missing_labels_count_for_no_seed(name, compare, make_schema):
    compare(table_of(make_schema(3, numerical=("price",)), missing=True), name, {"dropout": 0.0}, _Sum)


@pytest.mark.parametrize("name", ["single-task", "ple", *PENALISED])
def test_one_task_alone(name, compare, make_schema):
    compare(table_of(make_schema(1, numerical=("price",))), name, {"dropout": 0.0}, _Sum)
