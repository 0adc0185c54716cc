"""One folder that cannot be read is reported, and all the others are read."""

from __future__ import annotations

import json
import shutil

import duckdb
import pytest


def _parquet(sql):
    def write(folder):
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({sql}) TO '{folder / 'metrics.parquet'}' (FORMAT parquet)")

    return write


def _json(**changes):
    def write(folder):
        path = folder / "run.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return write


def _seed(value):
    def write(folder):
        path = folder / "run.json"
        path.write_text(path.read_text().replace('"seed": 5', f'"seed": {value}'))

    return write


BROKEN = {
    "no record": lambda folder: (folder / "run.json").unlink(),
    "an empty record": lambda folder: (folder / "run.json").write_bytes(b""),
    "half a record": lambda folder: (folder / "run.json").write_text((folder / "run.json").read_text()[:99]),
    "a record of bytes": lambda folder: (folder / "run.json").write_bytes(b"\xff\xfe"),
    "a record of another format": _json(format=2),
    "a record of another run": _json(run_id="0" * 16),
    "a record without a cell": _json(cell=None),
    "a record of no status": _json(status="fine"),
    "facts that are no JSON": _json(facts={"loss": float("nan")}),
    "a seed that is none": _seed('"five"'),
    "a seed that is too large": _seed("1" + "0" * 30),
    "a seed that is infinite": _seed("1e400"),
    "no metrics": lambda folder: (folder / "metrics.parquet").unlink(),
    "metrics that are empty": lambda folder: (folder / "metrics.parquet").write_bytes(b""),
    "metrics cut short": lambda folder: (folder / "metrics.parquet").write_bytes(b"PAR1" * 10),
    "metrics of other columns": _parquet("SELECT 1 AS a"),
    "metrics without a column": _parquet("SELECT 'click' AS task, 0.5 AS value, true AS higher_is_better"),
    "metrics that are no numbers": _parquet(
        "SELECT 'click' AS task, 'auc' AS metric, 'high' AS value, true AS higher_is_better"
    ),
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_folder_is_reported_with_its_path_and_hides_no_other(store, index, publish, damage):
    good = {publish(store, seed).name for seed in range(2)}
    broken = publish(store, 5)
    damage(broken)
    found = index.refresh()
    assert found.ingested == 2
    (problem,) = found.problems
    assert problem.path == broken
    assert str(broken) in problem.reason
    assert set(index.latest()) == good
    assert set(index.scores()["run_id"]) == good


def test_a_broken_folder_is_reported_every_time_until_it_is_mended(store, index, publish):
    run = publish(store, 5)
    record = (run / "run.json").read_text()
    (run / "run.json").write_text("{")
    assert [len(index.refresh().problems) for _ in range(2)] == [1, 1]
    assert [index.rebuild().problems[0].path for _ in range(2)] == [run, run]
    (run / "run.json").write_text(record)
    found = index.refresh()
    assert (found.ingested, found.problems) == (1, ())
    assert set(index.latest()) == {run.name}


def test_a_folder_that_breaks_after_it_was_read_is_forgotten(store, index, publish):
    good, bad = publish(store, 0), publish(store, 1)
    index.refresh()
    (bad / "run.json").write_text("{")
    assert len(index.refresh().problems) == 1
    assert set(index.latest()) == {good.name}
    assert set(index.scores()["run_id"]) == {good.name}


def test_broken_metrics_of_a_failed_run_are_reported_too(store, index, publish):
    good, bad = publish(store, 0), publish(store, 1, "failed")
    (bad / "metrics.parquet").write_bytes(b"half")
    (problem,) = index.refresh().problems
    assert problem.path == bad
    assert set(index.latest()) == {good.name}


def test_a_failed_run_needs_no_metrics_and_no_environment(store, index, publish):
    run = publish(store, 0, "failed")
    for name in ("metrics.parquet", "environment.json"):
        (run / name).unlink()
    assert index.refresh().problems == ()
    assert index.latest()[run.name].status == "failed"


def test_an_environment_that_cannot_be_read_costs_no_scores(store, index, publish):
    run = publish(store, 0)
    (run / "environment.json").write_bytes(b"\xff\xfe")
    assert index.refresh().problems == ()
    assert set(index.scores()["run_id"]) == {run.name}


def test_a_folder_under_a_name_that_is_no_runs_is_reported(store, index, publish):
    run = publish(store, 0)
    shutil.copytree(run, store.runs_path / "copy of a run")
    for refreshed in (index.refresh(), index.refresh(), index.rebuild()):
        (problem,) = refreshed.problems
        assert problem.reason.endswith("copy of a run is no folder of a run")
    assert set(index.latest()) == {run.name}
