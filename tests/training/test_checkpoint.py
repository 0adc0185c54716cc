"""Checkpoints: when one is written, what is gone on from, and what is not used."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from rmtl_bench.contracts import Stage, StagedWeighting
from rmtl_bench.contracts.errors import DivergedError
from rmtl_bench.contracts.run_request import CHECKPOINT_SECONDS
from rmtl_bench.training import checkpoint as module
from rmtl_bench.training import checkpoint_file
from rmtl_bench.training.checkpoint import Checkpoint, at_one_place
from rmtl_bench.training.checkpoint_file import CheckpointError

CPU = torch.device("cpu")
IDENTITY = {"run": "a", "format": "1"}


class StoppedError(Exception):
    """What a run is stopped by from within."""


class InTwoParts(StagedWeighting):
    """Two trainings; draws numbers and warns in between, by how the first ended."""

    def __init__(self, tasks, part):
        super().__init__(tasks)
        self.part = part

    def stages(self, context):
        first = context.backbone_stage("first", self.part(self.tasks), max_epochs=2, order="train")
        yield first
        drawn = torch.rand(2, generator=self.generator), torch.rand(2)
        context.warn(f"ended by {first.ended_by}, in training: {first.module.training}, drew {drawn}")
        yield context.backbone_stage("second", self.part(self.tasks), max_epochs=2)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.checkpoint"


@pytest.fixture
def train(make_trainer, path):
    """Train, with a checkpoint after every epoch unless told otherwise; stop in the epoch that is given."""

    def train(stop=None, weighting=None, checkpoint=None, **settings):
        told = []

        def observe(record):
            told.append(record)
            if len(told) == stop:
                raise StoppedError

        trainer = make_trainer(None if weighting is None else weighting(), observer=observe, **settings)
        trainer.checkpoint = checkpoint or Checkpoint(path, "run", interval=0)
        try:
            trainer.run()
        except StoppedError:
            assert stop
        trainer.told = [(record.stage, record.epoch) for record in told]
        return trainer

    return train


@pytest.fixture
def staged(toy, table):
    return lambda: InTwoParts(table.schema.tasks, toy.Equal)


def assert_same(one, other):
    """Nothing that is left of two trainings differs, but seconds."""
    columns = [
        [row for row in zip(*trainer.history.epochs.values(), strict=True) if "seconds" not in row]
        for trainer in (one, other)
    ]
    assert repr(columns[0]) == repr(columns[1])
    assert one.history.weights == other.history.weights
    assert one.history.kept_epoch == other.history.kept_epoch
    state = other.backbone.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in one.backbone.state_dict().items())


def test_a_run_without_a_checkpoint_and_one_that_writes_them_have_the_same_numbers(train):
    plain, saved = train(checkpoint=Checkpoint()), train()
    assert_same(plain, saved)
    assert saved.history.warnings == []
    assert saved.checkpoint.resumed == []


@pytest.mark.parametrize(("stop", "place"), [(2, ("train", 1)), (3, ("train", 2))])
def test_a_run_goes_on_from_its_last_epoch(stop, place, train):
    whole = train(checkpoint=Checkpoint())
    train(stop)
    resumed = train()
    assert_same(whole, resumed)
    assert resumed.told == whole.told[stop - 1 :]
    assert [(at["stage"], at["epoch"]) for at in resumed.checkpoint.resumed] == [place]


@pytest.mark.parametrize("stop", [2, 3, 4])
def test_what_is_done_between_two_stages_sees_what_it_saw(stop, train, staged):
    whole = train(weighting=staged, checkpoint=Checkpoint())
    train(stop, staged)
    resumed = train(weighting=staged)
    assert_same(whole, resumed)
    assert resumed.history.warnings == whole.history.warnings
    assert len(resumed.history.warnings) == 1


def test_seconds_and_places_of_all_parts_of_a_run_add_up(train, staged):
    train(2, staged)
    train(2, staged)
    last = train(weighting=staged)
    places = [(at["stage"], at["epoch"]) for at in last.checkpoint.resumed]
    assert places == [("first", 1), ("first", 2)]
    assert last.checkpoint.seconds_before > 0
    assert all(stage.seconds >= stage.steps * stage.step_seconds for stage in last.history.stages)


def test_a_finished_training_is_not_run_again(train):
    whole = train()
    again = train()
    assert again.told == []
    assert_same(whole, again)


def test_a_short_run_writes_none(train, path):
    trainer = train(checkpoint=Checkpoint(path, "run"))
    assert trainer.checkpoint.interval == CHECKPOINT_SECONDS == 60
    assert not path.exists()


def test_the_time_between_two_goes_with_what_one_takes(make_trainer, path, monkeypatch):
    now = 0.0
    written = []

    def wait(*_):
        nonlocal now
        written.append(now)
        now += 7

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(module, "write", wait)
    trainer = make_trainer(max_epochs=8, patience=8)
    trainer.checkpoint = Checkpoint(path, "run", interval=60)
    evaluated = trainer.evaluated

    def later(*given):
        nonlocal now
        evaluated(*given)
        now += 50

    trainer.evaluated = later
    trainer.run()
    assert written == [100, 257, 414]


FOREIGN = {
    "another run": lambda path: _rewritten(path, run="other"),
    "another torch": lambda path: _rewritten(path, torch="1.0"),
    "another device": lambda path: _rewritten(path, device="cuda"),
    "another format": lambda path: _rewritten(path, format="0"),
    "cut off": lambda path: os.truncate(path, path.stat().st_size - 40),
    "empty": lambda path: os.truncate(path, 0),
    "no checkpoint": lambda path: save_file({"a": torch.zeros(2)}, path),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a flipped bit": lambda path: _flipped(path),
    "a list for a dict": lambda path: _edited(path, lambda state: {"list": [1]}),
    "no history": lambda path: _edited(path, lambda state: {"dict": []}),
    "endless brackets": lambda path: _replaced(path, "[" * 100_000),
}


def _content(path):
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["rmtl-bench checkpoint"]), load_file(path)


def _replaced(path, text, tensors=None):
    tensors = {} if tensors is None else tensors
    save_file(tensors, path, {"rmtl-bench checkpoint": text, "crc32": checkpoint_file._checksum(text, tensors)})


def _rewritten(path, **identity):
    content, tensors = _content(path)
    content["identity"].update(identity)
    _replaced(path, json.dumps(content), tensors)


def _edited(path, change):
    content, tensors = _content(path)
    content["state"] = change(content["state"])
    _replaced(path, json.dumps(content), tensors)


def _flipped(path):
    content = bytearray(path.read_bytes())
    content[-100] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_or_damaged_checkpoint_is_not_used_and_the_run_says_so(change, train, path):
    whole = train(checkpoint=Checkpoint())
    train(2)
    change(path)
    fresh = train()
    assert_same(whole, fresh)
    assert fresh.told == whole.told
    assert fresh.checkpoint.resumed == []
    first, *others = fresh.history.warnings
    assert first.startswith("the run began anew, as its checkpoint is of no use: it ")
    assert len(others) == (change is FOREIGN["a folder"])


def _part(state, *names):
    for name in names:
        (state,) = [own for key, own in state["dict"] if key == name]
    return state


def _of_another_shape(path):
    content, tensors = _content(path)
    name = _part(content["state"], "going", "module")["dict"][0][1]["tensor"]
    tensors[name] = tensors[name][:-1].contiguous()
    _replaced(path, json.dumps(content), tensors)


def _of_another_type(path):
    content, tensors = _content(path)
    name = _part(content["state"], "going", "module")["dict"][0][1]["tensor"]
    tensors[name] = tensors[name].double()
    _replaced(path, json.dumps(content), tensors)


def _changed(*names, value):
    def change(path):
        content, tensors = _content(path)
        part = _part(content["state"], *names[:-1])
        part["dict"] = [[key, value if key == names[-1] else own] for key, own in part["dict"]]
        _replaced(path, json.dumps(content), tensors)

    return change


def _moments_of_another_shape(path):
    content, tensors = _content(path)
    (adam,) = _part(content["state"], "going", "optimizers")
    moment = _part(adam, "state", 0, "exp_avg")["tensor"]
    tensors[moment] = tensors[moment].flatten()
    _replaced(path, json.dumps(content), tensors)


NOT_FITTING = {
    "a shape": _of_another_shape,
    "a type": _of_another_type,
    "moments": _moments_of_another_shape,
    "a stage": _changed("going", "name", value="other"),
    "no optimizer": _changed("going", "optimizers", value=[]),
    "numbers for a module": _changed("going", "module", value={"dict": [["a", 1]]}),
    "an epoch": _changed("going", "progress", "epochs", value=10**6),
}


@pytest.mark.parametrize("change", NOT_FITTING.values(), ids=NOT_FITTING)
def test_a_checkpoint_that_does_not_fit_the_run_is_an_error_of_its_own(change, train, path):
    train(2)
    change(path)
    with pytest.raises(CheckpointError):
        train()


@pytest.mark.parametrize("stop", [4, None])
def test_a_checkpoint_of_more_stages_than_the_run_has_does_not_fit(stop, train, staged, path, toy, table):
    class OnlyTheFirst(InTwoParts):
        def stages(self, context):
            yield next(iter(super().stages(context)))

    train(stop, staged)
    with pytest.raises(CheckpointError, match="more stages"):
        train(weighting=lambda: OnlyTheFirst(table.schema.tasks, toy.Equal))


def test_what_fails_in_the_first_epoch_that_is_resumed_is_laid_to_the_checkpoint(train, monkeypatch):
    train(2)
    with pytest.raises(CheckpointError, match="StoppedError"):
        train(1)


def test_a_value_that_is_not_finite_is_not_laid_to_the_checkpoint(train, toy, table):
    def later():
        # It counts the epochs that the checkpoint says it has seen.
        return toy.Equal(table.schema.tasks, "diverge-later")

    train(2)
    with pytest.raises(DivergedError):
        train(weighting=later)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), SafetensorError("I/O error:\n No space left on device")]
)
def test_a_disk_that_is_full_is_one_warning_and_no_more(error, train, path, monkeypatch):
    whole = train(checkpoint=Checkpoint())

    def full(*_):
        raise error

    monkeypatch.setattr(checkpoint_file, "save_file", full)
    trainer = train()
    assert_same(whole, trainer)
    (warning,) = trainer.history.warnings
    assert warning.startswith("a checkpoint could not be written: ")
    assert warning.endswith(" No space left on device")
    assert list(path.parent.iterdir()) == []


def test_what_a_killed_process_left_half_written_is_removed(train, path):
    half = path.with_name(f"{path.name}.part")
    half.write_bytes(b"half")
    train(checkpoint=Checkpoint(path, "run"))
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("state", [object(), {(1, 2): 3}], ids=["an object", "a key"])
def test_a_state_that_cannot_be_written_is_a_warning(state, train, monkeypatch):
    monkeypatch.setattr(Stage, "get_extra_state", lambda self: state)
    trainer = train()
    (warning,) = trainer.history.warnings
    assert warning.startswith("a checkpoint could not be written: a ")


@pytest.mark.parametrize(
    ("places", "together"),
    [
        ({}, []),
        ({3: (0, 0), 5: (0, 0)}, [3, 5]),
        ({0: (1, 4), 1: (1, 4), 2: (1, 3)}, [0, 1]),
        ({0: (1, 4), 1: (2, 0), 2: (1, 4)}, [0, 1, 2]),
        ({0: (2, 0), 1: (2, 0), 2: (1, 4)}, [0, 1, 2]),
        ({0: (0, 0), 1: (1, 0), 2: (1, 0)}, [1, 2]),
        ({0: (0, 2), 1: (2, 0)}, [0]),
    ],
)
def test_seeds_are_at_one_place_at_one_epoch_or_where_they_wait_for_the_others(places, together):
    assert at_one_place(places) == together
