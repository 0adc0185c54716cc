"""The scores of a suite for other programs."""

from __future__ import annotations

import csv
import io
import math

import duckdb
import numpy as np
import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report.score_export import EXPORT_COLUMNS, as_csv, format_of, read_export, write_export
from rmtl_bench.store import Store

ODD = 'a "b",\n<c>'


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store")


@pytest.fixture
def export(store, publish_cell, plan_cells):
    """Two methods and seeds; one run has no score, one has one that is undefined, one was made twice."""
    third = [(task, "auc", 1 / 3, True) for task in ("click", "pay")]
    cells = [
        publish_cell(store, "equal", 0, metrics=[*third, ("click", "ece", 0.1, False), ("click", "a", 1.0, False)]),
        publish_cell(store, "equal", 1, metrics=[("click", "auc", math.nan, True), ("pay", "auc", 0.1 + 0.2, True)]),
        publish_cell(store, "mine", 0, "failed", "no", metrics=third),
        publish_cell(store, "mine", 0, metrics=third),
        publish_cell(store, "mine", 1, "diverged", "nan", metrics=third),
        publish_cell(store, "mine", 2, publish=False),
    ]
    plan_cells(store, [*cells[:3], *cells[4:]], labels={"mine": ODD})
    return read_export(store, "tiny")


def _rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_there_is_a_row_a_run_task_and_metric_in_the_plans_order(export):
    rows = list(zip(*(export.columns[name] for name in ("method", "seed", "task", "metric")), strict=True))
    assert rows == [
        ("ple/equal", 0, "click", "auc"),
        ("ple/equal", 0, "click", "a"),
        ("ple/equal", 0, "click", "ece"),
        ("ple/equal", 0, "pay", "auc"),
        ("ple/equal", 1, "click", "auc"),
        ("ple/equal", 1, "pay", "auc"),
        (f"ple/{ODD}", 0, "click", "auc"),
        (f"ple/{ODD}", 0, "pay", "auc"),
    ]


def test_runs_without_scores_are_counted(export):
    assert export.left_out == {"diverged": 1, "to come": 1}


def test_csv_gives_every_value_back_exactly(export):
    rows = _rows(as_csv(export))
    assert list(rows[0]) == list(EXPORT_COLUMNS)
    np.testing.assert_array_equal([float(row["value"]) for row in rows], export.columns["value"])
    assert rows[0]["value"] == repr(1 / 3)
    assert rows[5]["value"] == "0.30000000000000004"
    assert rows[4]["value"] == "nan"
    assert rows[6] == {
        "suite": "tiny@1",
        "run_id": rows[6]["run_id"],
        "attempt": "2",
        "dataset": "sessions",
        "backbone": "ple",
        "weighting": ODD,
        "method": f"ple/{ODD}",
        "seed": "0",
        "task": "click",
        "metric": "auc",
        "value": repr(1 / 3),
        "higher_is_better": "True",
        "fingerprint": "0" * 16,
    }


def test_parquet_has_the_same_with_types(export, tmp_path):
    target = tmp_path / "scores.parquet"
    write_export(export, target)
    with duckdb.connect() as connection:
        found = connection.execute("SELECT * FROM read_parquet(?)", [str(target)]).fetchnumpy()
        types = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(target)]).fetchall()
    assert {row[0]: row[1] for row in types} == EXPORT_COLUMNS
    for name in EXPORT_COLUMNS:
        np.testing.assert_array_equal(np.asarray(found[name]), export.columns[name])


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet"])
def test_a_file_is_written_whole_or_stays_as_it_was(export, tmp_path, monkeypatch, name):
    target = tmp_path / name
    target.write_text("before")

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("rmtl_bench.report.score_export.write_parquet", fail)
        patch.setattr("rmtl_bench.report.score_export.as_csv", fail)
        with pytest.raises(UsageError, match=f"{name} cannot be written: No space left on device"):
            write_export(export, target)
    assert target.read_text() == "before"
    write_export(export, target)
    assert target.read_bytes() != b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "store"]


def test_a_folder_that_is_not_there_is_named(export, tmp_path):
    for suffix in ("csv", "parquet"):
        with pytest.raises(UsageError, match=r"nowhere/x\.\w+ cannot be written: No such file or directory"):
            write_export(export, tmp_path / "nowhere" / f"x.{suffix}")


def test_the_suffix_is_the_format(tmp_path):
    assert format_of(tmp_path / "x.CSV") == ".csv"
    for name in ("x.tsv", "x", "csv", ".csv.gz"):
        with pytest.raises(UsageError, match=r"ends with neither \.csv nor \.parquet"):
            format_of(tmp_path / name)


def test_a_suite_without_scores_has_a_heading_alone(store, publish_cell, plan_cells, tmp_path):
    plan_cells(store, [publish_cell(store, "mine", 0, "failed", "no")])
    export = read_export(store, "tiny")
    assert as_csv(export) == ",".join(EXPORT_COLUMNS) + "\n"
    assert export.left_out == {"failed": 1}
    write_export(export, tmp_path / "none.parquet")
