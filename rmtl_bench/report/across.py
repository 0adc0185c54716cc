"""The headline over all cells: how often each method is better, equivalent or worse, its mean rank and its winrate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from rmtl_bench.report.document import DASH, Column, Section, chosen
from rmtl_bench.statistics import CELL, Incomplete, mean_ranks, verdict_counts, winrate

OUTCOMES = {
    "wins": "better",
    "equivalent": "equivalent",
    "losses": "worse",
    "unresolved": "unresolved",
    "not_starred": "not starred",
    "n_too_small": "n too small",
    "deterministic": "deterministic",
}
"""How the outcomes are called, by column, in the order they are shown."""

ACROSS_COLUMNS = ["metric", "method", "cells", "of_cells", *OUTCOMES, "mean_rank", "winrate"]
"""The columns of the table; ``cells`` of ``of_cells`` have a verdict, the outcomes count them."""

ACROSS = (
    "over all cells: verdicts against the declared reference, counted; mean rank: of the ranks below, equal ranks "
    "sharing their places; winrate: share of the other methods with a worse score, a tie counting half, each data set "
    "weighing the same. A method that lacks a cell has neither, unless its cells are left out for all. Cells of one "
    "data set are not independent: these counts describe, they do not test."
)
"""What the headline means."""


def across_cells(
    rows: pd.DataFrame,
    scores: pd.DataFrame,
    higher_is_better: Mapping[str, bool],
    incomplete: Incomplete = "exclude-method",
) -> pd.DataFrame:
    """Return ``ACROSS_COLUMNS``, a row a metric and method, in the order of the mean rank; equal ones by name.

    ``rows``: those of a leaderboard, with rank and verdict; ``scores``: what it was made from. ``incomplete``: whether
    mean rank and winrate leave out the methods that lack a cell, or the cells that a method lacks.
    """
    if rows.empty:
        return pd.DataFrame(columns=ACROSS_COLUMNS)
    key = ["metric", "method"]
    counts = verdict_counts(
        rows.rename(columns={"method": "candidate"}), rows[CELL].itertuples(index=False, name=None)
    ).rename(columns={"candidate": "method"})
    table = rows[key].drop_duplicates().merge(counts.drop(columns="of_cells"), on=key, how="left")
    cells = rows[CELL].drop_duplicates().groupby("metric").size()
    ranks = mean_ranks(rows[[*CELL, "method", "rank"]].astype({"rank": float}), incomplete)
    rates = winrate(scores, higher_is_better, incomplete)
    for frame, column in ((ranks, "mean_rank"), (rates, "winrate")):
        table = table.merge(frame[[*key, column]], on=key, how="left")
    counted = ["cells", *OUTCOMES]
    table = table.assign(of_cells=table["metric"].map(cells), **table[counted].fillna(0).astype(int))
    order = {metric: place for place, metric in enumerate(rows["metric"].unique())}
    table = table.assign(_order=table["metric"].map(order)).sort_values(["_order", "mean_rank", "method"])
    return table[ACROSS_COLUMNS].reset_index(drop=True)


def across_sections(table: pd.DataFrame, metrics: Sequence[str] | None) -> Iterable[Section]:
    """Yield a section a metric, those of a single cell left out: its own table says it all."""
    for metric, group in chosen(table, metrics).groupby("metric", sort=False):
        if group["of_cells"].max() < 2:
            continue
        shown = [column for column in OUTCOMES if group[column].any() or column in ("wins", "losses")]
        columns = (
            Column("method", width=28),
            *(Column(OUTCOMES[column], numeric=True) for column in shown),
            *(Column(title, numeric=True) for title in ("cells", "mean rank", "winrate")),
        )
        rows = tuple(_row(r, shown) for r in group.to_dict("records"))
        yield Section(f"over all cells: {metric}", columns, rows)


def _row(r: Mapping[str, Any], shown: Sequence[str]) -> tuple[str, ...]:
    # The reference has no verdict anywhere, and nothing to count.
    judged = r["cells"] > 0
    return (
        r["method"],
        *(str(r[column]) if judged else DASH for column in shown),
        f"{r['cells']}/{r['of_cells']}" if judged else DASH,
        DASH if pd.isna(r["mean_rank"]) else f"{r['mean_rank']:.1f}",
        DASH if pd.isna(r["winrate"]) else f"{r['winrate']:.2f}",
    )
