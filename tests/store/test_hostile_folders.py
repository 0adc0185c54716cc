"""Run folders and plans from strangers: passed over with a reason, in no time and little memory."""

from __future__ import annotations

import json
import os

import duckdb
import pytest

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store import StoredPlan, load_plan, save_plan
from rmtl_bench.store.profiles import RunProfile, read_profile, write_profile
from rmtl_bench.store.run_files import read_environment, read_run, read_table
from rmtl_bench.store.tables import ROWS, ROWS_A_BYTE

METRIC = "'click' AS task, 'auc' AS metric, 0.5::DOUBLE AS value, true AS higher_is_better"


def parquet(path, sql):
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    return path


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_cell(path, **changes):
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"cell": data["cell"] | changes}))


def test_a_table_of_a_few_bytes_and_millions_of_rows_is_refused_before_it_is_read(store, index, publish):
    good, bad = publish(store, 0), publish(store, 1)
    path = parquet(bad / "metrics.parquet", f"SELECT {METRIC} FROM range(3000000)")
    assert path.stat().st_size * ROWS_A_BYTE + ROWS < 3_000_000
    (problem,) = index.refresh().problems
    assert "3000000 rows" in problem.reason
    assert set(index.latest()) == {good.name}
    with pytest.raises(StoreError, match="3000000 rows"):
        read_table(bad, "metrics")


def test_predictions_that_are_the_same_in_every_row_are_within_the_limit(tmp_path):
    rows = "range AS row, range // 10 AS session, 0::FLOAT AS label_click, 0.5::FLOAT AS score_click"
    parquet(tmp_path / "predictions.parquet", f"SELECT {rows} FROM range(300000)")
    assert len(read_table(tmp_path, "predictions")["row"]) == 300_000


@pytest.mark.parametrize(
    ("table", "sql", "reason"),
    [
        ("metrics", f"SELECT {METRIC.replace(chr(39) + 'click' + chr(39), 'repeat(chr(65), 2000)')}", "1000 bytes"),
        ("metrics", f"SELECT {METRIC.replace(chr(39) + 'click' + chr(39), 'NULL')}", "missing value"),
        ("metrics", "SELECT 1 AS a", "task"),
        ("predictions", "SELECT 1 AS row, DATE '2026-01-01' AS session", "DATE"),
        ("predictions", "SELECT 1 AS row, [1.0] AS score_click", r"\[\]"),
        ("predictions", "SELECT 'x' AS row", "takes numbers"),
        ("predictions", "SELECT 1 AS password", "no predictions have"),
    ],
)
def test_a_table_with_other_contents_is_one_line_that_names_it(tmp_path, table, sql, reason):
    parquet(tmp_path / f"{table}.parquet", sql)
    with pytest.raises(StoreError, match=reason) as refused:
        read_table(tmp_path, table)
    assert str(tmp_path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("file", ["run.json", "environment.json", "profile.json", "metrics.parquet"])
def test_a_pipe_or_a_link_in_the_place_of_a_file_is_neither_opened_nor_followed(store, publish, file):
    run = publish(store, 0)
    write_profile(run, RunProfile({}, {}))
    read = {"run.json": read_run, "environment.json": read_environment, "profile.json": read_profile}
    path = run / file
    outside = path.rename(run.parent / f"outside-{file}")
    for place in (os.mkfifo, lambda here: here.symlink_to(outside)):
        place(path)
        with pytest.raises(StoreError, match=r"no regular file|it is a link"):
            read.get(file, lambda folder: read_table(folder, "metrics"))(run)
        path.unlink()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes() + b" " * (5 << 20)),
        lambda path: edit(path, facts={"a": json.loads("[" * 300 + "]" * 300)}),
        lambda path: edit(path, facts={"warnings": 5}),
        lambda path: edit(path, run_id="../../../../etc/passwd"),
        lambda path: edit(path, seconds={"training": float("inf")}),
        lambda path: edit(path, status=["ok"]),
        lambda path: edit_cell(path, seed=-1),
        lambda path: edit_cell(path, seed=True),
        lambda path: edit_cell(path, metrics="auc"),
        lambda path: edit_cell(path, fingerprint=0),
        lambda path: edit_cell(path, weighting={"name": "fixed"}),
        lambda path: edit_cell(path, source="elsewhere"),
        lambda path: edit_cell(path, dataset=json.loads(path.read_text())["cell"]["dataset"] | {"two\nlines": 1}),
    ],
)
def test_a_record_of_other_types_sizes_and_depths_is_one_line_that_names_it(store, index, publish, damage):
    run = publish(store, 0)
    damage(run / "run.json")
    with pytest.raises(StoreError, match=r"run\.json (is no record of a run|cannot be read)") as refused:
        read_run(run)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1000
    assert len(index.refresh().problems) == 1


def test_half_a_surrogate_in_one_record_leaves_every_query_alone(store, index, publish):
    good, odd = publish(store, 0, facts={"warnings": ["mind"]}), publish(store, 1)
    record = (odd / "run.json").read_text()
    (odd / "run.json").write_text(record.replace('"rows": 12', r'"warnings": ["a\ud800b"]'))
    (odd / "environment.json").write_text(r'{"host": "\udcff"}')
    assert index.refresh().problems == ()
    assert index.warnings() == {"a?b": 1, "mind": 1}
    assert json.loads(index.environments([odd.name])[odd.name]) == {"host": "?"}
    assert set(index.latest()) == {good.name, odd.name}


def test_an_index_from_a_stranger_reads_no_other_file(store, index, publish, tmp_path):
    publish(store, 0)
    index.refresh()
    secret = tmp_path / "secret.csv"
    secret.write_text("a\nhidden\n")
    with duckdb.connect(str(index.path)) as connection:
        connection.execute("DROP VIEW v_scores; DROP VIEW v_latest; DROP TABLE environments")
        connection.execute(f"CREATE VIEW environments AS SELECT a AS hash, a AS content FROM read_csv('{secret}')")
    publish(store, 1)
    assert index.refresh().ingested == 2
    assert "hidden" not in str(index.query("SELECT * FROM environments"))


PLAN = StoredPlan("paper", 1, "0" * 16, (), metrics=("auc",))


@pytest.mark.parametrize(
    "changes",
    [
        {"cells": [{"run_id": "../x", "dataset": "d", "backbone": "b", "weighting": "w", "seed": 0}]},
        {"cells": 5},
        {"statistics": {"comparisons": 5}},
        {"statistics": {"equivalence": {"auc": []}}},
        {"notes": "one"},
        {"skipped": ["one"]},
        {"title": 5},
        {"version": 2},
        {"sample": "yes"},
        {"two\nlines": 1},
    ],
)
def test_a_plan_of_other_types_or_under_anothers_name_is_one_line_that_names_it(store, changes):
    path = save_plan(store, PLAN)
    edit(path, **changes)
    with pytest.raises(StoreError, match=r"paper@1\.json") as refused:
        load_plan(store, "paper")
    assert "\n" not in str(refused.value)
