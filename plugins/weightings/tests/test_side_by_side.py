"""Every weighting with four seeds side by side: each seed's numbers are those of its training alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from rmtl_bench.contracts import Backbone, FieldEmbedding, ParallelMLP, Schema
from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench.training.streams import Streams
from rmtl_bench.training.trainer import Trainer
from rmtl_bench.training.validation import predict
from rmtl_bench_weightings.plugin import rmtl_weightings

SEEDS = 4
INFOS = rmtl_weightings()
SCALAR = [(info.name, "") for info in INFOS if info.form == "loss"]
SCOPED = [(info.name, scope) for info in INFOS if info.form == "gradient" for scope in info.parameters["scope"].choices]
FEW = [("pcgrad", "shared"), ("graddrop", "representation"), ("modo", "all"), ("adatask", "all")]
# Where rounding grows by default. sdmgrad: each of its twenty projected steps on a Gramian that is not symmetric
# stretches it; a change by 1e-7 was seen to change weights by a tenth within two steps of a training. pbi: its penalty
# has the direction in which the losses differ, a quotient of differences as small as 1e-3.
TAMED = {"sdmgrad": {"steps": 2}, "pbi": {"penalty": 0.2}}

each = pytest.mark.parametrize(("name", "scope"), [*SCALAR, *SCOPED])
some = pytest.mark.parametrize(("name", "scope"), [*SCALAR, *FEW])


class _Layers(Backbone):
    """A shared network and one tower a task."""

    def __init__(self, schema, dropout):
        super().__init__(schema)
        self.embedding = FieldEmbedding(schema, 4)
        self.shared = ParallelMLP(1, self.embedding.width, (8,), dropout=dropout)
        self.towers = ParallelMLP(len(schema.tasks), 8, (6,), dropout=dropout, output=1)

    def forward(self, batch):
        return self.represent(batch)[0]

    def represent(self, batch):
        representation = self.shared(self.embedding(batch)).squeeze(0)
        return self.towers(representation).squeeze(2).T, representation

    def shared_parameters(self):
        return list(self.shared.parameters())


@pytest.fixture
def table(make_table):
    """A table whose rows all differ, so that no scores are equal.

    So many of them to validate that a pair whose order is a matter of rounding does not show.
    """

    def table(tasks, missing=False):
        made = make_table(tasks, 580)
        rng = np.random.default_rng(1)
        mask = rng.random(made.labels.shape) < 0.7 if missing else None
        return dataclasses.replace(
            made,
            schema=Schema(made.schema.categorical, ("x",), made.schema.tasks),
            numerical=rng.standard_normal((580, 1)).astype(np.float32),
            labels=made.labels if mask is None else (made.labels * mask).astype(np.float32),
            label_mask=mask,
            split_sizes=(160, 400, 20),
        )

    return table


@pytest.fixture
def seeds_of(make):
    """A trainer a seed, each as a run makes it."""

    def build(table, name, dropout=0.0, **parameters):
        settings = TrainerSettings.resolve({"batch_size": 64, "learning_rate": 0.01, "max_epochs": 2})
        rows = [DeviceRows(table, split, torch.device("cpu")) for split in ("train", "valid")]
        parts = [Component(part, part, 1, "x", "1") for part in ("data", "layers", name)]
        trainers = []
        for seed in range(SEEDS):
            streams = Streams(Cell(parts[0], "f", *parts[1:], {}, ("auc",), seed))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(streams.init())
                backbone = _Layers(table.schema, dropout)
            weighting = make(name, len(table.schema.tasks), **parameters)
            trainers.append(Trainer(backbone, weighting, *rows, settings, streams))
        return trainers

    return build


def values_of(columns, *names):
    """The values of a history's columns, by stage, epoch, task and quantity."""
    keys = list(zip(columns["stage"], columns["epoch"], columns["task"], strict=True))
    quantities = [columns.get("quantity", [name] * len(keys)) for name in names]
    return {
        (*key, quantity): value
        for name, column in zip(names, quantities, strict=True)
        for key, quantity, value in zip(keys, column, columns[name], strict=True)
        if quantity != "seconds"
    }


def assert_same_training(alone, joint):
    """Compare two trainings of a seed: their course, losses, scores and weights, and what the backbones predict."""
    one, other = alone.history, joint.history
    assert other.warnings == one.warnings
    course = [[(s.name, s.epochs, s.best_epoch, s.ended_by, s.steps) for s in seen.stages] for seen in (one, other)]
    assert course[0] == course[1]
    expected, found = (values_of(history.epochs, "value") for history in (one, other))
    losses = [key for key in expected if key[-1] in ("train-loss", "logloss")]
    assert found == pytest.approx(expected, rel=0, abs=1e-4)
    assert [found[key] for key in losses] == pytest.approx([expected[key] for key in losses], rel=1e-5)
    weights = [values_of(history.weights, "mean", "q05", "q50", "q95") for history in (one, other)]
    assert weights[1] == pytest.approx(weights[0], rel=1e-4, abs=1e-4)
    predictions = [predict(trainer.backbone, trainer.valid, 100) for trainer in (alone, joint)]
    torch.testing.assert_close(*predictions, rtol=1e-3, atol=1e-3)


@pytest.fixture
def compare(seeds_of):
    """Train the seeds of a weighting one after another and side by side, and compare."""

    def compare(table, name, scope="", **more):
        parameters = ({"scope": scope} if scope else {}) | TAMED.get(name, {}) | more
        alone, joint = (seeds_of(table, name, **parameters) for _ in range(2))
        for trainer in alone:
            trainer.run()
        assert SeedsSideBySide(joint).run() == [None] * SEEDS
        for one, other in zip(alone, joint, strict=True):
            assert_same_training(one, other)
        # Seeds that were all alike would show nothing.
        assert len({trainer.history.epochs["value"][0] for trainer in joint}) == SEEDS
        return alone, joint

    return compare


@each
def test_each_seed_has_the_numbers_that_it_has_alone(name, scope, compare, table):
    compare(table(3), name, scope)


@some
def test_missing_labels_count_for_no_seed(name, scope, compare, table):
    compare(table(2, missing=True), name, scope)


@pytest.mark.parametrize(("name", "scope"), [("famo", ""), ("dwa", ""), ("uncertainty", ""), *FEW])
def test_one_task_alone(name, scope, compare, table):
    compare(table(1), name, scope)


@pytest.mark.parametrize("name", ["fixed", "random", "famo", "uncertainty", "pcgrad"])
def test_each_seed_drops_the_units_that_it_drops_alone(name, compare, table):
    compare(table(2), name, dropout=0.3)


def test_each_seed_is_tuned_as_alone(compare, table):
    alone, joint = compare(table(2), "fixed-tuned", candidates=3, epochs=6, dropout=0.2)
    chosen = [[trainer.weighting.chosen.tolist() for trainer in trainers] for trainers in (alone, joint)]
    assert chosen[0] == chosen[1]
    assert len({tuple(weights) for weights in chosen[0]}) > 1
