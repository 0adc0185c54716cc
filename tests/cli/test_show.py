"""``rmtl-bench show``, as a user types it."""

from __future__ import annotations

import json

import pytest

from rmtl_bench.store import Store

TRACE = "Traceback (most recent call last):\n  File 'x'\nValueError: no \x1b[31mreason\x1b[0m [red]<script>\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory, publish_cell, plan_cells):
    """A run that ended well, one that failed, and one of a hostile name whose folder is broken."""
    store = Store.open(tmp_path_factory.mktemp("show") / "store")
    history = [("train", epoch, "click", "auc", epoch / 10) for epoch in range(1, 6)]
    cells = [
        publish_cell(store, "equal", 0, history=history),
        publish_cell(store, "<script>[red]\x1b[31m", 0, "failed", TRACE),
        publish_cell(store, "broken", 0),
    ]
    (store.runs_path / cells[2].run_id / "run.json").write_text("{")
    plan_cells(store, cells)
    return store, cells


def test_a_run_is_shown_by_id_and_by_label(rmtl_bench, store):
    store, (cell, *_) = store
    shown = rmtl_bench("show", cell.run_id[:6], "--store", store.path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"sessions/ple/equal/0\n  run         {cell.run_id}, attempt 1\n")
    assert "▁▃▅▇█  0.1000 -> 0.5000" in shown.stdout
    assert rmtl_bench("show", "sessions/ple/equal/0", "--store", store.path).stdout == shown.stdout


def test_where_there_are_no_blocks_the_curves_are_ascii(rmtl_bench, store):
    store, (cell, *_) = store
    shown = rmtl_bench("show", cell.run_id, "--store", store.path, env={"PYTHONIOENCODING": "ascii"})
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.isascii()
    assert "_-=*#  0.1000 -> 0.5000" in shown.stdout


def test_a_failed_run_shows_its_traceback_as_text(rmtl_bench, store):
    store, (_, failed, _) = store
    shown = rmtl_bench("show", failed.run_id, "--store", store.path)
    assert shown.returncode == 0
    assert "  Traceback (most recent call last):\n    File 'x'\n  ValueError: no reason [red]<script>\n" in shown.stdout
    assert shown.stdout.startswith("sessions/ple/<script>[red]/0\n")
    assert "\x1b" not in shown.stdout


def test_json_has_everything(rmtl_bench, store):
    store, (_, failed, _) = store
    data = json.loads(rmtl_bench("show", failed.run_id, "--store", store.path, "--json").stdout)
    assert (data["status"], data["error"]) == ("failed", TRACE)
    assert data["commands"][0].startswith("rmtl-bench run --suite tiny@1 --only ")


def test_a_broken_folder_is_one_line(rmtl_bench, store):
    store, (*_, broken) = store
    for name in (broken.run_id, "sessions/ple/broken/0"):
        refused = rmtl_bench("show", name, "--store", store.path)
        assert (refused.returncode, refused.stdout) == (5, "")
        (line,) = refused.stderr.splitlines()
        assert "run.json is no record of a run" in line


def test_an_unknown_run_is_one_line_with_the_nearest(rmtl_bench, store):
    refused = rmtl_bench("show", "sessions/ple/eqal/0", "--store", store[0].path)
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    assert "did you mean 'sessions/ple/equal/0'" in line


def test_without_a_store_there_is_nothing_to_show(rmtl_bench, tmp_path):
    refused = rmtl_bench("show", "0000", "--store", tmp_path / "none")
    assert refused.returncode == 5
    assert not (tmp_path / "none").exists()
