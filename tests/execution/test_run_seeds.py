"""Seeds of a cell in one process: passes of several sizes, and what becomes of those that fail."""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.execution import DataSources
from rmtl_bench.execution import run_seeds as module
from rmtl_bench.execution.kept import write_kept
from rmtl_bench.execution.memory import is_out_of_memory
from rmtl_bench.execution.run_cell import RunOfCell, run_cell
from rmtl_bench.execution.run_seeds import SeedToRun, even_parts, run_seeds
from rmtl_bench.plugins import load_plugins
from rmtl_bench.training import backbone_stage, seeds_side_by_side
from rmtl_bench.training import trainer as trainer_module
from rmtl_bench.training.checkpoint_file import CheckpointError
from rmtl_bench.training.streams import Streams

TRAINER = {
    "batch_size": 64,
    "evaluation_batch_size": 8192,
    "learning_rate": 0.01,
    "weight_decay": 1e-6,
    "max_epochs": 2,
    "patience": 2,
}

PLUGIN = '''
from __future__ import annotations

import torch

from rmtl_bench import BackboneInfo, Parameter, WeightingInfo, hookimpl
from rmtl_bench.contracts import Backbone, FieldEmbedding, LossWeighting, ParallelMLP, Weighted


class Plain(Backbone):
    def __init__(self, schema):
        super().__init__(schema)
        self.embedding = FieldEmbedding(schema, 4)
        self.network = ParallelMLP(len(schema.tasks), self.embedding.width, (6,), dropout=0.2, output=1)

    def forward(self, batch):
        return self.network(self.embedding(batch)).squeeze(2).T


class Branching(Plain):
    def forward(self, batch):
        logits = super().forward(batch)
        return logits if bool(logits.sum() > 0) else logits * 1.5


class Odd(LossWeighting):
    """Misbehaves in one of the seeds."""

    def __init__(self, tasks, behaviour, victim):
        super().__init__(tasks)
        self.behaviour = behaviour
        self.victim = victim

    def stages(self, context):
        self.chosen = context.seed("odd", paired=True) % 997 == self.victim
        yield from super().stages(context)

    def combine(self, losses, logits, batch):
        if self.chosen and self.behaviour == "raise":
            raise ValueError("the odd one out")
        means = losses.mean()
        return Weighted(means.sum() * (float("nan") if self.chosen else 1.0), torch.ones_like(means))


@hookimpl
def rmtl_backbones():
    return [
        BackboneInfo(name=name, target=f"{__name__}:{name.capitalize()}", summary="a model")
        for name in ("plain", "branching")
    ]


@hookimpl
def rmtl_weightings():
    parameters = {"behaviour": Parameter("raise", "what to do"), "victim": Parameter(0, "the seed, by a number of it")}
    return [WeightingInfo(name="odd", target=f"{__name__}:Odd", summary="one misbehaves", parameters=parameters)]
'''


class _Runs:
    """Runs cells of the toy's data set in this process, and notes what is told of them."""

    def __init__(self, files, folder):
        self.files = files
        self.registry = load_plugins(files).registry
        self.sources = DataSources(self.registry, folder / "data", folder / "cache")
        self.dataset = self.component("dataset", "toy-sessions", rows=600)
        self.fingerprint = self.sources.fingerprint(self.dataset)
        self.table = self.sources.prepare(self.dataset, self.fingerprint)
        self.begun = []
        self.epochs = []

    def component(self, kind, name, **given):
        entry = self.registry.find(kind, name)
        return Component(name, name, 1, entry.origin.distribution, entry.origin.version, entry.info.resolve(given))

    def cell(self, seed, weighting="toy-equal", backbone="plain", **parameters):
        parts = self.component("backbone", backbone), self.component("weighting", weighting, **parameters)
        return Cell(self.dataset, self.fingerprint, *parts, TRAINER, ("auc", "logloss"), seed)

    def cells(self, count, *what, **parameters):
        return [self.cell(seed, *what, **parameters) for seed in range(count)]

    def odd_ones(self, count, behaviour, victim):
        """Cells of which the one at ``victim`` misbehaves."""
        number = Streams(self.cell(victim)).paired("odd") % 997
        return self.cells(count, "odd", behaviour=behaviour, victim=number)

    def asked(self, cells, sources=()):
        def begin(cell):
            self.begun.append(cell.seed)
            return lambda record: self.epochs.append((cell.seed, record.epoch))

        return [
            SeedToRun(cell, lambda cell=cell: begin(cell), source)
            for cell, source in itertools.zip_longest(cells, sources)
        ]

    def side_by_side(self, cells, size=0, sources=()):
        """Return the ends of the runs, by place."""
        ends = list(run_seeds(self.asked(cells, sources), self.table, self.registry, "cpu", size))
        assert sorted(end.place for end in ends) == list(range(len(cells)))
        return sorted(ends, key=lambda end: end.place)

    def alone(self, cell):
        return run_cell(cell, self.table, self.registry, "cpu", lambda record: None)


@pytest.fixture(scope="module")
def plugin_files(toy_plugin, tmp_path_factory):
    path = tmp_path_factory.mktemp("plugin") / "models.py"
    path.write_text(PLUGIN)
    return [toy_plugin, path]


@pytest.fixture(scope="module")
def prepared(plugin_files, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RMTL_BENCH_LOAD_PLUGINS", "")
        yield _Runs(plugin_files, tmp_path_factory.mktemp("seeds"))


@pytest.fixture
def runs(prepared):
    prepared.begun.clear()
    prepared.epochs.clear()
    return prepared


@pytest.fixture(scope="module")
def alone(prepared):
    """What five seeds come to on their own."""
    return [prepared.alone(cell) for cell in prepared.cells(5)]


def _metrics(result):
    return {(row.task, row.metric): row.value for row in result.metrics}


def _losses(result):
    columns = (result.history.epochs[column] for column in ("epoch", "task", "quantity", "value"))
    return {(e, t): value for e, t, quantity, value in zip(*columns, strict=True) if quantity == "train-loss"}


def _same(result, expected, exactly=False):
    assert _metrics(result) == pytest.approx(_metrics(expected), rel=0, abs=0 if exactly else 1e-4)
    assert _losses(result) == pytest.approx(_losses(expected), abs=0, rel=0 if exactly else 1e-5)
    assert result.predictions.keys() == expected.predictions.keys()
    for name, column in expected.predictions.items():
        np.testing.assert_allclose(result.predictions[name], column, rtol=0, atol=0 if exactly else 1e-4)
    assert result.error == expected.error == ""


@pytest.mark.parametrize(("size", "passes"), [(1, [1] * 5), (2, [1, 2, 2, 2, 2]), (3, [2, 2, 3, 3, 3]), (5, [5] * 5)])
def test_passes_of_every_size_come_to_what_the_seeds_come_to_alone(size, passes, runs, alone):
    ends = runs.side_by_side(runs.cells(5), size)
    for end, expected in zip(ends, alone, strict=True):
        _same(end.result, expected, exactly=size == 1)
        assert end.result.history.warnings == []
        assert end.result.facts["parameters"] == expected.facts["parameters"]
        assert all(seconds > 0 for seconds in end.result.facts["seconds"].values())
    assert [end.result.facts.get("seeds_side_by_side", 1) for end in ends] == passes
    assert sorted(runs.begun) == list(range(5))
    assert sorted(runs.epochs) == [(seed, epoch) for seed in range(5) for epoch in (1, 2)]


def test_a_measurement_chooses_where_nothing_is_asked_for(runs, alone, monkeypatch):
    asked = []

    def measured(trainers, most):
        asked.append((len(trainers(3)), most))
        return 4

    monkeypatch.setattr(module, "fastest_size", measured)
    ends = runs.side_by_side(runs.cells(5))
    assert asked == [(3, 5)]
    assert [end.result.facts["seeds_side_by_side"] for end in ends] == [2, 2, 3, 3, 3]
    # Nobody is told of a trial.
    assert sorted(runs.begun) == list(range(5))
    for end, expected in zip(ends, alone, strict=True):
        _same(end.result, expected)


def test_the_measurement_itself_leaves_the_numbers_alone(runs, alone):
    ends = runs.side_by_side(runs.cells(3))
    assert all(end.result.facts.get("seeds_side_by_side", 1) in (1, 2, 3) for end in ends)
    for end, expected in zip(ends, alone, strict=False):
        _same(end.result, expected)
    assert sorted(runs.epochs) == [(seed, epoch) for seed in range(3) for epoch in (1, 2)]


def test_one_pass_twice_is_the_same_to_the_bit(runs):
    first, second = (runs.side_by_side(runs.cells(3), 3) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        _same(one.result, other.result, exactly=True)


SCRIPT = """
import json, sys
from pathlib import Path
from rmtl_bench.contracts.cell import Cell
from rmtl_bench.execution.run_cell import run_cell
from rmtl_bench.plugins import load_plugins

import torch
torch.set_num_threads(int(sys.argv[4]))
registry = load_plugins([Path(file) for file in json.loads(sys.argv[1])]).registry
result = run_cell(Cell.from_json(json.loads(sys.argv[2])), Path(sys.argv[3]), registry, "cpu", lambda record: None)
print(json.dumps([[row.value.hex() for row in result.metrics], result.predictions["score_click"].tolist()]))
"""


def test_one_after_another_in_one_process_is_to_the_bit_as_in_a_process_of_its_own(runs):
    cell = runs.cell(2, "toy-mgda", "toy-logistic")
    asked = [runs.cell(seed, "toy-mgda", "toy-logistic") for seed in range(3)]
    ours = runs.side_by_side(asked, 1)[2].result
    arguments = [json.dumps([str(file) for file in runs.files]), json.dumps(cell.to_json()), str(runs.table)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments, str(torch.get_num_threads())],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    metrics, scores = json.loads(done.stdout)
    assert [row.value.hex() for row in ours.metrics] == metrics
    assert ours.predictions["score_click"].tolist() == scores


def test_a_backbone_that_cannot_be_mapped_runs_one_after_another_to_the_bit_and_says_so(runs):
    cells = runs.cells(3, "toy-equal", "branching")
    ends = runs.side_by_side(cells, 3)
    for cell, end in zip(cells, ends, strict=True):
        _same(end.result, runs.alone(cell), exactly=True)
        (said,) = end.result.history.warnings
        assert said.startswith("its seeds could not train side by side and ran one after another: RuntimeError: vmap")
        assert end.result.facts["warnings"] == [said]
        assert "seeds_side_by_side" not in end.result.facts
    assert sorted(runs.begun) == [0, 1, 2]


@pytest.fixture
def little_memory(monkeypatch):
    """A device whose memory suffices for so many seeds."""

    def little(most, error):
        mapped = backbone_stage.map_stacked

        def map_stacked(function, stacks, *arguments, **options):
            if len(stacks[0]) > most:
                raise error
            return mapped(function, stacks, *arguments, **options)

        monkeypatch.setattr(backbone_stage, "map_stacked", map_stacked)

    return little


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("[enforce fail] can't allocate memory: 9 GB")]
)
def test_a_pass_that_runs_out_of_memory_is_halved_until_it_fits(error, runs, alone, little_memory):
    little_memory(2, error)
    ends = runs.side_by_side(runs.cells(5), 5)
    assert [end.result.facts["seeds_side_by_side"] for end in ends[:2]] == [2, 2]
    assert ["seeds_side_by_side" in end.result.facts for end in ends[2:]] == [False, True, True]
    for end, expected in zip(ends, alone, strict=True):
        _same(end.result, expected)
        assert end.result.history.warnings == []
    assert sorted(runs.begun) == list(range(5))


def test_where_no_pass_fits_the_seeds_run_alone(runs, alone, little_memory):
    little_memory(1, MemoryError())
    for end, expected in zip(runs.side_by_side(runs.cells(3), 3), alone, strict=False):
        _same(end.result, expected, exactly=True)
        assert "seeds_side_by_side" not in end.result.facts


def test_a_measurement_passes_over_what_needs_more_memory(runs, little_memory):
    little_memory(1, torch.OutOfMemoryError())
    assert all("seeds_side_by_side" not in end.result.facts for end in runs.side_by_side(runs.cells(4)))


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError(), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), True),
        (RuntimeError("the toy was told to raise"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_what_is_a_want_of_memory(error, is_memory):
    assert is_out_of_memory(error) == is_memory


@pytest.mark.parametrize("size", [0, 1, 2, 4])
def test_a_run_whose_source_is_missing_fails_alone(size, runs, tmp_path):
    heirs = [dataclasses.replace(cell, source="s") for cell in runs.cells(4, "toy-heir", builds_on="plain")]
    kept = tmp_path / "kept"
    write_kept(kept, {"weights": torch.tensor([0.5, 1.5])})
    ends = runs.side_by_side(heirs, size, [None, kept, kept, kept])
    assert ends[0].result is None
    assert "StoreError: what the source run s kept was not given" in ends[0].error
    # Passes of two: the second is left alone.
    assert ("seeds_side_by_side" in ends[1].result.facts) == (size == 4)
    assert [end.result.error for end in ends[1:]] == [""] * 3
    for end, cell in zip(ends[1:], heirs[1:], strict=True):
        _same(end.result, run_cell(cell, runs.table, runs.registry, "cpu", lambda record: None, kept))
        assert end.result.history.warnings == []


def test_where_none_can_be_made_all_fail(runs):
    heirs = [dataclasses.replace(cell, source="s") for cell in runs.cells(3, "toy-heir", builds_on="plain")]
    for size in (0, 3):
        ends = runs.side_by_side(heirs, size)
        assert all(end.result is None and "StoreError" in end.error for end in ends)


@pytest.mark.parametrize("size", [0, 4])
def test_a_weighting_that_raises_in_one_seed_fails_there_alone(size, runs):
    cells = runs.odd_ones(4, "raise", victim=1)
    ends = runs.side_by_side(cells, size)
    assert [end.result is None for end in ends] == [False, True, False, False]
    assert "ValueError: the odd one out" in ends[1].error
    for place in (0, 2, 3):
        _same(ends[place].result, runs.alone(cells[place]), exactly=size == 4)
    if size:
        reason = "its seeds could not train side by side and ran one after another: ValueError: the odd one out"
        assert ends[0].result.history.warnings == [reason]


def test_a_seed_that_diverges_is_a_result_with_its_traceback(runs):
    cells = runs.odd_ones(3, "diverge", victim=2)
    ends = runs.side_by_side(cells, 3)
    expected = runs.alone(cells[2])
    found = ends[2].result
    assert found.error.splitlines()[-1] == expected.error.splitlines()[-1]
    assert "stage 'train', epoch 1: the training loss is [nan" in found.error
    assert found.metrics == expected.metrics == []
    assert [stage["ended_by"] for stage in found.facts["stages"]] == ["diverged"]
    for place in (0, 1):
        _same(ends[place].result, runs.alone(cells[place]))


def test_a_run_that_cannot_be_concluded_fails_alone(runs, monkeypatch):
    conclude = RunOfCell.conclude

    def broken(self, error, seconds):
        if self.cell.seed == 1:
            raise RuntimeError("no predictions")
        return conclude(self, error, seconds)

    monkeypatch.setattr(RunOfCell, "conclude", broken)
    ends = runs.side_by_side(runs.cells(3), 3)
    assert [end.result is None for end in ends] == [False, True, False]
    assert "RuntimeError: no predictions" in ends[1].error


@given(count=st.integers(1, 40), size=st.integers(1, 40))
def test_parts_are_few_and_even(count, size):
    parts = even_parts(count, size)
    assert [place for part in parts for place in part] == list(range(count))
    lengths = [len(part) for part in parts]
    assert max(lengths) <= size
    assert max(lengths) - min(lengths) <= 1
    assert (len(parts) - 1) * size < count


class Killed(BaseException):
    """Stands for the death of the process."""


@pytest.fixture
def going_on(runs, tmp_path):
    """Train three seeds with checkpoints after every epoch; the process dies in the epoch ``dies_in`` of a seed."""

    def train(size=3, dies_in=None):
        def begin(cell):
            return lambda record: died(cell.seed, record.epoch)

        def died(*where):
            runs.epochs.append(where)
            if where == dies_in:
                raise Killed

        asked = [SeedToRun(cell, lambda cell=cell: begin(cell), None, tmp_path / cell.run_id) for cell in runs.cells(3)]
        ends = run_seeds(asked, runs.table, runs.registry, "cpu", size, checkpoint_seconds=0)
        return [end.result for end in sorted(ends, key=lambda end: end.place)]

    return train


def _resumed(results):
    return [[place["epoch"] for place in result.facts.get("resumed", [])] for result in results]


def test_seeds_whose_process_died_go_on_side_by_side(going_on, runs, alone):
    with pytest.raises(Killed):
        going_on(dies_in=(1, 2))
    runs.epochs.clear()
    results = going_on()
    for found, expected in zip(results, alone, strict=False):
        _same(found, expected)
        assert found.history.warnings == []
    assert _resumed(results) == [[1]] * 3
    assert runs.epochs == [(seed, 2) for seed in range(3)]
    assert [result.facts["seeds_side_by_side"] for result in results] == [3] * 3


def test_a_seed_that_stands_elsewhere_goes_on_alone(going_on, runs, alone, tmp_path):
    with pytest.raises(Killed):
        going_on(dies_in=(1, 2))
    (tmp_path / runs.cell(1).run_id).unlink()
    results = going_on()
    for found, expected in zip(results, alone, strict=False):
        _same(found, expected)
    assert _resumed(results) == [[1], [], [1]]
    assert [result.facts.get("seeds_side_by_side") for result in results] == [2, None, 2]


def test_seeds_one_after_another_go_on_one_after_another(going_on, runs, alone):
    with pytest.raises(Killed):
        going_on(size=1, dies_in=(1, 2))
    runs.epochs.clear()
    results = going_on(size=1)
    for found, expected in zip(results, alone, strict=False):
        _same(found, expected, exactly=True)
    assert _resumed(results) == [[2], [1], []]
    assert runs.epochs == [(1, 2), (2, 1), (2, 2)]


def test_seeds_whose_checkpoints_are_of_no_use_begin_anew_side_by_side(going_on, runs, alone, monkeypatch):
    def refuse(*_):
        raise CheckpointError("an optimizer's groups are others")

    with pytest.raises(Killed):
        going_on(dies_in=(1, 2))
    monkeypatch.setattr(seeds_side_by_side, "load_optimizers", refuse)
    results = going_on()
    for found, expected in zip(results, alone, strict=False):
        _same(found, expected)
        (warning,) = found.history.warnings
        assert warning.endswith("as its checkpoint is of no use: an optimizer's groups are others")
    assert _resumed(results) == [[]] * 3
    assert [result.facts["seeds_side_by_side"] for result in results] == [3] * 3


def test_a_run_whose_checkpoint_is_of_no_use_is_made_again(runs, alone, tmp_path, monkeypatch):
    def die(record):
        if record.epoch == 2:
            raise Killed

    given = runs.cell(0), runs.table, runs.registry, "cpu"
    saved = tmp_path / "saved"
    with pytest.raises(Killed):
        run_cell(*given, die, checkpoint=saved, checkpoint_seconds=0)
    kept = saved.read_bytes()
    found = run_cell(*given, lambda record: None, checkpoint=saved)
    _same(found, alone[0], exactly=True)
    assert found.facts["resumed"] == [{"stage": "train", "epoch": 1}]
    assert found.facts["seconds"]["train"] > found.history.stages[0].step_seconds * found.history.stages[0].steps

    saved.write_bytes(kept)
    monkeypatch.setattr(trainer_module, "load_optimizers", lambda *_: 1 / 0)
    found = run_cell(*given, lambda record: None, checkpoint=saved)
    _same(found, alone[0], exactly=True)
    assert "resumed" not in found.facts
    assert found.facts["warnings"] == [
        "the run began anew, as its checkpoint is of no use: ZeroDivisionError: division by zero"
    ]
