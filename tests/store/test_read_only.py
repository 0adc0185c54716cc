"""A store that cannot be written can be read, whatever state its index is in."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store import Index, Store, locks, scratch
from rmtl_bench.store import index as index_module
from rmtl_bench.store.check import check_store


@pytest.fixture
def read_only(store, monkeypatch):
    """Make a store one that this process cannot write, for the reason that is given."""

    def refuse(path):
        if Path(path).is_relative_to(store.path):
            raise OSError(reasons[-1], os.strerror(reasons[-1]), str(path))
        return take(path)

    def make(reason=errno.EROFS):
        reasons.append(reason)
        monkeypatch.setattr(locks, "try_lock", refuse)
        return Store.open(store.path, create=False)

    reasons: list[int] = []
    take = locks.try_lock
    yield make
    if folder := scratch._made.pop(store.path, None):
        folder.cleanup()


def state(path):
    return {file.relative_to(path): file.stat().st_mtime_ns for file in path.rglob("*")}


def auc(store):
    found = Index(store).scores(metrics=["auc"])
    return dict(zip(found["run_id"], found["value"].tolist(), strict=True))


@pytest.mark.parametrize("known", ["all", "some", "none", "broken"])
def test_every_score_is_there_whatever_the_index_knows(store, publish, read_only, known):
    first = publish(store, 0).name
    if known != "none":
        Index(store).refresh()
    second = publish(store, 1).name
    if known == "all":
        Index(store).refresh()
    if known == "broken":
        (store.path / "results.duckdb").write_bytes(b"bytes" * 100)
    opened = read_only()
    before = state(store.path)
    refreshed = Index(opened).refresh()
    # Another index of the same process finds what the first has made.
    assert auc(opened) == {first: 0.5, second: 0.51}
    assert state(store.path) == before
    assert (refreshed.problems, refreshed.note) == ((), "")
    assert refreshed.ingested == {"all": 0, "some": 1, "none": 2, "broken": 2}[known]
    assert Index(opened).refresh() == index_module.Refreshed()


@pytest.mark.parametrize("reason", [errno.EACCES, errno.ENOSPC])
def test_a_store_of_somebody_else_and_one_on_a_full_disk_are_read_too(store, publish, read_only, reason):
    run = publish(store, 0).name
    opened = read_only(reason)
    assert Index(opened).refresh().ingested == 1
    assert auc(opened) == {run: 0.5}


def test_what_is_published_meanwhile_is_seen(store, publish, stage, read_only):
    publish(store, 0)
    staging = stage(store, 1)
    opened = read_only()
    Index(opened).refresh()
    shutil.move(staging, store.runs_path / staging.name.partition("-")[0])
    Index(opened).refresh()
    assert len(auc(opened)) == 2


def test_where_it_takes_time_one_line_says_so(store, publish, read_only, monkeypatch):
    publish(store, 0)
    monkeypatch.setattr(index_module, "PATIENT", 0.0)
    note = Index(read_only()).refresh().note
    assert note.startswith(f"{store.path} cannot be written, so this command made an index for itself alone")
    assert "\n" not in note


def test_the_index_of_a_command_goes_with_it(store, publish, read_only):
    publish(store, 0)
    opened = read_only()
    index = Index(opened)
    index.refresh()
    folder = index.path.parent
    assert folder.is_dir()
    assert not folder.is_relative_to(store.path)
    scratch._made.pop(store.path).cleanup()
    assert not folder.exists()


def test_it_is_checked_and_not_rebuilt(store, publish, read_only):
    publish(store, 0)
    Index(store).refresh()
    opened = read_only()
    assert check_store(opened).findings == ()
    with pytest.raises(StoreError, match=r"index\.lock cannot be locked: Read-only file system"):
        Index(opened).rebuild()
