"""The leaderboard: a table a data set, task and metric, a row a method, with a strip in each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rmtl_bench.report.document import DASH, against, number, p_value, spread
from rmtl_bench.report.layout import direction
from rmtl_bench.report.page.contents import ReportContents
from rmtl_bench.report.page.strips import Scale, scale_of, strip
from rmtl_bench.report.page.views import Cell, Heading, Row, Table, verdict_cell
from rmtl_bench.statistics import CELL


@dataclass(frozen=True)
class CellBlock:
    """One data set, task and metric: its heading, its table and what to say of its ranks."""

    dataset: str
    task: str
    metric: str
    title: str
    table: Table
    remark: str


def cell_blocks(contents: ReportContents) -> Iterator[CellBlock]:
    """Yield the cells of the leaderboard, data sets and tasks together, metrics in the suite's order."""
    board, scores = contents.board, contents.suite.scores
    finite = scores[np.isfinite(scores["value"].to_numpy(dtype=float))]
    seeds = {key: group["value"].to_numpy(dtype=float) for key, group in finite.groupby([*CELL, "method"], sort=False)}
    for _, of_task in board.rows.groupby(["dataset", "task"], sort=True):
        for metric in contents.metrics:
            rows = of_task[of_task["metric"] == metric]
            if len(rows):
                yield _block(contents, rows, seeds)


def _block(contents: ReportContents, rows: pd.DataFrame, seeds: Mapping[tuple[str, ...], Sequence[float]]) -> CellBlock:
    dataset, task, metric = map(str, rows.iloc[0][CELL])
    of_method = {method: seeds.get((dataset, task, metric, method), ()) for method in rows["method"]}
    scale = scale_of(np.concatenate([np.asarray(values, dtype=float) for values in of_method.values()]))
    means = dict(zip(rows["method"], rows["mean"], strict=True))
    records = rows.to_dict("records")
    several = len({against(r["method"], r["reference"]) for r in records} - {DASH}) > 1
    judged, controlled = bool(rows["reference"].notna().any()), bool(rows["control"].notna().any())
    headings = _headings(judged, several, controlled)
    table_rows = tuple(
        Row(
            str(r["method"]),
            (
                *_scores(r, scale, of_method[r["method"]], means),
                *(_judged(r, several) if judged else ()),
                *((_control(r),) if controlled else ()),
            ),
        )
        for r in records
    )
    title = f"{dataset} · {task} · {metric}"
    caption = _caption(contents, rows, metric, scale, several)
    return CellBlock(dataset, task, metric, title, Table(caption, headings, table_rows), _remark(rows))


def _headings(judged: bool, several: bool, controlled: bool) -> tuple[Heading, ...]:
    scored = (("rank", "number"), ("method", "method"), ("mean", "number"), ("n/N", "number"), ("seeds", "strip"))
    against_reference = (("difference", "number"), ("p", "number"), ("verdict", "verdict"))
    chosen: list[Any] = [*scored, *(against_reference if judged else ())]
    chosen += [("against", "text")] if several else []
    chosen += [("against its control", "verdict")] if controlled else []
    return tuple(Heading(*heading) for heading in chosen)


def _scores(
    r: Mapping[Any, Any], scale: Scale | None, seeds: Sequence[float], means: Mapping[str, float]
) -> tuple[Cell, ...]:
    reference = means.get(r["reference"], np.nan) if isinstance(r["reference"], str) else np.nan
    drawn = None if scale is None else strip(scale, r["mean"], r["low"], r["high"], seeds, reference)
    mean = number(r["mean"])
    return (
        Cell(DASH if pd.isna(r["rank"]) else str(r["rank"])),
        Cell(str(r["method"])),
        Cell(spread(r["mean"], r["low"], r["high"])),
        Cell(f"{r['n']}/{r['expected']}"),
        Cell(DASH, value=mean, drawing=drawn),
    )


def _judged(r: Mapping[Any, Any], several: bool) -> tuple[Cell, ...]:
    cells = (
        Cell(spread(r["difference"], r["difference_low"], r["difference_high"], signed=True)),
        Cell(p_value(r["p_holm"])),
        verdict_cell(r),
    )
    return (*cells, Cell(against(r["method"], r["reference"]))) if several else cells


def _control(r: Mapping[Any, Any]) -> Cell:
    verdict = {key: r[f"control_{key}"] for key in ("verdict", "robust", "mde")}
    return verdict_cell(verdict, prefix=f"{against(r['method'], r['control'])}: ")


def _caption(contents: ReportContents, rows: pd.DataFrame, metric: str, scale: Scale | None, several: bool) -> str:
    parts = [direction(metric, contents.suite.higher_is_better)]
    references = {
        against(method, reference) for method, reference in zip(rows["method"], rows["reference"], strict=True)
    } - {DASH}
    if references and not several:
        parts.append(f"difference, p and verdict: against {references.pop()}")
    if scale is not None:
        parts.append(f"strips from {number(scale.low)} to {number(scale.high)}")
    return "; ".join(parts)


def _remark(rows: pd.DataFrame) -> str:
    ranks = rows["rank"].dropna()
    if ranks.empty:
        return "No method has a rank here: none is complete, or there are too few seeds."
    if len(ranks) > 1 and ranks.max() == 1:
        return "All methods share rank 1: none is found better than another one, and their order says nothing."
    return ""
