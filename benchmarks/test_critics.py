"""What critics cost on a million rows of simulated sessions: their transitions, and their training beside a backbone's.

Both promises are asserted: a step of the critics evaluates two networks, the trained one and its target, on two states,
and should still leave about half of a backbone's speed.
"""

from __future__ import annotations

import itertools
import statistics
import time

import pytest
import torch

from benchmarks.figures import report, threads_note
from rmtl_bench.contracts import SplitRows, Stage
from rmtl_bench.contracts.cell import Cell
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench.training.streams import Streams
from rmtl_bench.training.trainer import Trainer
from rmtl_bench_rmtl.sessions import Transitions

ROWS = 1_000_000
MOST_SECONDS = 1.0
SMALLEST_SHARE = 0.45
SHARE = "ratio of the critics' rate to the backbone's"
ROUNDS = 3

PUBLISHED = {"embedding_dim": 128, "bottom": [512, 256], "tower": [128, 64], "dropout": 0.2}
SMALL = {"embedding_dim": 8, "bottom": [64, 32], "tower": [16], "dropout": 0.2}
# Sizes, batch, steps a round, steps before it is the other's turn.
SIZES = {"published": (PUBLISHED, 2048, 16, 4), "small": (SMALL, 1024, 240, 40)}


class _Trainer(Trainer):
    """Takes the actor's predictions from the air: they decide no time, and a million of them take a minute."""

    def predict(self, rows: SplitRows) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        return torch.randn(len(rows), len(self.schema.tasks), generator=generator) - 2


@pytest.fixture(scope="module")
def data(registry, component, tmp_path_factory):
    """The data set, its schema and its splits: a million rows to train on, a thousand to judge by."""
    share = 1000 / (ROWS + 2000)
    dataset = component("dataset", "simulated", rows=ROWS + 2000, split=[1 - 2 * share, share, share])
    scratch = tmp_path_factory.mktemp("data")
    table = registry.find("dataset", "simulated").load()(**dataset.parameters).build(scratch, scratch)
    splits = [DeviceRows(table, split, torch.device("cpu")) for split in ("train", "valid")]
    assert abs(len(splits[0]) - ROWS) <= 2
    return dataset, table.schema, splits


@pytest.fixture(scope="module")
def stages(registry, component, data):
    """The first two stages of RMTL, ready to step: the backbone under fixed weights, and the critics."""
    dataset, schema, splits = data

    def make(sizes: dict[str, object], batch_size: int) -> tuple[Stage, Stage]:
        backbone, weighting = component("backbone", "shared-bottom", **sizes), component("weighting", "rmtl", **sizes)
        settings = TrainerSettings.resolve({"batch_size": batch_size})
        model = registry.find("backbone", "shared-bottom").load()(schema, **backbone.parameters)
        chosen = registry.find("weighting", "rmtl").load()(schema.tasks, **weighting.parameters)
        streams = Streams(Cell(dataset, "", backbone, weighting, vars(settings), (), 0))
        first, second = itertools.islice(chosen.stages(_Trainer(model, chosen, *splits, settings, streams)), 2)
        assert (first.name, second.name) == ("pre-train", "critics")
        return first, second

    return make


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_transitions(benchmark, data, threads):
    benchmark.group = f"transitions of {ROWS:,} rows"
    *_, (train, _) = data
    taken = []

    def build():
        started = time.perf_counter()
        transitions = Transitions.of(train.session_end)
        taken.append(time.perf_counter() - started)
        return transitions

    assert len(benchmark.pedantic(build, rounds=7, warmup_rounds=1).following) == len(train)
    assert statistics.median(taken) < MOST_SECONDS


@pytest.mark.parametrize("sizes", SIZES)
def test_training(benchmark, data, stages, sizes, threads):
    benchmark.group = f"training, {sizes} sizes"
    *_, (train, _) = data
    widths, batch_size, steps, turn = SIZES[sizes]
    steppers = [_stepper(stage, train) for stage in stages(widths, batch_size)]
    batches = torch.randperm(len(train), generator=torch.Generator().manual_seed(0)).split(batch_size)
    batches = batches[:steps]
    turns = [batches[start : start + turn] for start in range(0, len(batches), turn)]
    seconds = []

    def alternate():
        # Turn by turn on the same rows: what else the machine does meets both alike.
        seconds.extend([step(rows) for step in steppers] for rows in turns)

    for step in steppers:
        step(batches[:3])
    benchmark.pedantic(alternate, rounds=ROUNDS)
    rows = sum(map(len, batches)) * len(seconds) // len(turns)
    backbone, critics = (rows / sum(taken) for taken in zip(*seconds, strict=True))
    share = statistics.median(of_backbone / of_critics for of_backbone, of_critics in seconds)
    figures = {
        "samples a second of the backbone": backbone,
        "samples a second of the critics": critics,
        SHARE: share,
    }
    report(benchmark, f"{sizes} sizes, {threads_note(threads)}", figures, at_least={SHARE: SMALLEST_SHARE})


def _stepper(stage, train):
    """Return a function that trains on batches, as the trainer does, and returns the seconds that this took."""
    groups = [group for group in stage.parameter_groups() if group["params"]]
    optimizer = torch.optim.Adam(groups, lr=1e-3, weight_decay=1e-6, fused=True)
    stage.module.train()

    def step(batches):
        started = time.perf_counter()
        for rows in batches:
            optimizer.zero_grad(set_to_none=True)
            stage.backward(train.batch(rows))
            optimizer.step()
            stage.after_step()
        return time.perf_counter() - started

    return step
