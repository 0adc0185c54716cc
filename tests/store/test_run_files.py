from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store.run_files import (
    RunRecord,
    iso_time,
    read_environment,
    read_run,
    read_table,
    write_environment,
    write_predictions,
    write_run,
    write_table,
)


@pytest.fixture
def record(make_cell):
    cell = make_cell(3)
    return RunRecord(
        run_id=cell.run_id,
        cell=cell,
        status="failed",
        started=iso_time(0),
        finished=iso_time(1.5),
        seconds={"training": 1.5},
        error="Traceback ...\nValueError: no",
        facts={"rows": 3, "nested": {"a": [1, None]}},
    )


def test_a_record_comes_back_as_it_was_written(record, tmp_path):
    write_run(tmp_path, record)
    assert read_run(tmp_path) == record
    assert read_run(tmp_path).cell.run_id == record.run_id


def test_a_traceback_that_is_no_unicode_is_kept_as_far_as_it_goes(record, tmp_path):
    write_run(tmp_path, RunRecord(**{**vars(record), "error": "no file a\udcffb"}))
    assert read_run(tmp_path).error == "no file a?b"


def test_times_are_of_one_zone():
    assert iso_time(0) == "1970-01-01T00:00:00.000+00:00"


def test_a_status_is_one_of_four(record):
    with pytest.raises(ValueError, match="status is 'fine'; it is one of ok, failed"):
        RunRecord(**{**vars(record), "status": "fine"})


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:50],
        lambda text: "[]",
        lambda text: "null",
        lambda text: "[" * 100_000,
        lambda text: text.replace('"status": "failed"', '"status": "fine"'),
        lambda text: text.replace('"training": 1.5', '"training": "long"'),
        lambda text: text.replace('"trainer"', '"trainee"'),
        lambda text: json.dumps({**json.loads(text), "cell": None}),
        lambda text: json.dumps({**json.loads(text), "seconds": [1]}),
        lambda text: text.replace('"format": 1', '"format": 2'),
    ],
)
def test_a_damaged_record_is_an_error_that_names_the_file(record, tmp_path, damage):
    write_run(tmp_path, record)
    path = tmp_path / "run.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(StoreError) as error:
        read_run(tmp_path)
    assert str(path) in str(error.value)


def test_a_missing_record_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(StoreError, match=r"run\.json cannot be read: No such file"):
        read_run(tmp_path)


def test_an_environment_comes_back_and_may_be_missing(tmp_path):
    assert read_environment(tmp_path) == {}
    write_environment(tmp_path, {"python": "3", "packages": {"numpy": "2"}})
    assert read_environment(tmp_path) == {"python": "3", "packages": {"numpy": "2"}}
    (tmp_path / "environment.json").write_text("{")
    with pytest.raises(StoreError, match=r"environment\.json cannot be read"):
        read_environment(tmp_path)


FLOATS = st.floats(width=64)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=8), FLOATS, st.booleans()), max_size=6))
def test_a_table_comes_back_to_the_bit(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("table")
    written = {
        "task": [row[0] for row in rows],
        "metric": ["auc"] * len(rows),
        "value": [row[1] for row in rows],
        "higher_is_better": [row[2] for row in rows],
    }
    write_table(folder, "metrics", written)
    found = read_table(folder, "metrics")
    assert list(found) == list(written)
    assert found["task"].tolist() == written["task"]
    assert found["higher_is_better"].tolist() == written["higher_is_better"]
    assert found["value"].dtype == np.float64
    np.testing.assert_array_equal(found["value"], written["value"])
    assert not np.ma.is_masked(found["value"])


def test_diagnostics_come_back_with_their_positions_and_what_is_undefined(tmp_path):
    columns = {"task": ["pay"] * 2, "quantity": ["weight"] * 2, "value": [math.nan, 0.25], "position": [-1, 3]}
    write_table(tmp_path, "diagnostics", columns)
    found = read_table(tmp_path, "diagnostics")
    assert found["position"].tolist() == [-1, 3]
    np.testing.assert_array_equal(found["value"], [math.nan, 0.25])


def test_predictions_are_kept_as_float32_with_missing_labels(tmp_path):
    columns = {
        "row": np.arange(3),
        "session": np.array([4, 4, 5], dtype=np.int32),
        "label_click": np.array([1, math.nan, 0]),
        "score_click": np.array([0.1, 0.2, 0.3]),
        "label_add to cart": np.array([0.0, 0, 1]),
        "score_add to cart": np.array([0.5, 0.5, 0.5], dtype=np.float32),
    }
    write_predictions(tmp_path, columns)
    found = read_table(tmp_path, "predictions")
    assert {name: str(column.dtype) for name, column in found.items()} == {
        "row": "int64",
        "session": "int64",
        "label_click": "float32",
        "score_click": "float32",
        "label_add to cart": "float32",
        "score_add to cart": "float32",
    }
    for name, column in columns.items():
        np.testing.assert_array_equal(found[name], column.astype(found[name].dtype))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"value": None}, "column 'value' is missing or unknown"),
        ({"worth": [1.0]}, "column 'worth' is missing or unknown"),
        ({"value": [1.0, 2.0]}, "columns differ in length"),
        ({"value": ["high"]}, "column 'value' cannot be DOUBLE"),
        ({"value": [[1.0]]}, r"column 'value' has shape \(1, 1\)"),
    ],
)
def test_columns_that_are_no_table_are_refused_and_named(tmp_path, changes, said):
    columns = {"task": ["click"], "metric": ["auc"], "value": [0.5], "higher_is_better": [True]} | changes
    columns = {name: column for name, column in columns.items() if column is not None}
    with pytest.raises(StoreError, match=said):
        write_table(tmp_path, "metrics", columns)
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_is_missing_or_not_whole_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"weights\.parquet cannot be read"):
        read_table(tmp_path, "weights")
    (tmp_path / "weights.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(StoreError, match=r"weights\.parquet cannot be read"):
        read_table(tmp_path, "weights")


def test_a_folder_with_a_pattern_in_its_name_is_itself(tmp_path):
    for name in ("run[1]", "run1"):
        (tmp_path / name).mkdir()
    table = {"task": ["click"], "metric": ["auc"], "value": [0.5], "higher_is_better": [True]}
    write_table(tmp_path / "run[1]", "metrics", table)
    write_table(tmp_path / "run1", "metrics", table | {"value": [0.1]})
    assert read_table(tmp_path / "run[1]", "metrics")["value"].tolist() == [0.5]
