"""Tables of one row a method and task, split where they are wider than a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from rmtl_bench.report.document import DASH, Column, Section
from rmtl_bench.report.formats import TERMINAL_WIDTH

COUNTS = (
    "n: the seeds behind a row; (k): k of them alone, since the others ended before or have no value there. "
    "-: no value."
)
"""What n and (k) mean."""

_METHOD_WIDTH, _TASK_WIDTH = 28, 14


def grid_sections(title: str, cells: pd.DataFrame) -> Iterable[Section]:
    """Yield the sections of a grid.

    ``cells`` has a row a cell of it: ``method``, ``task``, ``column`` (its heading; numbers are sorted), ``n``,
    ``text``, and ``below``, a second line.
    """
    row = ["method", "task"]
    most = cells.groupby(row, sort=False)["n"].transform("max")
    marks = np.where((cells["n"] < most) & (cells["n"] > 0), " (" + cells["n"].astype(str) + ")", "")
    texts = cells.assign(text=cells["text"] + marks + cells["below"], n=most)
    wide = texts.pivot(index=row, columns="column", values="text").fillna(DASH)
    headings = cells["column"].unique()
    # Texts keep the order they came in: it is the order they were written in.
    headings = np.sort(headings) if pd.api.types.is_numeric_dtype(cells["column"]) else headings
    rows = texts.drop_duplicates(row)
    wide = wide.reindex(index=pd.MultiIndex.from_frame(rows[row]), columns=headings)
    named = zip(rows["method"], rows["task"], rows["n"], strict=True)
    leading = [(str(method), str(task) or DASH, str(n)) for method, task, n in named]
    columns = (Column("method", width=_METHOD_WIDTH), Column("task", width=_TASK_WIDTH), Column("n", numeric=True))
    parts = list(_parts([[str(heading), *wide[heading]] for heading in headings], _room(leading)))
    for number, part in enumerate(parts, 1):
        yield Section(
            title if len(parts) == 1 else f"{title} ({number} of {len(parts)})",
            (*columns, *(Column(heading, numeric=True) for heading, *_ in part)),
            tuple((*left, *right) for left, *right in zip(leading, *(texts for _, *texts in part), strict=True)),
        )


def _room(leading: Sequence[tuple[str, str, str]]) -> int:
    methods, tasks, counts = (max(map(len, column)) for column in zip(*leading, strict=True))
    taken = (min(methods, _METHOD_WIDTH), max(min(tasks, _TASK_WIDTH), len("task") + 2), max(counts, len("n") + 2))
    return TERMINAL_WIDTH - sum(taken) - 2 * len(taken)


def _parts(columns: Sequence[list[str]], room: int) -> Iterable[list[list[str]]]:
    """Split columns of texts, each with its heading, into parts that have place; each part has one at least."""
    part: list[list[str]] = []
    left = room
    for heading, *texts in columns:
        # The table format pads a heading by two, and separates columns by two.
        width = 2 + max(len(heading) + 2, *(len(line) for text in texts for line in text.splitlines()))
        if part and width > left:
            yield part
            part, left = [], room
        part.append([heading, *texts])
        left -= width
    if part:
        yield part
