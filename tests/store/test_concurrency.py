"""Several commands at one store: nothing is lost, and whoever has to wait waits."""

from __future__ import annotations

import threading
import time

import pytest

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store import Index, Store
from rmtl_bench.store.check import check_store
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


# Each does one thing to a store again and again, until the file that is named last is there.
TURMOIL = """
import sys, time
from pathlib import Path
from rmtl_bench.store import Index, Store
from rmtl_bench.store.merge import merge
from rmtl_bench.store.prune import Asked, prune, removals
from rmtl_bench.store.upkeep import upkeep

what, path, given, stop = sys.argv[1], *map(Path, sys.argv[2:])
store, index = Store.open(path), Index(Store.open(path), patience=60)

def publish():
    for ready in sorted(given.iterdir()):
        run_id = ready.name.partition("-")[0]
        while not store.claim(run_id):
            time.sleep(0.01)
        staging = store.staging_folder(run_id)
        for file in ready.iterdir():
            file.rename(staging / file.name)
        ready.rmdir()
        store.publish(staging, run_id)
        store.release(run_id)
        index.refresh()

def merge_other():
    with upkeep(store):
        assert not merge(store, Store.open(given, create=False)).problems
    index.refresh()

def prune_all():
    with upkeep(store):
        index.refresh()
        prune(store, removals(store, Asked()))

print("ready", flush=True)
sys.stdin.readline()
if what == "publish":
    publish()
else:
    act = {"merge": merge_other, "prune": prune_all, "rebuild": index.rebuild}[what]
    while True:
        last = stop.exists()
        act()
        if last:
            break
        time.sleep(0.05)
"""


def test_whatever_commands_do_at_once_no_run_is_lost_and_no_reader_fails(store, stage, publish, python, tmp_path):
    other = Store.open(tmp_path / "other")
    expected = {publish(other, seed).name: 0.5 + seed / 100 for seed in range(3, 6)}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        # The first attempt at each fails, and the second, which another process may make, ends well.
        for seed in range(4):
            folder = stage(store, seed, "failed" if name == "a" else "ok")
            folder.rename(tmp_path / name / folder.name)
            expected[folder.name.partition("-")[0]] = 0.5 + seed / 100
    stop = tmp_path / "stop"
    given = {"publish a": tmp_path / "a", "publish b": tmp_path / "b", "merge": other.path}
    names = [*given, "merge again", "prune", "rebuild"]
    given["merge again"] = other.path
    commands = [python(TURMOIL, name.split()[0], store.path, given.get(name, stop), stop) for name in names]
    for command in commands:
        assert command.stdout.readline() == "ready\n"
    for command in commands:
        command.stdin.write("go\n")
        command.stdin.flush()
    seen: set[str] = set()
    index = Index(store, patience=60)
    while any(command.poll() is None for command in commands):
        index.refresh()
        # Read once: between two readings the others go on.
        frame = index.scores(metrics=["auc"])
        scores = dict(zip(frame["run_id"], frame["value"], strict=True))
        assert scores.keys() >= seen
        assert all(expected[run] == pytest.approx(value) for run, value in scores.items())
        seen = set(scores)
        if all(command.poll() is not None for command in commands[:2]):
            stop.touch()
    assert [command.returncode for command in commands] == [0] * len(commands)
    index.refresh()
    assert set(index.latest()) == set(expected)
    assert {attempt.status for attempt in index.latest().values()} == {"ok"}
    before = index.query("SELECT * FROM v_scores ORDER BY ALL")
    index.rebuild()
    assert index.query("SELECT * FROM v_scores ORDER BY ALL") == before
    assert check_store(store).findings == ()


def test_to_delete_the_index_costs_nothing_but_that(store, publish):
    for seed in range(3):
        publish(store, seed, "ok" if seed else "failed")
    index = Index(store)
    index.refresh()
    tables = [index.query(f"SELECT * FROM {table} ORDER BY ALL") for table in ("runs", "metrics", "v_scores")]
    for path in store.path.glob("results.duckdb*"):
        path.unlink()
    assert index.refresh().ingested == 3
    assert [index.query(f"SELECT * FROM {table} ORDER BY ALL") for table in ("runs", "metrics", "v_scores")] == tables
