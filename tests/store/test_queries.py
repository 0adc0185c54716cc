"""Queries of users: they read the index and can do nothing else."""

from __future__ import annotations

import pytest

from rmtl_bench.contracts.errors import UsageError


@pytest.fixture
def asked(store, index, publish):
    """An index of two runs."""
    for seed in range(2):
        publish(store, seed)
    index.refresh()
    return index


def test_a_query_returns_columns_and_rows(asked):
    columns, rows = asked.query("SELECT seed, value FROM v_scores WHERE metric = 'auc' ORDER BY seed")
    assert columns == ["seed", "value"]
    assert rows == [(0, 0.5), (1, 0.51)]


def test_parameters_are_bound_and_not_pasted(asked):
    sql = "SELECT count(*) FROM runs WHERE status = ?"
    assert asked.query(sql, ["ok"])[1] == [(2,)]
    assert asked.query(sql, ["' OR '1'='1"])[1] == [(0,)]
    assert asked.query("SELECT seed FROM runs WHERE seed = $seed", {"seed": 1})[1] == [(1,)]


def test_a_query_without_rows_has_columns(asked):
    assert asked.query("SELECT run_id FROM runs WHERE false") == (["run_id"], [])


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM nowhere", "nowhere does not exist"),
        ("SELECT * FROM runs WHERE status = ?", "parameter"),
        ("", "the query is empty"),
        ("-- a remark", "the query is empty"),
    ],
)
def test_a_query_that_cannot_be_answered_is_one_line(asked, sql, said):
    with pytest.raises(UsageError) as error:
        asked.query(sql)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO runs (folder) VALUES ('mine')",
        "UPDATE metrics SET value = 1",
        "DELETE FROM runs",
        "DROP TABLE runs",
        "DROP VIEW v_scores",
        "ALTER TABLE runs ADD COLUMN mine INTEGER",
        "CREATE TABLE mine (a INTEGER)",
        "SELECT 1; DELETE FROM runs",
    ],
)
def test_a_query_cannot_write_to_the_index(asked, sql):
    before = asked.query("SELECT * FROM runs ORDER BY folder")
    with pytest.raises(UsageError):
        asked.query(sql)
    assert asked.query("SELECT * FROM runs ORDER BY folder") == before


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "COPY runs FROM '{folder}/secret.csv'",
        "SELECT * FROM read_csv('{folder}/secret.csv')",
        "SELECT * FROM read_text('{folder}/secret.csv')",
        "SELECT * FROM '{folder}/secret.csv'",
        "SELECT * FROM read_parquet('{folder}/store/runs/*/metrics.parquet')",
        "SELECT * FROM glob('{folder}/*')",
        "ATTACH '{folder}/other.duckdb'",
        "ATTACH '{folder}/store/results.duckdb' AS again (READ_WRITE)",
        "EXPORT DATABASE '{folder}/export'",
        "IMPORT DATABASE '{folder}/export'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA profiling_output = '{folder}/profile.json'",
        "SET temp_directory = '{folder}/temporary'",
        "SET enable_external_access = true",
        "RESET enable_external_access",
        "SET lock_configuration = false",
    ],
)
def test_a_query_cannot_reach_another_file(asked, tmp_path, sql):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError):
        asked.query(sql.format(folder=tmp_path))
    assert sorted(tmp_path.rglob("*")) == before
