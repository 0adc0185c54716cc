"""Several commands at one store: nothing is lost, and whoever has to wait waits."""

from __future__ import annotations

import threading
import time

import pytest

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store import Index
from rmtl_bench.store.locks import locked, try_lock

# Moves prepared runs among the runs, one by one, and ingests after each what it finds.
WRITER = """
import sys
from pathlib import Path
from rmtl_bench.store import Index, Store
store = Store.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
ingested = 0
for ready in sorted(Path(sys.argv[2]).iterdir()):
    ready.rename(store.runs_path / ready.name)
    refreshed = Index(store, patience=60).refresh()
    assert not refreshed.problems, refreshed.problems
    ingested += refreshed.ingested
print(ingested)
"""

# Holds the index open for writing until it is told to let go, and a moment longer.
HOLDER = """
import sys, time, duckdb
with duckdb.connect(sys.argv[1]) as connection:
    connection.execute("BEGIN")
    connection.execute("DELETE FROM runs")
    print("held", flush=True)
    sys.stdin.readline()
    time.sleep(0.3)
    connection.execute("ROLLBACK")
"""


def test_processes_that_refresh_at_once_ingest_every_run_once(store, stage, python, tmp_path):
    writers, names = [], set()
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        for seed in range(8):
            folder = stage(store, 10 * number + seed)
            name = folder.name.partition("-")[0]
            folder.rename(tmp_path / str(number) / name)
            names.add(name)
        writers.append(python(WRITER, store.path, tmp_path / str(number)))
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    index = Index(store, patience=60)
    while any(writer.poll() is None for writer in writers):
        # A reader meanwhile sees whole runs only.
        index.refresh()
        assert index.query("SELECT count(*) FROM runs ANTI JOIN metrics USING (folder)")[1] == [(0,)]
        time.sleep(0.05)
    assert [writer.returncode for writer in writers] == [0, 0]
    index.refresh()
    assert set(index.latest()) == names
    assert index.query("SELECT count(*), count(DISTINCT folder) FROM runs")[1] == [(16, 16)]
    assert index.query("SELECT count(*) FROM metrics")[1] == [(32,)]


@pytest.fixture
def held(store, index, publish, python):
    """An index that another process holds open for writing, and that process."""
    publish(store, 0)
    index.refresh()
    holder = python(HOLDER, index.path)
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_reader_waits_for_a_writer(index, held):
    held.stdin.write("let go\n")
    held.stdin.flush()
    assert index.query("SELECT count(*) FROM runs")[1] == [(1,)]


def test_a_reader_does_not_wait_for_ever(store, held):
    impatient = Index(store, patience=0)
    for read in (impatient.latest, impatient.scores, impatient.refresh, impatient.rebuild):
        with pytest.raises(StoreError, match=r"results\.duckdb is held by another process; try again"):
            read()


def test_two_readers_do_not_wait_for_each_other(store, index, publish):
    publish(store, 0)
    index.refresh()
    impatient = Index(store, patience=0)
    with index._connect(read_only=True):
        assert len(impatient.latest()) == 1


def test_a_writer_waits_for_the_lock_of_another(store, index, publish):
    publish(store, 0)
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with locked(store.path / "index.lock", patience=5):
            entered.set()
            leave.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    assert entered.wait(5)
    with pytest.raises(StoreError, match=r"index\.lock is locked by another command; try again"):
        Index(store, patience=0).refresh()
    threading.Timer(0.1, leave.set).start()
    assert index.refresh().ingested == 1
    thread.join()


def test_a_lock_ends_with_its_holder(tmp_path, python):
    path = tmp_path / "lock"
    code = "import sys; from pathlib import Path; from rmtl_bench.store.locks import try_lock;"
    holder = python(code + "print(try_lock(Path(sys.argv[1])) is not None, flush=True); sys.stdin.read()", path)
    assert holder.stdout.readline() == "True\n"
    assert try_lock(path) is None
    holder.kill()
    holder.wait()
    with locked(path, patience=0):
        assert try_lock(path) is None


def test_a_lock_in_a_folder_that_is_none_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="cannot be locked"), locked(tmp_path / "nowhere" / "lock", patience=0):
        pass
