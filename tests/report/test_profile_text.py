from __future__ import annotations

import pytest

from rmtl_bench.report.profile_text import profile_lines, profiled_runs, profiles_text
from rmtl_bench.report.run_text import run_text
from rmtl_bench.report.run_view import read_run_view, run_json
from rmtl_bench.store import Index, Store
from rmtl_bench.store.profiles import RunProfile, write_profile

ALONE = RunProfile({"forward": 3.0, "harness": 1.0}, {"forward": 7}, traced={"train": 20})
SHARED = RunProfile({"forward": 4.0, "sorting": 2.0, "harness": 2.0}, {"forward": 7}, seeds=2, trouble="broken")


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store")


@pytest.fixture
def cells(store, publish_cell):
    """Two runs of one process, one of its own, one that has no profile and one whose profile is broken."""
    cells = [publish_cell(store, "equal", 0), publish_cell(store, "equal", 1), publish_cell(store, "rmtl", 0)]
    for cell, profile in zip(cells, (SHARED, SHARED, ALONE), strict=True):
        write_profile(store.runs_path / cell.run_id, profile)
    cells += [publish_cell(store, "rmtl", 1), publish_cell(store, "rmtl", 2)]
    (store.runs_path / cells[-1].run_id / "profile.json").write_text("{")
    return cells


def test_a_table_has_each_methods_shares_and_a_run_its_share_of_its_process(store, cells):
    runs = list(profiled_runs(store, cells))
    assert [run.cell for run in runs] == cells[:3]
    text = profiles_text(runs, 200)
    title, headings, _, *rows = text.splitlines()[1:6]
    assert title == "where the time went on sessions, in % of a run"
    assert headings.split() == ["method", "runs", "s", "a", "run", "forward", "sorting", "harness"]
    assert [row.split() for row in rows] == [
        ["ple/equal", "2", "4.00", "50.0", "25.0", "25.0"],
        ["ple/rmtl", "1", "4.00", "75.0", "-", "25.0"],
    ]
    assert str(store.runs_path / cells[2].run_id) in text
    assert "torch's profiler failed: broken" in text


def test_one_run_is_shown_with_seconds_shares_and_counts(store, cells, plan_cells):
    plan_cells(store, cells)
    lines = "\n".join(profile_lines(ALONE)).splitlines()
    assert [line.split() for line in lines[4:7]] == [
        ["forward", "3.00", "75.0", "7"],
        ["harness", "1.00", "25.0", "-"],
        ["all", "4.00", "100.0", "-"],
    ]
    view = read_run_view(store, cells[2].run_id)
    assert "\n".join(lines) in run_text(view, 120)
    assert run_json(view)["profile"]["total"] == 4.0
    assert "2 runs of one process together" in run_text(read_run_view(store, cells[0].run_id), 120)
    without = read_run_view(store, cells[3].run_id)
    assert run_json(without)["profile"] is None
    assert "where the time went" not in run_text(without, 120)


def test_the_index_takes_runs_with_a_profile_as_any_other(store, cells):
    Index(store).refresh()
    assert {attempt.status for attempt in Index(store).latest().values()} == {"ok"}
