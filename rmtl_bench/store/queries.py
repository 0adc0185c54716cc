"""What the index is asked: the queries that several questions share, and the shapes of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

WELL = """
SELECT * FROM runs WHERE status = 'ok' QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY attempt DESC) = 1
"""
"""The runs that ended well, each by its latest attempt that did."""

OTHER = """
WITH cells AS (
    SELECT run_id, run_id IN (SELECT unnest(CAST(? AS VARCHAR[]))) AS planned, dataset, backbone, weighting, seed,
        json_extract_string(cell, '$.fingerprint') AS fingerprint,
        concat_ws(' ', json_extract(cell, '$.dataset'), json_extract(cell, '$.trainer')) AS rest
    FROM v_latest
)
SELECT this.dataset, this.fingerprint, other.fingerprint, count(DISTINCT other.run_id)
FROM cells AS this JOIN cells AS other USING (dataset, backbone, weighting, seed, rest)
WHERE this.planned AND NOT other.planned AND this.fingerprint <> other.fingerprint
GROUP BY ALL ORDER BY ALL
"""
"""What :meth:`Index.other_data` asks, of a list of run ids."""


class Attempt(NamedTuple):
    """The attempt that counts: the latest that ended well, or the latest; its end, its seconds and its traceback."""

    attempt: int
    status: str
    seconds: float
    error: str


class Cost(NamedTuple):
    """What a run took: the mean seconds of a training step, evaluation left out, and the number of parameters."""

    seconds_a_step: float | None
    parameters: int | None


class OtherData(NamedTuple):
    """Runs of a data set (a label) that were made on another state of its data: fingerprints and number of runs."""

    dataset: str
    fingerprint: str
    other: str
    runs: int


def chosen_runs(run_ids: Sequence[str] | None, metrics: Sequence[str] | None = None) -> tuple[str, list[Any]]:
    """Return a WHERE clause and its parameters: by list, so that ten thousand runs are one parameter."""
    given = {"run_id": run_ids, "metric": metrics}
    asked = {column: list(names) for column, names in given.items() if names is not None}
    terms = [f"{column} IN (SELECT unnest(CAST(? AS VARCHAR[])))" for column in asked]
    return f"WHERE {' AND '.join(terms)}" if terms else "", list(asked.values())
