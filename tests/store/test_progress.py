"""What is known of a run while it goes on."""

from __future__ import annotations

import json
import math
import os

import pytest

from rmtl_bench.data.locks import is_locked, try_lock
from rmtl_bench.store import Store
from rmtl_bench.store import progress as module
from rmtl_bench.store.layout import lock_of
from rmtl_bench.store.progress import PROGRESS_FILE, Progress, ProgressFile, runs_in_progress

RUN = "0123456789abcdef"
EPOCH = {"stage": "train", "epoch": 3, "score": 0.75}
HOLD = """
import sys
from rmtl_bench.store import Store
folder = Store.open(sys.argv[1]).staging_folder(sys.argv[2])
print(folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def elsewhere(python, store):
    """Start a process that makes a run and holds its lock until it is killed; return it with its folder."""

    def start(run_id=RUN):
        process = python(HOLD, store.path, run_id)
        return process, store.staging / process.stdout.readline().strip().rpartition("/")[2]

    return start


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""
    times = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: times[-1])
    return times


def _file(folder, **more):
    return ProgressFile(folder, Progress(RUN, "toy/mmoe/fixed/0", "toy@1", 5.0, 7.0, **more))


def test_a_run_tells_what_it_is_and_how_far_it_has_come(store, clock):
    folder = store.staging_folder(RUN)
    file = _file(folder)
    assert runs_in_progress(store) == [Progress(RUN, "toy/mmoe/fixed/0", "toy@1", 5.0, 7.0)]
    file.epoch_finished(EPOCH)
    clock.append(102.0)
    file.write_if_due()
    assert runs_in_progress(store) == [Progress(RUN, "toy/mmoe/fixed/0", "toy@1", 5.0, 7.0, "train", 3, 0.75)]


def test_the_file_is_written_once_a_second_at_most_and_the_last_epoch_is_not_lost(tmp_path, clock):
    file = _file(tmp_path)
    for epoch in range(1, 6):
        file.epoch_finished({**EPOCH, "epoch": epoch})
        file.write_if_due()
    assert json.loads((tmp_path / PROGRESS_FILE).read_text())["epoch"] == 0
    clock.append(101.5)
    file.write_if_due()
    assert json.loads((tmp_path / PROGRESS_FILE).read_text())["epoch"] == 5


def test_nothing_is_written_while_nothing_is_new(tmp_path, clock):
    file = _file(tmp_path)
    (tmp_path / PROGRESS_FILE).unlink()
    clock.append(200.0)
    file.write_if_due()
    assert not (tmp_path / PROGRESS_FILE).exists()


def test_a_file_that_cannot_be_written_is_passed_over(tmp_path, clock):
    (tmp_path / PROGRESS_FILE).mkdir()
    file = _file(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [PROGRESS_FILE]
    gone = _file(tmp_path / "gone")
    gone.epoch_finished(EPOCH)
    clock.append(200.0)
    gone.write_if_due()
    assert not (tmp_path / "gone").exists()
    assert file is not None


def test_a_score_that_is_not_finite_is_told_as_it_is(store, clock):
    file = _file(store.staging_folder(RUN))
    file.epoch_finished({**EPOCH, "score": math.nan})
    clock.append(200.0)
    file.write_if_due()
    assert math.isnan(runs_in_progress(store)[0].score)


def test_a_removed_file_leaves_nothing(tmp_path):
    file = _file(tmp_path)
    (tmp_path / f"{PROGRESS_FILE}.part").touch()
    file.remove()
    assert list(tmp_path.iterdir()) == []
    file.remove()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\udcff", '{"label": "x"}', '{"epoch": "soon"}'])
def test_a_file_that_says_something_else_leaves_what_the_folder_says(store, text):
    folder = store.staging_folder(RUN)
    (folder / PROGRESS_FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    (found,) = runs_in_progress(store)
    assert found == Progress(RUN, started=lock_of(folder).stat().st_mtime)


def test_a_run_of_another_process_is_in_progress_until_that_dies(store, elsewhere):
    process, folder = elsewhere()
    assert [run.run_id for run in runs_in_progress(store)] == [RUN]
    process.kill()
    process.wait()
    assert folder.is_dir()
    assert runs_in_progress(store) == []
    assert store.clean_staging() == [folder.name]


def test_to_look_changes_nothing_and_disturbs_neither_the_run_nor_the_cleaning(store, elsewhere):
    process, dead = elsewhere()
    process.kill()
    process.wait()
    _, living = elsewhere("fedcba9876543210")
    before = sorted(path.name for path in store.staging.iterdir())
    for _ in range(3):
        assert [run.run_id for run in runs_in_progress(store)] == ["fedcba9876543210"]
    assert sorted(path.name for path in store.staging.iterdir()) == before
    assert store.clean_staging() == [dead.name]
    assert living.is_dir()


def test_a_lock_without_a_folder_is_not_looked_at(store, monkeypatch):
    looked = []
    monkeypatch.setattr(module, "is_locked", looked.append)
    (store.staging / f"{RUN}-0123.lock").touch()
    assert runs_in_progress(store) == looked == []


def test_a_folder_that_goes_meanwhile_is_no_error(store, monkeypatch):
    folder = store.staging_folder(RUN)

    def vanish(_):
        store.discard(folder)
        return True

    monkeypatch.setattr(module, "is_locked", vanish)
    assert [run.run_id for run in runs_in_progress(store)] == [RUN]
    assert runs_in_progress(store) == []


def test_a_store_without_staging_has_no_runs_in_progress(tmp_path):
    assert runs_in_progress(Store(tmp_path)) == []


def test_runs_come_in_the_order_they_started(store):
    for place, started in enumerate((9.0, 3.0, 6.0)):
        folder = store.staging_folder(f"{place:016x}")
        ProgressFile(folder, Progress(f"{place:016x}", started=started))
    assert [run.started for run in runs_in_progress(store)] == [3.0, 6.0, 9.0]


def test_who_looks_at_a_lock_does_not_take_another_who_looks_for_its_holder(tmp_path):
    lock = tmp_path / "x.lock"
    assert not is_locked(lock)
    assert not lock.exists()
    held = try_lock(lock)
    assert is_locked(lock)
    os.close(held)
    assert not is_locked(lock)
    assert lock.exists()
