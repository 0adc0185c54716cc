"""Every method against every other one, as matrices of signs: a cell each, or counts over cells where that is too much.

A suite of a hundred methods has tens of thousands of pairs. A matrix therefore holds one character a pair and nothing
else; the numbers behind it are a compact list beside it, which a script of the page reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtl_bench.report.page.contents import ReportContents
from rmtl_bench.report.page.views import SIGNS
from rmtl_bench.statistics import CELL, split_method

MOST_TOGETHER = 40
"""The most methods in one matrix; where there are more, each backbone has its own."""

MOST_ENTRIES = 60_000
"""The most pairs that all matrices of a page show one by one; beyond, they are counted over cells."""

_VERDICTS = tuple(SIGNS)
_FLIPPED = {"better": "worse", "better (small)": "worse (small)"}
_FLIPPED |= {there: here for here, there in _FLIPPED.items()}
_FLIP = np.array([_VERDICTS.index(_FLIPPED.get(verdict, verdict)) for verdict in _VERDICTS] + [-1])
_NONE = ""


@dataclass(frozen=True)
class Matrix:
    """Methods in the order of the leaderboard; ``entries`` [methods, methods] as (sign, tone): row against column.

    ``data``: for the script of the page, the methods and for each pair in the upper triangle, row by row, the number
    of its verdict, the difference and p; without them where verdicts are counted over cells.
    """

    title: str
    methods: tuple[str, ...]
    labels: tuple[str, ...]
    entries: tuple[tuple[tuple[str, str], ...], ...]
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Matrices:
    """All matrices, the words of their verdicts, those of them that occur, and what is to be said of it all."""

    matrices: tuple[Matrix, ...]
    verdicts: tuple[str, ...]
    remark: str
    occurring: tuple[str, ...] = ()


def matrices(contents: ReportContents) -> Matrices:
    """Return the matrices of a report; none, with a remark, where no pair of methods can be compared."""
    pairs = contents.exploratory
    if pairs.empty:
        return Matrices((), (), "No two methods share enough seeds to be compared: 3 complete seeds are needed.")
    if set(pairs["verdict"]) <= {"n too small", "deterministic"}:
        return Matrices((), (), "No pair is told apart or found equivalent: the seeds are too few to say anything.")
    groups = _groups(sorted({*pairs["a"], *pairs["b"]}))
    size = sum(len(group) ** 2 for group in groups)
    cells = pairs[CELL].drop_duplicates()
    if size * len(cells) <= MOST_ENTRIES:
        return Matrices(tuple(_by_cell(contents, pairs, groups)), _VERDICTS, "", _occurring(pairs))
    remark = "Verdicts are counted over the cells of a metric, wins:losses of the row; there are too many to show each."
    if size * pairs["metric"].nunique() <= MOST_ENTRIES:
        return Matrices(tuple(_counted(contents, pairs, groups)), (), remark)
    return Matrices((), (), "There are too many pairs for a page; rmtl-bench compare shows any two methods.")


def _occurring(pairs: pd.DataFrame) -> tuple[str, ...]:
    found = set(pairs["verdict"])
    return tuple(word for word in _VERDICTS if word in found or _FLIPPED.get(word) in found)


def _groups(methods: Sequence[str]) -> list[list[str]]:
    if len(methods) <= MOST_TOGETHER:
        return [list(methods)]
    by_backbone: dict[str, list[str]] = {}
    for method in methods:
        by_backbone.setdefault(split_method(method)[0], []).append(method)
    return list(by_backbone.values())


def _by_cell(contents: ReportContents, pairs: pd.DataFrame, groups: Sequence[list[str]]) -> Iterator[Matrix]:
    rows = contents.board.rows
    parts = dict(iter(pairs.groupby(CELL, sort=False)))
    order = {cell: list(part["method"]) for cell, part in rows.groupby(CELL, sort=False)}
    for cell in sorted(parts, key=lambda cell: (cell[0], cell[1], contents.metrics.index(cell[2]))):
        for group in groups:
            present = {*parts[cell]["a"], *parts[cell]["b"]} & set(group)
            methods = [method for method in order[cell] if method in present]
            if len(methods) > 1:
                yield _matrix(" · ".join(cell), parts[cell], methods, len(groups) > 1)


def _matrix(title: str, pairs: pd.DataFrame, methods: Sequence[str], of_backbone: bool) -> Matrix:
    at = {method: place for place, method in enumerate(methods)}
    own = pairs[pairs["a"].isin(methods) & pairs["b"].isin(methods)]
    first, second = (own[side].map(at).to_numpy(dtype=np.intp) for side in ("a", "b"))
    codes = np.full((len(methods), len(methods)), -1)
    verdict = own["verdict"].map({word: code for code, word in enumerate(_VERDICTS)}).to_numpy(dtype=np.intp)
    codes[first, second], codes[second, first] = verdict, _FLIP[verdict]
    difference, p = (np.full(codes.shape, np.nan) for _ in range(2))
    difference[first, second], difference[second, first] = own["difference"], -own["difference"]
    p[first, second] = p[second, first] = own["p_bh"]
    upper = np.triu_indices(len(methods), 1)
    data = {"v": codes[upper].tolist(), "d": _short(difference[upper]), "p": _short(p[upper])}
    signs = [(SIGNS[word].sign, SIGNS[word].tone) for word in _VERDICTS] + [(_NONE, "self")]
    entries = tuple(tuple(signs[code] for code in row) for row in codes)
    return _named(title, methods, of_backbone, entries, data | {"n": int(own["n"].iloc[0])})


def _named(
    title: str,
    methods: Sequence[str],
    of_backbone: bool,
    entries: tuple[tuple[tuple[str, str], ...], ...],
    data: Mapping[str, Any],
) -> Matrix:
    backbones = {split_method(method)[0] for method in methods}
    labels = [split_method(method)[1] for method in methods] if len(backbones) == 1 else methods
    title = f"{title} · {backbones.pop()}" if of_backbone or len(backbones) == 1 else title
    return Matrix(title, tuple(methods), tuple(labels), entries, {"title": title, "m": list(methods), **data})


def _short(values: NDArray[np.float64]) -> list[float | None]:
    return [float(f"{value:.3g}") if np.isfinite(value) else None for value in values]


def _counted(contents: ReportContents, pairs: pd.DataFrame, groups: Sequence[list[str]]) -> Iterator[Matrix]:
    for metric in contents.metrics:
        of_metric = pairs[pairs["metric"] == metric]
        across = contents.board.across
        order = list(across.loc[across["metric"] == metric, "method"])
        for group in groups:
            present = {*of_metric["a"], *of_metric["b"]} & set(group)
            methods = [method for method in order if method in present]
            if len(methods) > 1:
                wins = _wins(of_metric, methods)
                entries = tuple(tuple(row) for row in _scores(wins))
                yield _named(f"{metric}, over {of_metric.groupby(CELL).ngroups} cells", methods, True, entries, {})


def _wins(pairs: pd.DataFrame, methods: Sequence[str]) -> NDArray[np.int64]:
    """Return [methods, methods]: in how many cells the row is better than the column."""
    at = {method: place for place, method in enumerate(methods)}
    own = pairs[pairs["a"].isin(methods) & pairs["b"].isin(methods)]
    first, second = (own[side].map(at).to_numpy(dtype=np.intp) for side in ("a", "b"))
    wins = np.zeros((len(methods), len(methods)), dtype=np.int64)
    for word, (winner, loser) in (("better", (first, second)), ("worse", (second, first))):
        won = own["verdict"].str.startswith(word).to_numpy(dtype=bool)
        np.add.at(wins, (winner[won], loser[won]), 1)
    return wins


def _scores(wins: NDArray[np.int64]) -> Iterable[list[tuple[str, str]]]:
    for place, (won, lost) in enumerate(zip(wins, wins.T, strict=True)):
        row = []
        for column, (ours, theirs) in enumerate(zip(won, lost, strict=True)):
            tone = "better" if ours > theirs == 0 else "worse" if theirs > ours == 0 else "muted"
            text = f"{ours}:{theirs}" if ours or theirs else "·"
            row.append((_NONE, "self") if column == place else (text, tone))
        yield row
