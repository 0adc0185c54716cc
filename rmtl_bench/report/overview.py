"""A leaderboard in one table a data set: a row a method, a column a task and metric, in the order of one of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.report.document import DASH, Column, Section, against, chosen, spread
from rmtl_bench.report.leaderboard import Leaderboard

OVERVIEW = (
    "↑ better, ↓ worse than its reference (in brackets: the difference is too small to matter), ≈ equivalent, = the "
    "same difference for every seed, ? unresolved, n too small or not starred. Bold: no method of the cell is found "
    "better (rank 1), where that tells methods apart."
)
"""What the marks of the table mean."""

_MARKS = {
    "better": "↑",
    "better (small)": "(↑)",
    "worse": "↓",
    "worse (small)": "(↓)",
    "equivalent": "≈",
    "deterministic": "=",
}
_UNDECIDED = "?"
_COLUMNS_A_PART = 4


def parse_order(by: str, tasks: Sequence[str], metrics: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the task and the metric of ``TASK:METRIC``, ``TASK`` or ``METRIC``; None for the part that is not given.

    Raises :class:`UsageError` for a name that is neither.
    """
    if by in metrics:
        return None, by
    if by in tasks:
        return by, None
    task, colon, metric = by.rpartition(":")
    if colon and task in tasks and metric in metrics:
        return task, metric
    known = [*metrics, *tasks, *(f"{task}:{metric}" for task in tasks for metric in metrics)]
    raise UsageError(f"--by {by!r} is no TASK, METRIC or TASK:METRIC of these scores{did_you_mean(by, known)}")


def overview_sections(board: Leaderboard, by: str, metrics: Sequence[str] | None) -> Iterable[Section]:
    """Yield a table a data set, ordered by the rank, then the mean, of the cell that ``by`` names.

    Where it names no task or no metric, the data set's first is meant. A table of more cells than a terminal is wide
    comes in parts.
    """
    rows = chosen(board.rows, metrics)
    wanted = parse_order(by, list(rows["task"].unique()), list(rows["metric"].unique()))
    for dataset, of_dataset in rows.groupby("dataset", sort=True):
        cells = list(dict.fromkeys(of_dataset[["task", "metric"]].itertuples(index=False, name=None)))
        tasks = list(dict.fromkeys(task for task, _ in cells))
        cells.sort(key=lambda cell: tasks.index(cell[0]))
        matching = [cell for cell in cells if all(w in (None, part) for w, part in zip(wanted, cell, strict=True))]
        if matching:
            yield from _parts(board, str(dataset), of_dataset, cells, matching[0])


def _parts(
    board: Leaderboard, dataset: str, rows: pd.DataFrame, cells: Sequence[tuple[str, str]], first: tuple[str, str]
) -> Iterable[Section]:
    by_cell = {cell: group.set_index("method") for cell, group in rows.groupby(["task", "metric"], sort=False)}
    # The rows of a cell stand in the order of rank and mean.
    order = list(dict.fromkeys([*by_cell[first].index, *rows["method"]]))
    references = {against(method, ref) for method, ref in zip(rows["method"], rows["reference"], strict=True)} - {DASH}
    versus = f", against {references.pop()}" if len(references) == 1 else ""
    ordered = [first, *(cell for cell in cells if cell != first)]
    parts = [ordered[start : start + _COLUMNS_A_PART] for start in range(0, len(ordered), _COLUMNS_A_PART)]
    for number, part in enumerate(parts, 1):
        title = f"{dataset}, by {first[0]} {first[1]}{versus}"
        title += f" ({number} of {len(parts)})" if len(parts) > 1 else ""
        higher = board.settings.higher_is_better
        headings = [f"{task} {metric} {'↑' if higher[metric] else '↓'}" for task, metric in part]
        columns = (
            Column("rank", numeric=True),
            Column("method", width=28),
            *(Column(h, numeric=True) for h in headings),
        )
        texts, bold = [], set()
        for i, method in enumerate(order):
            found = [_record(by_cell[cell], method) for cell in part]
            texts.append((_rank(_record(by_cell[first], method)), method, *map(_text, found)))
            bold |= {(i, 2 + j) for j, cell in enumerate(part) if _leads(by_cell[cell], method)}
        yield Section(title, columns, tuple(texts), frozenset(bold))


def _record(cell: pd.DataFrame, method: str) -> Mapping[str, Any]:
    return cell.loc[method].to_dict() if method in cell.index else {}


def _rank(record: Mapping[str, Any]) -> str:
    return DASH if not record or pd.isna(record["rank"]) else str(record["rank"])


def _text(record: Mapping[str, Any]) -> str:
    if not record or not math.isfinite(record["mean"]):
        return DASH
    verdict = record["verdict"]
    mark = _MARKS.get(verdict, _UNDECIDED) if isinstance(verdict, str) else ""
    count = "" if record["n"] == record["expected"] else f" {record['n']}/{record['expected']}"
    return f"{spread(record['mean'], record['low'], record['high'])}{count} {mark}".rstrip()


def _leads(cell: pd.DataFrame, method: str) -> bool:
    ranks = cell["rank"].dropna()
    return bool(len(ranks)) and ranks.max() > 1 and method in ranks.index and ranks[method] == 1
