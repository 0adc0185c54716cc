from __future__ import annotations

import dataclasses
import errno
import os
import sys

import numpy as np
import pytest
import torch

from rmtl_bench.contracts.cell import Component
from rmtl_bench.data.storage import load_table
from rmtl_bench.execution.worker import make_run
from rmtl_bench.store.layout import KEPT_FILE
from rmtl_bench.store.run_files import read_run, read_table

TALKER = """
import torch

from rmtl_bench import Parameter, WeightingInfo, hookimpl
from rmtl_bench.contracts import Diagnostic, LossWeighting, Weighted


class Talker(LossWeighting):
    # Counts what happens to it, warns, and tells what it saw when it was asked.

    def __init__(self, tasks, talks=True, diverges=False):
        super().__init__(tasks)
        self.talks, self.diverges, self.trained, self.asked = talks, diverges, 0, 0

    def stages(self, context):
        context.warn("the talker begins")
        yield from super().stages(context)

    def combine(self, losses, logits, batch):
        self.trained += 1
        mean = losses.mean()
        # Three steps an epoch.
        scale = float("nan") if self.diverges and self.trained > 3 else 1.0
        return Weighted(scale * mean.sum(), mean.new_ones(len(mean)))

    def kept(self):
        return {"trained": torch.tensor(self.trained)}

    def diagnose(self, context, rows):
        self.asked += 1
        context.warn("the talker begins")
        context.warn("the talker was asked")
        predicted = context.predict(rows).double().sigmoid().mean(0)
        seen = {"rows": [len(rows)] * 2, "positives": rows.labels.sum(0).tolist(), "predicted": predicted.tolist()}
        seen |= {"optimum": rows.optimum.double().mean(0).tolist(), "asked": [self.asked] * 2}
        seen |= {"trained": [self.trained] * 2}
        if not self.talks:
            return
        for quantity, values in seen.items():
            for task, value in zip(self.tasks, values):
                yield Diagnostic(task.name, quantity, value)
        yield Diagnostic("pay", "undefined", float("nan"), 2)


@hookimpl
def rmtl_weightings():
    parameters = {
        "talks": Parameter(True, "whether it says anything"),
        "diverges": Parameter(False, "whether its second epoch is lost"),
    }
    target = f"{__name__}:Talker"
    return [WeightingInfo(name="talker", target=target, summary="tells what it saw", parameters=parameters)]
"""


@pytest.fixture
def talked(workshop, request_for, tmp_path):
    """A finished run of a weighting that diagnoses itself: its request and its record."""

    def talked(**parameters):
        plugin = tmp_path / "talker.py"
        plugin.write_text(TALKER)
        cell = dataclasses.replace(workshop.cell(), weighting=Component("talker", "talker", 1, "t", "1", parameters))
        request = request_for(cell)
        request = dataclasses.replace(request, plugin_files=(*request.plugin_files, plugin), keep=True)
        make_run(request, lambda event: None)
        record = read_run(request.staging)
        assert (record.error == "") != parameters.get("diverges", False)
        return request, record

    return talked


@pytest.fixture(autouse=True)
def _same_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_events_are_told_and_the_folder_is_written(workshop, request_for):
    request, events = request_for(workshop.cell()), []
    make_run(request, events.append)
    record = read_run(request.staging)
    assert (record.status, record.error, record.run_id) == ("ok", "", request.cell.run_id)
    assert [event["epoch"] for event in events] == list(range(1, len(events) + 1))
    assert (request.staging / "predictions.parquet").exists()


def test_a_weighting_is_asked_once_after_training_what_it_says_of_the_test_split(talked):
    request, record = talked()
    table = load_table(request.table)
    test = table.split("test")
    columns = read_table(request.staging, "diagnostics")
    assert list(columns) == ["task", "quantity", "value", "position"]
    rows = dict(zip(zip(columns["quantity"], columns["task"], strict=True), columns["value"], strict=True))
    predictions = read_table(request.staging, "predictions")
    steps = sum(stage["steps"] for stage in record.facts["stages"])
    for k, task in enumerate(("click", "pay")):
        assert rows["rows", task] == test.stop - test.start == len(predictions["row"])
        assert rows["positives", task] == table.labels[test][:, k].sum()
        assert rows["optimum", task] == pytest.approx(table.optimum[test][:, k].mean(dtype=np.float64))
        assert rows["predicted", task] == pytest.approx(predictions[f"score_{task}"].mean(dtype=np.float64), abs=1e-6)
        assert (rows["asked", task], rows["trained", task]) == (1, steps)
    assert np.isnan(rows["undefined", "pay"])
    assert columns["position"].tolist() == [-1] * 12 + [2]


def test_of_a_weighting_that_says_nothing_no_diagnostics_are_written(workshop, request_for, talked):
    silent, _ = talked(talks=False)
    plain = request_for(workshop.cell())
    make_run(plain, lambda event: None)
    for request in (silent, plain):
        assert (request.staging / "metrics.parquet").exists()
        assert not (request.staging / "diagnostics.parquet").exists()


def test_warnings_of_training_and_diagnosis_are_stored_with_the_run_once(workshop, request_for, talked):
    assert talked()[1].facts["warnings"] == ["the talker begins", "the talker was asked"]
    plain = request_for(workshop.cell())
    make_run(plain, lambda event: None)
    assert read_run(plain.staging).facts["warnings"] == []


def test_an_exception_is_a_failed_run_with_its_traceback(workshop, request_for):
    request = request_for(workshop.cell(behaviour="raise"))
    make_run(request, lambda event: None)
    record = read_run(request.staging)
    assert record.status == "failed"
    assert "Traceback" in record.error
    assert list(record.seconds) == ["total"]
    assert {path.name for path in request.staging.iterdir()} == {"run.json", "environment.json"}


def test_a_run_that_diverges_keeps_its_good_epochs_and_is_tested_in_the_state_of_the_best(workshop, request_for):
    # What one epoch leaves is what the other run is left with, bit for bit.
    diverged = request_for(workshop.cell(behaviour="diverge-later", trainer={"max_epochs": 3}))
    good = request_for(workshop.cell(behaviour="learn", trainer={"max_epochs": 1}))
    for request in (diverged, good):
        make_run(request, lambda event: None)
    record, other = read_run(diverged.staging), read_run(good.staging)
    assert (record.status, other.status) == ("diverged", "ok")
    assert record.error.splitlines()[-1].endswith(
        "DivergedError: stage 'train', epoch 2: the training loss is [nan, nan]"
    )
    assert set(record.seconds) == {"load", "train", "evaluate"}
    for name in ("metrics", "weights", "predictions", "history"):
        kept, expected = (read_table(request.staging, name) for request in (diverged, good))
        assert kept.keys() == expected.keys()
        same = kept["quantity"] != "seconds" if name == "history" else slice(None)
        for column in kept:
            np.testing.assert_array_equal(kept[column][same], expected[column][same])
    (score,) = kept["value"][(kept["quantity"] == "score")]
    assert record.facts["kept_epoch"] == {"stage": "train", "epoch": 1, "score": score}
    assert "kept_epoch" not in other.facts
    (stage,) = record.facts["stages"]
    assert (stage["ended_by"], stage["epochs"], stage["best_epoch"]) == ("diverged", 2, 1)


def test_a_run_that_diverges_at_once_has_tables_without_rows_and_nothing_was_tested(workshop, request_for):
    request = request_for(workshop.cell(behaviour="diverge"))
    make_run(request, lambda event: None)
    record = read_run(request.staging)
    assert record.status == "diverged"
    assert "kept_epoch" not in record.facts
    assert {path.name for path in request.staging.iterdir()} == {
        "run.json",
        "environment.json",
        "history.parquet",
        "weights.parquet",
    }
    assert len(read_table(request.staging, "history")["epoch"]) == 0
    (stage,) = record.facts["stages"]
    assert (stage["ended_by"], stage["epochs"], stage["best_epoch"], stage["best_score"]) == ("diverged", 1, 0, None)


def test_of_a_run_that_diverges_nothing_is_asked_and_nothing_kept(workshop, request_for, talked):
    request, _ = talked(diverges=True)
    record = read_run(request.staging)
    assert record.status == "diverged"
    assert record.facts["warnings"] == ["the talker begins"]
    assert (request.staging / "metrics.parquet").exists()
    assert not (request.staging / "diagnostics.parquet").exists()
    assert not (request.staging / KEPT_FILE).exists()


def test_a_run_says_what_a_step_took_and_how_many_parameters_there_are(workshop, request_for):
    request = request_for(workshop.cell())
    make_run(request, lambda event: None)
    record = read_run(request.staging)
    (stage,) = record.facts["stages"]
    assert record.facts["seconds_a_step"] == pytest.approx(stage["step_seconds"])
    assert 0 < stage["step_seconds"] * stage["steps"] < stage["seconds"] < record.seconds["train"]
    # A table of 6 vectors and one layer for the number, a layer of 8 to 4, two heads.
    assert record.facts["parameters"] == 6 * 4 + (4 + 4) + (8 * 4 + 4) + 2 * (4 + 1)


def test_data_that_are_gone_are_a_failed_run(workshop, request_for, tmp_path):
    request = request_for(workshop.cell(), tmp_path / "nowhere")
    make_run(request, lambda event: None)
    assert read_run(request.staging).status == "failed"
    assert "nowhere" in read_run(request.staging).error


def test_a_broken_installation_of_torch_is_a_failed_run(workshop, request_for, monkeypatch):
    request = request_for(workshop.cell())
    monkeypatch.setitem(sys.modules, "torch", None)
    make_run(request, lambda event: None)
    assert "import of torch halted" in read_run(request.staging).error


@pytest.mark.parametrize(
    "full", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), ValueError("no: No space left on device")]
)
def test_a_full_disk_is_nothing_against_the_run(workshop, request_for, monkeypatch, full):
    def write(*_):
        raise full

    monkeypatch.setattr("rmtl_bench.execution.worker.write_table", write)
    request = request_for(workshop.cell())
    with pytest.raises(type(full)):
        make_run(request, lambda event: None)
    assert not (request.staging / "run.json").exists()
