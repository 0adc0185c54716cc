"""Synthetic raw files in the official formats and at the official sizes, to measure preparation without the data.

The same sizes and seed give the same rows with the same numpy: it draws them, DuckDB only writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray


def write_csv(path: Path, query: str, frame: pd.DataFrame) -> Path:
    """Write what ``query`` makes of ``frame``, in its order, as CSV with a header."""
    target = str(path).replace("'", "''")
    with duckdb.connect() as con:
        con.execute("SET enable_progress_bar = false")
        con.register("frame", frame)
        con.execute(f"COPY ({query}) TO '{target}' (FORMAT csv, HEADER)")
    return path


def drawn(rng: np.random.Generator, weights: Mapping[str, float], rows: int) -> pd.Categorical:
    """Return ``rows`` of the values, drawn by weight; the value ``""`` becomes an empty cell."""
    below = np.cumsum(np.array(list(weights.values()), np.float64))
    codes = np.searchsorted(below / below[-1], rng.random(rows), side="right")
    values = [value for value in weights if value]
    places = np.array([values.index(value) if value else -1 for value in weights])
    return pd.Categorical.from_codes(places[codes], values)


def long_tailed(rng: np.random.Generator, kinds: int, rows: int, spread: float, least: int) -> NDArray[np.int32]:
    """Return ``rows`` draws of 0 to ``kinds`` - 1 in random order, each at least ``least`` times, few of them often."""
    weights = rng.lognormal(0.0, spread, kinds)
    counts = least + rng.multinomial(rows - least * kinds, weights / weights.sum())
    return rng.permutation(np.repeat(np.arange(kinds, dtype=np.int32), counts))


def time_in_runs(starts: NDArray[np.bool_], begin: NDArray[np.int64], pause: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the times of rows in runs: where a run starts it begins anew, and then every row comes after a pause."""
    waited = np.cumsum(np.where(starts, 0, pause))
    run = np.cumsum(starts) - 1
    return begin[run] + waited - waited[starts][run]
