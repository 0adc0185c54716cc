from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rmtl_bench import hookimpl
from rmtl_bench.contracts.errors import StoreError, UsageError
from rmtl_bench.contracts.executor import Ended, Ending, Executor, Room
from rmtl_bench.contracts.run_request import Limits
from rmtl_bench.execution import Options, SuiteRunner, missing_cells
from rmtl_bench.execution.interruption import Interruption
from rmtl_bench.store import Index, Store
from rmtl_bench.store.run_files import read_environment, read_run, read_table, write_run

FILES = {
    "checksums.json",
    "run.json",
    "environment.json",
    "metrics.parquet",
    "history.parquet",
    "weights.parquet",
    "predictions.parquet",
    "log.txt",
}
ENDS = {"plain": "ok", "mgda": "ok", "raise": "failed", "diverge": "diverged", "relapse": "diverged", "kill": "ok"}


class _Observer:
    """Notes what the main process tells its observers."""

    def __init__(self):
        self.told = []

    @hookimpl
    def rmtl_suite_started(self, suite, cells):
        self.told.append(("suite started", suite, len(cells)))

    @hookimpl
    def rmtl_run_finished(self, cell, outcome):
        self.told.append(("run finished", cell.run_id, outcome.status))

    @hookimpl
    def rmtl_suite_finished(self, suite, summary):
        self.told.append(("suite finished", suite, dict(summary)))


@pytest.fixture(scope="module")
def done(workshop, new_watcher):
    """One run that ends in each way, two at once: the cells by name, and all that was told of them."""
    flag = str(workshop.folder / "killed-once")
    cells = {
        "kill": workshop.cell(behaviour="kill", flag=flag),
        "plain": workshop.cell(),
        "raise": workshop.cell(behaviour="raise"),
        "mgda": workshop.cell(weighting="toy-mgda"),
        "diverge": workshop.cell(behaviour="diverge"),
        "relapse": workshop.cell(behaviour="diverge-later"),
    }
    observer, watcher = _Observer(), new_watcher()
    workshop.host.manager.register(observer)
    try:
        counts = workshop.execute(list(cells.values()), watcher)
    finally:
        workshop.host.manager.unregister(observer)
    folders = {name: workshop.store.runs_path / cell.run_id for name, cell in cells.items()}
    return SimpleNamespace(cells=cells, counts=counts, watcher=watcher, told=observer.told, folders=folders)


def test_each_run_ends_in_its_own_way_and_none_takes_another_down(workshop, done):
    assert done.counts == {"ok": 3, "failed": 1, "diverged": 2}
    latest = Index(workshop.store).latest()
    assert {name: latest[cell.run_id].status for name, cell in done.cells.items()} == ENDS
    assert {name: done.watcher.outcomes[cell.run_id].status for name, cell in done.cells.items()} == ENDS


def test_a_run_that_ended_well_has_every_file(done):
    for name in ("plain", "mgda", "kill"):
        assert {path.name for path in done.folders[name].iterdir()} == FILES


def test_a_run_that_ended_badly_says_why(done):
    errors = {name: read_run(folder).error for name, folder in done.folders.items()}
    assert errors["plain"] == errors["mgda"] == errors["kill"] == ""
    assert "Traceback" in errors["raise"]
    assert "RuntimeError: the toy was told to raise" in errors["raise"]
    assert "DivergedError: stage 'train', epoch 1" in errors["diverge"]
    for name in ("raise", "diverge"):
        assert not (done.folders[name] / "metrics.parquet").exists()


def test_a_run_that_diverged_after_a_good_epoch_has_every_file_and_says_why(done):
    assert {path.name for path in done.folders["relapse"].iterdir()} == FILES
    record = read_run(done.folders["relapse"])
    assert "DivergedError: stage 'train', epoch 2: the training loss is [nan, nan]" in record.error
    assert record.facts["kept_epoch"]["epoch"] == 1


def test_only_runs_that_ended_well_have_scores(workshop, done):
    scores = Index(workshop.store).scores()
    assert set(scores["run_id"]) == {done.cells[name].run_id for name in ("plain", "mgda", "kill")}


def test_metrics_have_a_row_a_task_and_metric_and_the_gap_to_the_known_optimum(done):
    table = read_table(done.folders["plain"], "metrics")
    rows = dict(zip(zip(table["task"], table["metric"], strict=True), table["value"], strict=True))
    for task in ("click", "pay"):
        assert 0 <= rows[task, "auc"] <= 1
        assert rows[task, "logloss"] > 0
        assert (task, "logloss-gap") in rows
    up = dict(zip(table["metric"], table["higher_is_better"], strict=True))
    assert up["auc"]
    assert not up["logloss"]


def test_predictions_are_those_of_the_test_split(done):
    table = read_table(done.folders["plain"], "predictions")
    assert set(table) == {"row", "session", "label_click", "score_click", "label_pay", "score_pay"}
    assert table["row"].tolist() == list(range(240, 300))
    assert ((table["score_click"] > 0) & (table["score_click"] < 1)).all()
    assert set(table["label_pay"]) <= {0.0, 1.0}


def test_history_and_weights_have_every_epoch(done):
    history = read_table(done.folders["plain"], "history")
    (stage,) = read_run(done.folders["plain"]).facts["stages"]
    assert sorted(set(history["epoch"])) == list(range(1, stage["epochs"] + 1))
    assert set(history["quantity"]) == {"train-loss", "auc", "logloss", "score", "seconds"}
    weights = read_table(done.folders["plain"], "weights")
    assert set(weights["mean"]) == {1.0}
    assert len(weights["mean"]) == 2 * stage["epochs"]


def test_run_and_environment_say_what_ran_where(done):
    record, environment = read_run(done.folders["plain"]), read_environment(done.folders["plain"])
    assert record.cell == done.cells["plain"]
    assert record.facts["rows"] == {"train": 180, "valid": 60, "test": 60}
    assert set(record.seconds) == {"load", "train", "evaluate"}
    assert (environment["device"], environment["threads"]) == ("cpu", 1)
    assert "rmtl-bench" in environment["distributions"]
    assert read_environment(done.folders["raise"])["torch"] == environment["torch"]


def test_what_a_run_prints_is_in_its_log_and_a_broken_observer_harms_nothing(done):
    log = (done.folders["plain"] / "log.txt").read_text()
    assert "the observer saw 0" in log
    assert "RuntimeError: the observer is broken" in log


def test_the_listener_is_told_of_data_runs_and_epochs(done):
    watcher = done.watcher
    assert watcher.prepared == ["toy-sessions"]
    assert watcher.announced == [(6, 2, "cpu")]
    # Begun twice, and in between it was lost.
    killed = done.cells["kill"].run_id
    assert watcher.lost == [killed]
    assert sorted(watcher.begun) == sorted([killed, *(cell.run_id for cell in done.cells.values())])
    epochs = {name: watcher.epochs[cell.run_id] for name, cell in done.cells.items()}
    assert epochs["plain"] == read_run(done.folders["plain"]).facts["stages"][0]["epochs"]
    assert epochs["raise"] == epochs["diverge"] == 0
    assert epochs["relapse"] == 1


def test_observers_are_told_of_the_suite_and_of_every_run(done):
    first, *between, last = done.told
    assert first == ("suite started", "toy@1", 6)
    assert sorted(between) == sorted(("run finished", done.cells[name].run_id, end) for name, end in ENDS.items())
    assert last == ("suite finished", "toy@1", done.counts)


def test_nothing_is_left_in_staging(workshop, done):
    assert list(workshop.store.staging.iterdir()) == []


def test_a_run_that_is_killed_twice_is_interrupted_and_the_next_command_makes_it_again(workshop, done, new_watcher):
    cell, index, watcher = workshop.cell(behaviour="die", seed=5), Index(workshop.store), new_watcher()
    assert workshop.execute([cell], watcher) == {"interrupted": 1}
    assert watcher.lost == [cell.run_id]
    assert read_run(workshop.store.runs_path / cell.run_id).error.startswith("the run's process was killed by SIGKILL")
    statuses = {run_id: attempt.status for run_id, attempt in index.latest().items()}
    assert missing_cells([cell, *done.cells.values()], statuses) == [cell]


@pytest.mark.parametrize("seeds", [1, 2], ids=["alone", "side by side"])
def test_a_run_that_is_lost_goes_on_from_its_checkpoint_with_the_same_numbers(workshop, new_watcher, seeds):
    watcher, long, numbers = new_watcher(), {"max_epochs": 4, "patience": 4}, range(20 * seeds, 21 * seeds)
    flag = str(workshop.folder / f"killed-later-{seeds}")
    cells = [workshop.cell(behaviour="kill-later", flag=flag, seed=seed, trainer=long) for seed in numbers]
    undisturbed = [workshop.cell(seed=seed, trainer=long) for seed in numbers]
    options = {"jobs": 1, "seeds_per_pass": seeds}
    assert workshop.execute(cells, watcher, checkpoint_seconds=0.0, **options) == {"ok": seeds}
    assert sorted(watcher.lost) == sorted(cell.run_id for cell in cells)
    workshop.execute(undisturbed, new_watcher(), **options)
    for cell, same in zip(cells, undisturbed, strict=True):
        disturbed, whole = workshop.store.runs_path / cell.run_id, workshop.store.runs_path / same.run_id
        assert read_run(disturbed).facts["resumed"] == [{"stage": "train", "epoch": 1}]
        for name in ("metrics", "predictions", "weights"):
            one, other = read_table(disturbed, name), read_table(whole, name)
            for column in one:
                np.testing.assert_array_equal(one[column], other[column])
        assert not workshop.store.checkpoint(cell.run_id).exists()


def test_a_run_over_a_limit_is_stopped_and_says_which(workshop, new_watcher):
    endless = {"max_epochs": 1000, "patience": 1000}
    slow = workshop.cell(behaviour="sleep", seed=6, trainer=endless)
    assert workshop.execute([slow], new_watcher(), limits=Limits(seconds=1.0)) == {"timeout": 1}
    assert "longer than the limit of 1 s" in read_run(workshop.store.runs_path / slow.run_id).error
    large = workshop.cell(behaviour="hog", seed=6, trainer=endless)
    assert workshop.execute([large], new_watcher(), limits=Limits(memory=900_000_000)) == {"oom": 1}
    assert "over the limit of 900 MB" in read_run(workshop.store.runs_path / large.run_id).error


def test_a_run_that_finds_no_memory_is_out_of_memory(workshop, new_watcher):
    alone, *beside = [workshop.cell(behaviour="lack", seed=seed) for seed in (7, 8, 9)]
    assert workshop.execute([alone], new_watcher()) == {"oom": 1}
    assert workshop.execute(beside, new_watcher(), jobs=1, seeds_per_pass=2) == {"oom": 2}
    assert "MemoryError: the toy was told to want more" in read_run(workshop.store.runs_path / alone.run_id).error


def test_when_enough_has_failed_nothing_more_is_run(workshop, new_watcher):
    failing = [workshop.cell(behaviour="raise", seed=seed) for seed in (10, 11, 12)]
    endless = workshop.cell(behaviour="sleep", seed=10, trainer={"max_epochs": 1000, "patience": 1000})
    watcher = new_watcher()
    assert workshop.execute([endless, *failing], watcher, max_failures=2) == {"failed": 2}
    assert watcher.stops == [(2, 2)]
    assert list(workshop.store.staging.iterdir()) == list((workshop.store.path / "claims").iterdir()) == []


def test_what_another_command_makes_is_waited_for_and_not_made_twice(workshop, done, new_watcher):
    cell, other = workshop.cell(seed=13), Store.open(workshop.store.path)
    claimed = other.claim(cell.run_id)
    assert claimed

    def publish_elsewhere(waited):
        shutil.copytree(done.folders["plain"], folder := other.staging_folder(cell.run_id), dirs_exist_ok=True)
        write_run(folder, replace(read_run(folder), run_id=cell.run_id, cell=cell))
        other.publish(folder, cell.run_id)
        other.release(cell.run_id)

    watcher = new_watcher()
    watcher.waiting_for = publish_elsewhere
    assert workshop.execute([cell], watcher) == {"ok": 1}
    assert watcher.begun == []
    assert watcher.elsewhere.keys() == {cell.run_id}
    assert workshop.store.attempts(cell.run_id) == 1


def test_what_another_command_has_given_up_is_made_here(workshop, new_watcher):
    cell, other = workshop.cell(seed=14), Store.open(workshop.store.path)
    assert other.claim(cell.run_id)
    watcher = new_watcher()
    watcher.waiting_for = lambda waited: other.release(waited.run_id)
    assert workshop.execute([cell], watcher) == {"ok": 1}
    assert watcher.begun == [cell.run_id]


def _without_seconds(table):
    kept = table["quantity"] != "seconds"
    return {name: column[kept] for name, column in table.items()}


def test_an_interrupt_keeps_what_is_finished_stops_the_rest_and_the_same_cell_gives_the_same_numbers(
    workshop, done, new_watcher
):
    def interrupt():
        raise KeyboardInterrupt

    endless = workshop.cell(behaviour="sleep", trainer={"max_epochs": 1000, "patience": 1000})
    with pytest.raises(KeyboardInterrupt):
        workshop.execute([endless, done.cells["plain"]], new_watcher(interrupt))
    first, second = done.folders["plain"], workshop.store.runs_path / f"{done.cells['plain'].run_id}.2"
    latest = Index(workshop.store).latest()
    assert latest[done.cells["plain"].run_id].attempt == 2
    assert endless.run_id not in latest
    assert list(workshop.store.staging.iterdir()) == []
    for name in ("metrics", "weights", "predictions", "history"):
        one, other = read_table(first, name), read_table(second, name)
        if name == "history":
            one, other = _without_seconds(one), _without_seconds(other)
        assert one.keys() == other.keys()
        for column in one:
            np.testing.assert_array_equal(one[column], other[column])


def test_a_device_that_is_not_there_is_refused_before_anything_is_prepared(workshop, new_watcher):
    watcher = new_watcher()
    executor = SuiteRunner(workshop.host, workshop.sources, workshop.store, watcher, Options(device="tpu"))
    with pytest.raises(UsageError, match="unknown device 'tpu'"):
        executor.run("toy@1", [workshop.cell()])
    assert watcher.prepared == watcher.announced == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_waits_for_a_safe_point_a_second_does_not_and_the_handlers_are_given_back(number):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        interruption.check()
        os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_run_json_is_plain_json(done):
    def refuse(constant):
        raise AssertionError(constant)

    for folder in done.folders.values():
        assert json.loads(Path(folder / "run.json").read_text(), parse_constant=refuse)["format"] == 1


def test_an_executor_that_is_given_no_starter_has_one_of_its_own(workshop, new_watcher):
    options = Options(device="cpu", jobs=1)
    executor = SuiteRunner(workshop.host, workshop.sources, workshop.store, new_watcher(), options)
    assert executor.run("toy@1", [workshop.cell(seed=77)]) == {"ok": 1}


class _FullDisk(Executor):
    """Says of every request that the disk was full."""

    def __init__(self):
        self.asked = []

    def open(self, job, tell):
        return Room("cpu", 1, 1)

    def start(self, request):
        self.asked.append(request)

    def wait(self, seconds):
        return [Ended(self.asked[-1], Ending("interrupted", "full", disk_full=True))]

    def close(self):
        """Nothing goes on."""


def test_a_full_disk_stops_everything_and_counts_against_no_run(workshop, new_watcher, tmp_path):
    store, executor, watcher = Store.open(tmp_path / "store"), _FullDisk(), new_watcher()
    cells = [workshop.cell(seed=seed) for seed in (1, 2)]
    runner = SuiteRunner(workshop.host, workshop.sources, store, watcher, Options(device="cpu", jobs=1), executor)
    with pytest.raises(StoreError, match=r"no room is left .*; make some"):
        runner.run("toy@1", cells)
    assert [request.cell for request in executor.asked] == cells[:1]
    assert watcher.outcomes == {}
    assert not any([*store.runs(), *store.staging.iterdir(), *store.claims.iterdir()])


def test_a_damaged_attempt_is_not_taken_for_another_commands(workshop, new_watcher):
    cell = workshop.cell(seed=55)
    workshop.execute([cell], new_watcher())
    os.truncate(workshop.store.attempt_folder(cell.run_id, 1) / "metrics.parquet", 10)
    options, watcher = Options(device="cpu", jobs=1), new_watcher()
    runner = SuiteRunner(workshop.host, workshop.sources, workshop.store, watcher, options)
    assert runner.run("toy@1", [cell]) == {"ok": 1}
    assert watcher.elsewhere == {}
    assert workshop.store.attempts(cell.run_id) == 2
