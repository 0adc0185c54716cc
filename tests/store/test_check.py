"""``check_store`` finds what is damaged and what lies about, and changes nothing."""

from __future__ import annotations

import json
import shutil

import duckdb
import pytest

from rmtl_bench.store import Index, Store, StoredPlan, save_plan
from rmtl_bench.store.check import check_store
from rmtl_bench.store.run_files import write_predictions


@pytest.fixture
def checked_store(store, publish):
    """A store of three runs, a plan and an index that is up to date."""
    for seed in range(3):
        publish(store, seed)
    save_plan(store, StoredPlan("tiny", 1, "d", ()))
    Index(store).refresh()
    return store


def files(path):
    return {file.relative_to(path): file.stat().st_mtime_ns for file in path.rglob("*")}


def first(store):
    return next(iter(store.runs())).path


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def rename(path, name):
    path.rename(path.with_name(name))


DAMAGE = {
    "a record cut short": lambda store: cut(first(store) / "run.json"),
    "no record": lambda store: (first(store) / "run.json").unlink(),
    "metrics cut short": lambda store: cut(first(store) / "metrics.parquet"),
    "an environment that is none": lambda store: (first(store) / "environment.json").write_text("{"),
    "an environment that is another": lambda store: (first(store) / "environment.json").write_text("{}"),
    "another run's name": lambda store: rename(first(store), "0" * 16),
    "checksums that are none": lambda store: (first(store) / "checksums.json").write_text("{"),
    "a profile that is none": lambda store: (first(store) / "profile.json").write_text("{"),
    "a folder that is gone": lambda store: shutil.rmtree(first(store)),
    "an index cut short": lambda store: cut(store.path / "results.duckdb"),
    "an index of bytes": lambda store: (store.path / "results.duckdb").write_bytes(b"bytes" * 1000),
    "a plan that is none": lambda store: (store.suites / "tiny@1.json").write_text("{"),
    "a plan of another name": lambda store: rename(store.suites / "tiny@1.json", "other@1.json"),
}


def test_a_whole_store_has_no_findings_and_is_not_changed(checked_store):
    before = files(checked_store.path)
    checked = check_store(checked_store)
    assert (checked.format, checked.runs, checked.plans, checked.without_checksums) == (2, 3, 1, 0)
    assert checked.findings == ()
    assert files(checked_store.path) == before


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_found_with_its_place_and_what_to_do(checked_store, damage):
    damage(checked_store)
    before = files(checked_store.path)
    checked = check_store(checked_store)
    assert checked.damaged
    assert all(f.remedy and str(f.path).startswith(str(checked_store.path)) for f in checked.findings if f.damage)
    assert all("\n" not in finding.what for finding in checked.findings)
    assert files(checked_store.path) == before


def test_tables_without_checksums_are_read(checked_store):
    run = first(checked_store)
    (run / "checksums.json").unlink()
    scores = {"row": [0, 1], "session": [0, 0], "label_click": [0.0, 1.0], "score_click": [0.5, 0.5]}
    write_predictions(run, scores)
    checked = check_store(checked_store)
    assert (checked.without_checksums, checked.findings) == (1, ())
    cut(run / "predictions.parquet")
    (found,) = check_store(checked_store).findings
    assert found.damage
    assert "predictions.parquet cannot be read" in found.what


def test_a_run_that_is_in_no_index_yet_is_no_damage(checked_store, publish):
    publish(checked_store, 7)
    (found,) = check_store(checked_store).findings
    assert (found.what, found.damage) == ("1 run folders are not in the index yet", False)


def test_a_store_without_an_index_is_whole(checked_store):
    (checked_store.path / "results.duckdb").unlink()
    assert check_store(checked_store).findings == ()


def test_an_index_that_lacks_a_table_is_damaged(checked_store):
    with duckdb.connect(str(checked_store.path / "results.duckdb")) as connection:
        connection.execute("DROP VIEW v_scores; DROP TABLE metrics")
    assert check_store(checked_store).damaged


def test_what_lies_about_is_told_and_is_no_damage(checked_store, stage):
    store = checked_store
    run = first(store).name
    alive = stage(store, 9)
    keeper = Store.open(store.path)
    assert keeper.claim("1" * 16)
    (store.claims / f"{'2' * 16}.lock").touch()
    (store.staging / f"{run}-dead").mkdir()
    store.checkpoint(run).write_text("of a run that has ended")
    store.checkpoint("3" * 16).write_text("of a run that has not")
    (store.path / "results.duckdb.aside").write_text("old")
    (store.runs_path / "notes").mkdir()
    (store.suites / "notes.txt").touch()
    (first(store) / "notes.txt").touch()
    checked = check_store(store)
    assert not checked.damaged
    told = {str(finding.path.relative_to(store.path)) for finding in checked.findings}
    assert told == {
        f"runs/{run}",
        "runs/notes",
        "suites/notes.txt",
        f"staging/{run}-dead",
        f"claims/{'2' * 16}.lock",
        f"checkpoints/{run}",
        "results.duckdb.aside",
    }
    assert alive.is_dir()


def test_a_record_of_the_old_status_is_read(checked_store):
    record = first(checked_store) / "run.json"
    data = json.loads(record.read_text())
    record.write_text(json.dumps({**data, "status": "killed"}))
    (first(checked_store) / "checksums.json").unlink()
    assert not check_store(checked_store).damaged
    Index(checked_store).refresh()
    assert Index(checked_store).latest()[data["run_id"]].status == "interrupted"
