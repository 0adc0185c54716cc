"""What is missing, listed before anything is ranked."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from rmtl_bench.statistics.frames import CELL, check_scores

Run = tuple[str, str, int]
"""A planned run: (dataset, method, seed)."""


def missing_runs(expected: Iterable[Run], scores: pd.DataFrame) -> pd.DataFrame:
    """Return the planned runs (dataset, method, seed) that have no score at all."""
    finite = check_scores(scores)
    runs = finite[["dataset", "method", "seed"]].drop_duplicates()
    present = set(zip(runs["dataset"], runs["method"], runs["seed"], strict=True))
    absent = sorted(run for run in set(expected) if run not in present)
    return pd.DataFrame(absent, columns=["dataset", "method", "seed"])


def cell_counts(expected: Iterable[Run] | None, scores: pd.DataFrame) -> pd.DataFrame:
    """Return, for each dataset, task, metric and method, ``n`` scores of ``expected`` planned ones.

    Planned methods without a score have n = 0. Without a plan, and for methods outside it, a method is expected to
    have every seed that any method of the data set has.
    """
    finite = check_scores(scores)
    runs = pd.DataFrame(list(set(expected or ())), columns=["dataset", "method", "seed"])
    planned = runs.groupby(["dataset", "method"]).size().rename("expected").reset_index()
    cells = finite[CELL].drop_duplicates()
    methods = pd.concat([planned, finite[["dataset", "method"]]]).drop_duplicates(["dataset", "method"])
    table = cells.merge(methods, on="dataset")
    counts = finite.groupby([*CELL, "method"]).size().rename("n").reset_index()
    table = table.merge(counts, on=[*CELL, "method"], how="left")
    seeds = finite.groupby("dataset")["seed"].nunique()
    table["n"] = table["n"].fillna(0).astype(int)
    table["expected"] = table["expected"].fillna(table["dataset"].map(seeds)).astype(int)
    return table[[*CELL, "method", "n", "expected"]].sort_values([*CELL, "method"], ignore_index=True)


def incomplete_cells(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ``cell_counts`` that have fewer scores than planned."""
    return counts[counts["n"] < counts["expected"]].reset_index(drop=True)
