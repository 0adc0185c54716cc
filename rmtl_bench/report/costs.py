"""What methods cost: seconds a training step, beside those of the declared reference, and parameters."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from rmtl_bench.report.document import DASH, Column, Section, against
from rmtl_bench.statistics import Family, split_method

COST_COLUMNS = [
    *("dataset", "method", "backbone", "weighting", "n", "seconds_a_step", "reference", "ratio", "parameters"),
]
"""The columns of a table of costs; ``n`` counts the runs that say what a step took."""

_SECTION_COLUMNS = (
    Column("data set", width=20),
    Column("method", width=28),
    Column("n", numeric=True),
    Column("s a step", numeric=True),
    Column("ratio", numeric=True),
    Column("against", width=20),
    Column("parameters", numeric=True),
)


def cost_table(runs: pd.DataFrame | None, reference: Family | None) -> pd.DataFrame:
    """Return one row a data set and method, with ``COST_COLUMNS``: medians over seeds.

    ``runs``: a row a run, with ``dataset``, ``method``, ``seconds_a_step`` and ``parameters``, NaN where a run does not
    say. ``ratio`` is to the median of the method that ``reference`` declares for this one, on the same data set.
    """
    if runs is None or runs.empty:
        return pd.DataFrame(columns=COST_COLUMNS)
    cells = runs.groupby(["dataset", "method"])
    table = cells.agg(
        n=("seconds_a_step", "count"), seconds_a_step=("seconds_a_step", "median"), parameters=("parameters", "median")
    ).reset_index()
    declared = dict(reference.pairs(table["method"])) if reference is not None else {}
    parts = [split_method(method) for method in table["method"]]
    table = table.assign(
        backbone=[backbone for backbone, _ in parts],
        weighting=[weighting for _, weighting in parts],
        reference=[declared.get(method) for method in table["method"]],
        parameters=table["parameters"].round().astype("Int64"),
    )
    theirs = table[["dataset", "method", "seconds_a_step"]].set_axis(["dataset", "reference", "_theirs"], axis=1)
    table = table.merge(theirs, on=["dataset", "reference"], how="left")
    table = table.assign(ratio=table["seconds_a_step"] / table["_theirs"])
    order = ["dataset", "backbone", "seconds_a_step", "weighting"]
    return table.sort_values(order, ignore_index=True)[COST_COLUMNS]


def cost_sections(table: pd.DataFrame) -> Iterable[Section]:
    """Yield the section of a table of costs, unless it is empty."""
    if len(table):
        rows = tuple(
            (
                r["dataset"],
                r["method"],
                str(r["n"]),
                DASH if pd.isna(r["seconds_a_step"]) else f"{r['seconds_a_step']:.3g}",
                DASH if pd.isna(r["ratio"]) else f"{r['ratio']:.2f}",
                against(r["method"], r["reference"]),
                DASH if pd.isna(r["parameters"]) else f"{r['parameters']:,}",
            )
            for r in table.to_dict("records")
        )
        yield Section("cost", _SECTION_COLUMNS, rows)
