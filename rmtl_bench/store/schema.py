"""The tables and views of the index."""

from __future__ import annotations

from collections.abc import Mapping

SCHEMA_VERSION = 2
"""Raised when a table or view changes: an index of another version is made anew."""

RUNS: Mapping[str, str] = {
    "folder": "VARCHAR",
    "run_id": "VARCHAR",
    "attempt": "INTEGER",
    "status": "VARCHAR",
    "dataset": "VARCHAR",
    "backbone": "VARCHAR",
    "weighting": "VARCHAR",
    "seed": "BIGINT",
    "started": "VARCHAR",
    "finished": "VARCHAR",
    "seconds": "DOUBLE",
    "seconds_by_phase": "VARCHAR",
    "error": "VARCHAR",
    "cell": "VARCHAR",
    "facts": "VARCHAR",
    "environment": "VARCHAR",
}
METRICS: Mapping[str, str] = {
    "folder": "VARCHAR",
    "task": "VARCHAR",
    "metric": "VARCHAR",
    "value": "DOUBLE",
    "higher_is_better": "BOOLEAN",
}
ENVIRONMENTS: Mapping[str, str] = {"hash": "VARCHAR", "content": "VARCHAR"}
INGESTED: Mapping[str, str] = {"folder": "VARCHAR", "mtime": "BIGINT", "size": "BIGINT"}

TABLES: Mapping[str, Mapping[str, str]] = {
    "runs": RUNS,
    "metrics": METRICS,
    "environments": ENVIRONMENTS,
    "ingested_files": INGESTED,
    "schema_version": {"version": "INTEGER"},
}

READ_ALL = tuple(f"SELECT bit_xor(hash(row)) FROM {table} AS row" for table in TABLES)  # noqa: S608 -- own names
"""Queries that read every value of the index, and return next to nothing."""

# No foreign keys and no secondary indexes: the tables are small, and both hinder every later change.
# A run that ended well has ended well, whatever is said by attempts that were merged after it.
_VIEWS = """
CREATE VIEW v_latest AS
SELECT * FROM runs QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY status = 'ok' DESC, attempt DESC) = 1;

CREATE VIEW v_scores AS
WITH latest AS (
    SELECT * FROM runs WHERE status = 'ok'
    QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY attempt DESC) = 1
)
SELECT run_id, attempt, dataset, backbone, weighting, seed, task, metric, value, higher_is_better
FROM latest JOIN metrics USING (folder);
"""


def creation() -> str:
    """Return the statements that make an empty index, or empty one that exists."""
    drops = ["DROP VIEW IF EXISTS v_scores;", "DROP VIEW IF EXISTS v_latest;"]
    tables = []
    for table, columns in TABLES.items():
        drops.append(f"DROP TABLE IF EXISTS {table};")
        tables.append(f"CREATE TABLE {table} ({', '.join(f'{c} {sql}' for c, sql in columns.items())});")
    version = f"INSERT INTO schema_version VALUES ({SCHEMA_VERSION});"  # noqa: S608 -- a constant
    return "\n".join([*drops, *tables, version]) + _VIEWS
