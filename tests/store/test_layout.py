"""The folders of a store: opening it, staging, publishing, cleaning."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path

import pytest

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store import Store, layout
from rmtl_bench.store.disk import write_atomically

RUN = "0123456789abcdef"
OPEN = "import sys, os; from rmtl_bench.store import Store; store = Store.open(sys.argv[1]); "


@pytest.fixture
def staged(store):
    """A staging folder that is ready to be published."""

    def make(text="{}"):
        folder = store.staging_folder(RUN)
        (folder / "run.json").write_text(text)
        return folder

    return make


def test_a_new_store_is_made_with_its_folders_and_its_format(tmp_path):
    store = Store.open(tmp_path / "deep" / "store")
    assert (store.path / "FORMAT").read_text() == "2\n"
    folders = {"staging", "runs", "suites", "claims", "checkpoints"}
    assert {path.name for path in store.path.iterdir()} == {"FORMAT", *folders}
    assert list(store.runs()) == []


def test_an_empty_folder_becomes_a_store_and_a_store_is_opened_again(tmp_path):
    assert Store.open(tmp_path).path == Store.open(str(tmp_path), create=False).path == tmp_path


def test_a_store_that_is_only_read_is_not_made(tmp_path):
    with pytest.raises(StoreError, match=r"there is no store at .*/nowhere; a run makes one"):
        Store.open(tmp_path / "nowhere", create=False)
    with pytest.raises(StoreError, match="there is no store at"):
        Store.open(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [True, False])
def test_a_file_is_no_store(tmp_path, create):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(StoreError, match="file is a file; a store is a folder"):
        Store.open(file, create)
    with pytest.raises(StoreError, match="inside cannot be used as a store: Not a directory"):
        Store.open(file / "inside")
    assert file.read_text() == "mine"


@pytest.mark.parametrize("create", [True, False])
def test_a_folder_of_something_else_is_left_alone(tmp_path, create):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(StoreError, match="is not a store and not empty"):
        Store.open(tmp_path, create)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("found", ["3", "0", "", "one", "\udc80"])
def test_a_store_of_another_format_is_refused(store, found):
    (store.path / "FORMAT").write_bytes(found.encode("utf-8", "surrogateescape"))
    with pytest.raises(StoreError, match=r"is a store of format '.*'; this rmtl-bench reads the formats 1, 2"):
        Store.open(store.path)


def test_commands_that_open_a_new_store_at_once_all_get_it(tmp_path):
    barrier, errors = threading.Barrier(8), []

    def open_store():
        barrier.wait()
        try:
            Store.open(tmp_path / "store")
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=open_store) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert not list((tmp_path / "store").glob("FORMAT.*"))


def test_a_pickled_store_is_its_path(store):
    store.staging_folder(RUN)
    assert pickle.loads(pickle.dumps(store)).path == store.path  # noqa: S301


def test_staging_folders_of_one_run_are_many_and_empty(store):
    folders = {store.staging_folder(RUN) for _ in range(3)}
    assert len(folders) == 3
    assert all(list(folder.iterdir()) == [] and folder.parent == store.staging for folder in folders)


@pytest.mark.parametrize("interrupted", ["try_lock", "mkdir"])
def test_a_staging_folder_that_was_interrupted_leaves_nothing(store, monkeypatch, interrupted):
    target, step = {"try_lock": (layout, layout.try_lock), "mkdir": (Path, Path.mkdir)}[interrupted]

    def interrupt(*arguments):
        step(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(target, interrupted, interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.staging_folder(RUN)
    assert list(store.staging.iterdir()) == []


def test_publishing_moves_the_whole_folder(store, staged):
    folder = staged()
    (folder / "log.txt").write_text("what it said")
    published = store.publish(folder, RUN)
    assert published == store.runs_path / RUN
    assert {path.name for path in published.iterdir()} == {"run.json", "log.txt", "checksums.json"}
    assert list(store.staging.iterdir()) == []


def test_what_has_no_record_is_not_published(store):
    folder = store.staging_folder(RUN)
    with pytest.raises(StoreError, match=r"has no run\.json"):
        store.publish(folder, RUN)
    assert folder.is_dir()
    assert list(store.runs()) == []


def test_further_attempts_are_numbered_and_the_earlier_stay(store, staged):
    names = [store.publish(staged(str(number)), RUN).name for number in range(1, 12)]
    assert names[:3] == [RUN, f"{RUN}.2", f"{RUN}.3"]
    assert [(run.attempt, (run.path / "run.json").read_text()) for run in store.runs()] == [
        (number, str(number)) for number in range(1, 12)
    ]


def test_publishers_at_once_never_overwrite_each_other(store, staged):
    folders = [staged(str(number)) for number in range(12)]
    barrier = threading.Barrier(len(folders))

    def move(folder):
        barrier.wait()
        store.publish(folder, RUN)

    threads = [threading.Thread(target=move, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = list(store.runs())
    assert [run.attempt for run in runs] == list(range(1, 13))
    assert {(run.path / "run.json").read_text() for run in runs} == {str(number) for number in range(12)}


def test_everything_is_on_the_disk_before_a_run_is_seen(store, staged, monkeypatch):
    flushed = []
    flush = os.fsync

    def watch(descriptor):
        flushed.append((os.fstat(descriptor).st_ino, bool(list(store.runs()))))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    folder = staged()
    (folder / "log.txt").write_text("what it said")
    inodes = {path.stat().st_ino for path in (folder, *folder.iterdir())}
    store.publish(folder, RUN)
    assert inodes <= {inode for inode, published in flushed if not published}
    assert (store.runs_path.stat().st_ino, True) in flushed


def test_a_discarded_folder_is_gone_with_its_lock(store, staged):
    store.discard(staged())
    assert list(store.staging.iterdir()) == []


def test_cleaning_leaves_what_is_being_made(store, staged):
    live = staged()
    assert Store.open(store.path).clean_staging() == []
    assert live.is_dir()
    assert store.publish(live, RUN).is_dir()


def test_cleaning_removes_what_dead_processes_left(store, python):
    killed = python(OPEN + f"(store.staging_folder('{RUN}') / 'log.txt').write_text('half'); os._exit(1)", store.path)
    killed.wait(60)
    (left,) = [path for path in store.staging.iterdir() if path.is_dir()]
    without_lock = store.staging / f"{RUN}-old"
    without_lock.mkdir()
    live = store.staging_folder(RUN)
    assert store.clean_staging() == sorted([left.name, without_lock.name])
    assert {path.name for path in store.staging.iterdir()} == {live.name, f"{live.name}.lock"}


def test_another_process_keeps_its_folder_while_it_lives(store, python):
    other = python(OPEN + f"print(store.staging_folder('{RUN}').name, flush=True); sys.stdin.read()", store.path)
    name = other.stdout.readline().strip()
    assert store.clean_staging() == []
    other.kill()
    other.wait()
    assert store.clean_staging() == [name]


def test_what_stands_among_the_runs_and_is_none_is_told(store):
    for name in (RUN, f"{RUN}.2", f"{RUN}.1", f"{RUN}.02", "0123", "notes.txt", RUN.upper(), ".hidden"):
        (store.runs_path / name).mkdir()
    assert [run.path.name for run in store.runs()] == [RUN, f"{RUN}.2"]
    assert {path.name for path in store.strangers()} == {f"{RUN}.1", f"{RUN}.02", "0123", "notes.txt", RUN.upper()}


def test_a_text_written_atomically_is_whole_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "plan.json"
    write_atomically(path, "old")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
