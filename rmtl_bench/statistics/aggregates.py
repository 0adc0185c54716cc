"""Across cells, by counting: verdicts, ranks and wins. Nothing here depends on a metric's scale.

A method that lacks a score where another one has it is incomplete. It is never given a number made up for it:

===================  ==========================================================================================
exclude-method       incomplete methods get no number, NaN, and their coverage shows why (the default)
exclude-cell         the cells that some method lacks are left out for all
===================  ==========================================================================================

Coverage is ``cells`` of ``of_cells``: those a method is complete in, or those that were used, of all there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.statistics.frames import CELL, FloatArray, check_directions, check_scores, matrix

Incomplete = Literal["exclude-method", "exclude-cell"]
"""What to do about methods that lack a cell."""

OUTCOMES: Mapping[str, str] = {
    "better": "wins",
    "better (small)": "wins",
    "equivalent": "equivalent",
    "unresolved": "unresolved",
    "not starred": "not_starred",
    "worse (small)": "losses",
    "worse": "losses",
    "deterministic": "deterministic",
    "n too small": "n_too_small",
}
"""The outcome each verdict counts as; a small difference that is one counts as one."""

_OUTCOME_COLUMNS = list(dict.fromkeys(OUTCOMES.values()))


def verdict_counts(comparisons: pd.DataFrame, planned: Iterable[tuple[str, str, str]] | None = None) -> pd.DataFrame:
    """Return how often each candidate wins, ties and loses, for each metric.

    ``comparisons``: judged rows with dataset, task, metric, candidate and verdict; a row without a verdict counts
    nowhere. ``planned``: the (dataset, task, metric) cells there should be, by default those of the comparisons.
    Columns: metric, candidate, wins, equivalent, unresolved, not_starred, losses, deterministic, n_too_small, and
    ``cells``, those in which the candidate has a verdict, of ``of_cells``. With several references a cell counts once
    for each of them.
    """
    judged = comparisons[comparisons["verdict"].notna()]
    for word in judged["verdict"].unique():
        if word not in OUTCOMES:
            raise UsageError(f"unknown verdict {word!r}{did_you_mean(str(word), OUTCOMES)}")
    by = ["metric", "candidate"]
    outcome = judged["verdict"].map(OUTCOMES).rename("outcome")
    counts = judged[by].assign(outcome=outcome).groupby([*by, "outcome"]).size().unstack("outcome", fill_value=0)
    counts = counts.reindex(columns=_OUTCOME_COLUMNS, fill_value=0)
    cells = judged[[*by, "dataset", "task"]].drop_duplicates().groupby(by).size()
    all_cells = comparisons[CELL] if planned is None else pd.DataFrame(sorted(set(planned)), columns=CELL)
    of_cells = all_cells.drop_duplicates().groupby("metric").size()
    table = counts.assign(cells=cells).reset_index()
    table = table.assign(of_cells=table["metric"].map(of_cells).fillna(0).astype(int))
    order = [*by, *_OUTCOME_COLUMNS, "cells", "of_cells"]
    return table[order].rename_axis(columns=None).sort_values(by, ignore_index=True)


def mean_ranks(ranks: pd.DataFrame, incomplete: Incomplete = "exclude-method") -> pd.DataFrame:
    """Return each method's mean rank over cells, for each metric: columns metric, method, mean_rank, cells, of_cells.

    ``ranks``: dataset, task, metric, method and rank as :func:`~rmtl_bench.statistics.ranks.rank_methods` gives them,
    1 + the number of methods that beat this one. "Beats" is not transitive, so that a tie has no positions whose
    average could be taken; instead these numbers are ranked again within the cell, among the methods compared, and
    equal ones share the average of their places. Cells in which no method has a rank do not count.
    """
    parts = []
    for metric, group in ranks[ranks["rank"].notna()].groupby("metric", sort=True):
        wide = group.pivot(index=["dataset", "task"], columns="method", values="rank")
        wide = wide.reindex(columns=sorted(ranks.loc[ranks["metric"] == metric, "method"].unique()))
        dense = compared(wide.notna(), incomplete)
        used = matrix(wide)[np.ix_(dense.rows, dense.methods)]
        mean = np.full(wide.shape[1], np.nan)
        if used.size:
            mean[dense.methods] = average_places(used).mean(axis=0)
        parts.append(_table(metric, wide.columns, "mean_rank", mean, dense))
    return _joined(parts, "mean_rank")


def winrate(
    scores: pd.DataFrame, higher_is_better: Mapping[str, bool], incomplete: Incomplete = "exclude-method"
) -> pd.DataFrame:
    """Return the share of the other methods that each one beats, a tie counting half, for each metric.

    A seed's scores are compared with the same seed's; the shares are averaged over seeds, then over tasks, then over
    data sets, so that each data set weighs the same (the rule of TabArena, Erickson et al. 2025). NaN where there is
    no other method. Columns: metric, method, winrate, cells, of_cells, where a cell lacks a method that lacks one of
    the cell's seeds. A win is a better score, however little: read the verdicts beside it.
    """
    finite = check_scores(scores)
    check_directions(finite["metric"].unique(), higher_is_better)
    parts = []
    cell = ["dataset", "task"]
    for metric, group in finite.groupby("metric", sort=True):
        wide = group.pivot(index=[*cell, "seed"], columns="method", values="value").sort_index()
        dense = compared(wide.notna().groupby(level=cell).all(), incomplete)
        of_row = wide.index.to_frame(index=False).groupby(cell, sort=True).ngroup().to_numpy()
        used = wide.loc[dense.rows[of_row], dense.methods]
        rate = np.full(wide.shape[1], np.nan)
        others = used.shape[1] - 1
        if others > 0 and len(used):
            sign = -1.0 if higher_is_better[str(metric)] else 1.0
            # The best is placed first: the distance to the last place is the number of methods beaten.
            beaten = (others + 1 - average_places(sign * matrix(used))) / others
            by_cell = pd.DataFrame(beaten, used.index, used.columns).groupby(level=cell).mean()
            rate[dense.methods] = by_cell.groupby(level="dataset").mean().mean().to_numpy()
        parts.append(_table(metric, wide.columns, "winrate", rate, dense))
    return _joined(parts, "winrate")


def average_places(values: FloatArray) -> FloatArray:
    """Return the place of each value within its row, 1 for the smallest, equal ones sharing the average of theirs.

    ``scipy.stats.rankdata(values, axis=1)``, without the half second that importing it takes.
    """
    return np.asarray(pd.DataFrame(values).rank(axis=1), dtype=np.float64)


class Dense(NamedTuple):
    """What can be compared without a gap: which ``rows`` (cells) and ``methods`` (columns) of a frame.

    ``cells`` of each column: the rows it is complete in, or those that are used; of ``of_cells`` rows in all.
    """

    rows: NDArray[np.bool_]
    methods: NDArray[np.bool_]
    cells: NDArray[np.int64]
    of_cells: int


def compared(present: pd.DataFrame, incomplete: Incomplete) -> Dense:
    """Choose what can be compared from a frame that is True where a method (column) is complete in a cell (row)."""
    check_incomplete(incomplete)
    found = present.to_numpy(dtype=bool)
    rows, columns = found.shape
    if incomplete == "exclude-method":
        cells = found.sum(axis=0).astype(np.int64)
        return Dense(np.ones(rows, dtype=np.bool_), found.all(axis=0), cells, rows)
    used = found.all(axis=1)
    return Dense(used, np.ones(columns, dtype=np.bool_), np.full(columns, used.sum(), dtype=np.int64), rows)


def check_incomplete(incomplete: str) -> None:
    """Refuse what is no way to treat incomplete methods."""
    known = get_args(Incomplete)
    if incomplete not in known:
        raise UsageError(f"unknown treatment of what is incomplete: {incomplete!r}{did_you_mean(incomplete, known)}")


def _table(metric: object, methods: pd.Index, name: str, values: FloatArray, dense: Dense) -> pd.DataFrame:
    coverage = {"cells": dense.cells, "of_cells": dense.of_cells}
    return pd.DataFrame({"metric": metric, "method": methods.to_numpy(), name: values, **coverage})


def _joined(parts: list[pd.DataFrame], name: str) -> pd.DataFrame:
    columns = ["metric", "method", name, "cells", "of_cells"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
