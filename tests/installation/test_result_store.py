from __future__ import annotations

import os
from pathlib import Path

import pytest

from rmtl_bench.installation import machine
from rmtl_bench.installation.result_store import result_store
from rmtl_bench.store import Index, Store


@pytest.fixture
def store(tmp_path, publish_cell, plan_cells):
    store = Store.open(tmp_path / "store")
    plan_cells(store, [publish_cell(store)])
    Index(store).refresh()
    return store


def found(path):
    return [(f.subject, f.state, f.said, f.remedy) for f in result_store(path)][1:]


def test_a_store_that_is_well_says_so(store):
    assert found(store.path) == [
        ("store", "ok", f"{store.path}, format 2, 1 run folders", ""),
        ("index", "ok", "up to date, 1 run folders", ""),
    ]


def test_no_store_and_no_index_are_notes(store, tmp_path):
    [(_, state, said, _)] = found(tmp_path / "none")
    assert (state, said) == ("note", f"there is none at {tmp_path / 'none'} yet; a run makes one")
    (store.path / "results.duckdb").unlink()
    assert [line[:2] for line in found(store.path)] == [("store", "ok"), ("index", "note")]


@pytest.mark.parametrize(("mark", "remedy"), [("3", "pip install --upgrade rmtl-bench"), ("what?", "")])
def test_a_store_of_an_unknown_format_is_a_problem(store, mark, remedy):
    (store.path / "FORMAT").write_text(mark)
    [(subject, state, said, typed)] = found(store.path)
    assert (subject, state, typed) == ("store", "problem", remedy)
    assert repr(mark) in said


def test_an_older_store_is_a_note(store):
    (store.path / "FORMAT").write_text("1")
    assert found(store.path)[0][1:3] == (
        "note",
        f"{store.path}, format 1, 1 run folders; the next run brings it to format 2",
    )


def test_a_file_in_place_of_a_store_is_a_problem(tmp_path):
    (tmp_path / "file").touch()
    assert found(tmp_path / "file") == [("store", "problem", f"{tmp_path / 'file'} is a file; a store is a folder", "")]


def test_a_corrupt_index_is_a_warning_with_its_command(store):
    before = (store.path / "results.duckdb").write_bytes(b"nothing of the kind" * 1000)
    [(_, _, _, _), (subject, state, _, remedy)] = found(store.path)
    assert (subject, state) == ("index", "warning")
    assert remedy.startswith("rmtl-bench db rebuild")
    assert (store.path / "results.duckdb").stat().st_size == before


def test_an_index_of_another_version_is_a_note(store):
    import duckdb

    with duckdb.connect(str(store.path / "results.duckdb")) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    [(_, _, _, _), (subject, state, said, _)] = found(store.path)
    assert (subject, state) == ("index", "note")
    assert said.startswith("of another version")


def test_runs_that_are_not_indexed_yet_are_a_note(store, publish_cell):
    publish_cell(store, "other")
    assert found(store.path)[1][1:3] == ("note", "1 run folders are not in the index yet")


def test_what_dead_processes_left_and_strangers_are_notes(store):
    (store.staging / "0123456789abcdef-dead").mkdir()
    (store.runs_path / "holiday").mkdir()
    notes = [line[2:] for line in found(store.path) if line[1] == "note"]
    assert ("1 times left by a process that is dead", "rmtl-bench prune --yes") in notes
    assert ("1 among the runs that are none, such as holiday", "rmtl-bench db check") in notes


def test_a_plan_that_cannot_be_read_is_a_problem(store):
    (store.suites / "tiny@1.json").write_text("{")
    assert [line[0] for line in found(store.path) if line[1] == "problem"] == ["plan"]


def test_a_store_that_cannot_be_written_is_a_warning(store, monkeypatch):
    monkeypatch.setattr(machine.os, "access", lambda path, mode: False)
    [said] = [line[2] for line in found(store.path) if line[1] == "warning"]
    assert said == f"{store.path} cannot be written: it can be read, and no run can be made in it"


def test_a_cache_without_a_place_is_a_problem(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RMTL_BENCH_CACHE", str(tmp_path / "file" / "cache"))
    [cache] = [f for f in machine.machine(Path("store")) if f.subject == "cache"]
    assert (cache.state, cache.code) == ("problem", 4)
    assert cache.said == f"{tmp_path / 'file'} is no folder: prepared tables have no place"
    monkeypatch.setenv("RMTL_BENCH_CACHE", str(tmp_path / "cache"))
    [cache] = [f for f in machine.machine(Path("store")) if f.subject == "cache"]
    assert cache.state == "ok"
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208 -- names alone
