"""What weightings learnt besides, such as what their critics found: by epoch, by position, and at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmtl_bench.report.diagnostics import USUAL, StoredDiagnostics
from rmtl_bench.report.document import compact
from rmtl_bench.report.figures.curves import draw_band, with_bounds
from rmtl_bench.report.figures.panels import (
    Entry,
    Margins,
    axis_words,
    draw_key,
    few_ticks,
    key_height,
    panel_title,
    panels,
    shortened,
    span,
    text_width,
)
from rmtl_bench.report.figures.report_figure import ReportFigure, slug
from rmtl_bench.report.figures.style import INK, SIZE, Look, drawing, look
from rmtl_bench.report.figures.svg import METHOD

_NO_POSITION = -1
_ROW = 0.17
_LONGEST = 1.9


def critic_figures(diagnostics: StoredDiagnostics, confidence: float = 0.95) -> Iterator[ReportFigure]:
    """Yield, for every data set, what is said by epoch, by position and of the whole, where anything is."""
    usual = [*USUAL, *diagnostics.plan.metrics]
    by_epoch = diagnostics.epochs[~diagnostics.epochs["quantity"].isin(usual)]
    final = diagnostics.diagnostics
    placed = final[final["position"] != _NO_POSITION] if len(final) else final
    whole = final[final["position"] == _NO_POSITION] if len(final) else final
    for dataset in dict.fromkeys(cell.dataset for cell in diagnostics.plan.cells):
        epochs = _labelled(by_epoch, dataset, confidence)
        for stage, rows in epochs.groupby("stage", sort=False):
            yield _lines(dataset, rows, "epoch", f"{stage} by epoch", confidence)
        positions = _labelled(placed, dataset, confidence)
        if len(positions):
            yield _lines(dataset, positions, "position", "by position in the session", confidence)
        ends = _labelled(whole, dataset, confidence)
        if len(ends):
            yield _dots(dataset, ends, confidence)


def _labelled(frame: pd.DataFrame, dataset: str, confidence: float) -> pd.DataFrame:
    rows = frame[frame["dataset"] == dataset] if len(frame) else frame
    return with_bounds(rows.assign(method=rows["backbone"] + "/" + rows["weighting"]), confidence)


def _looks(rows: pd.DataFrame) -> dict[str, Look]:
    return {str(method): look(number) for number, method in enumerate(dict.fromkeys(rows["method"]))}


def _lines(dataset: str, rows: pd.DataFrame, axis: str, what: str, confidence: float) -> ReportFigure:
    with drawing():
        figure = _draw_lines(rows, axis)
    quantities = list(dict.fromkeys(rows["quantity"]))
    return ReportFigure(
        slug=slug("critics", dataset, what),
        section="critics",
        title=f"{dataset} · {what}",
        caption=(
            f"{', '.join(quantities)}: mean over seeds; bands: {100 * confidence:g} % t interval, "
            "cut where they are very wide."
        ),
        alt=f"{', '.join(quantities)} on {dataset}, {what}: {_told(rows, axis)}.",
        figure=figure,
    )


def _draw_lines(rows: pd.DataFrame, axis: str) -> Figure:
    quantities, tasks = list(dict.fromkeys(rows["quantity"])), list(dict.fromkeys(rows["task"]))
    looks = _looks(rows)
    key = [Entry(method, of) for method, of in looks.items()]
    columns = max(2, len(tasks))
    margins = Margins(head=key_height(key), top=0.3, bottom=0.4)
    figure, axes = panels([1.4] * len(quantities), columns, columns * len(quantities), margins)
    draw_key(figure, key)
    for number, made in enumerate(axes):
        row, column = divmod(number, columns)
        if column >= len(tasks):
            made.remove()
            continue
        own = rows[(rows["quantity"] == quantities[row]) & (rows["task"] == tasks[column])].sort_values(axis)
        for method, curve in own.groupby("method", sort=False):
            _draw_line(made, curve, axis, looks[str(method)], f"{METHOD}{method}")
        panel_title(made, " · ".join(part for part in (tasks[column], quantities[row]) if part))
        made.set_ylim(_limits(own))
        few_ticks(made, 8, 4, whole=True)
        axis_words(made, axis if row == len(quantities) - 1 else "")
    return figure


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Return limits for the means; a band is cut that is wider than all of them together."""
    low, high = span(rows["mean"], fence=np.inf)
    bottom, top = np.nanmin([low, *rows["low"]]), np.nanmax([high, *rows["high"]])
    return max(float(bottom), 2 * low - high), min(float(top), 2 * high - low)


def _draw_line(axes: Axes, curve: pd.DataFrame, axis: str, of: Look, tag: str) -> None:
    x, mean, low, high = (curve[name].to_numpy(dtype=float) for name in (axis, "mean", "low", "high"))
    draw_band(axes, x, low, high, of, tag, 0.13)
    axes.plot(x, mean, color=of.colour, linestyle=of.line, marker=of.marker, markersize=3, gid=tag)


def _dots(dataset: str, rows: pd.DataFrame, confidence: float) -> ReportFigure:
    with drawing():
        figure = _draw_dots(rows)
    quantities = list(dict.fromkeys(rows["quantity"]))
    return ReportFigure(
        slug=slug("critics", dataset, "after-the-training"),
        section="critics",
        title=f"{dataset} · after the training",
        caption=(
            f"{', '.join(quantities)}: mean and {100 * confidence:g} % t interval over seeds; "
            "each quantity has its own axis."
        ),
        alt=f"{', '.join(quantities)} on {dataset} after the training: {_told(rows, 'position')}.",
        figure=figure,
    )


def _draw_dots(rows: pd.DataFrame) -> Figure:
    tasks = list(dict.fromkeys(rows["task"]))
    groups = [(str(quantity), group) for quantity, group in rows.groupby("quantity", sort=False)]
    lines = [list(dict.fromkeys(group["method"])) for _, group in groups]
    columns = 2
    heights = [
        max(len(methods) for methods in lines[at : at + columns]) * _ROW + 0.1 for at in range(0, len(lines), columns)
    ]
    key = [Entry(task or "all tasks", look(number), line=False) for number, task in enumerate(tasks)]
    longest = max(text_width(method) for methods in lines for method in methods)
    margins = Margins(left=min(_LONGEST, longest) + 0.15, bottom=0.35, head=key_height(key))
    figure, axes = panels(heights, columns, len(groups), margins)
    draw_key(figure, key)
    for axis, (quantity, group), methods in zip(axes, groups, lines, strict=True):
        _draw_quantity(axis, group, methods, tasks)
        panel_title(axis, quantity)
    return figure


def _draw_quantity(axes: Axes, rows: pd.DataFrame, methods: Sequence[str], tasks: Sequence[str]) -> None:
    axes.set_ylim(len(methods) - 0.3, -0.7)
    axes.set_yticks([])
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    place = {method: y for y, method in enumerate(methods)}
    offset = 0.3 / max(1, len(tasks) - 1)
    for row in rows.to_dict("records"):
        number = tasks.index(row["task"])
        of, tag = look(number), METHOD + row["method"]
        y = place[row["method"]] + (number * offset - 0.15 if len(tasks) > 1 else 0.0)
        bounds = np.array([row["low"], row["mean"], row["high"]], dtype=float)
        axes.plot(
            bounds,
            np.full(3, y),
            color=of.colour,
            linewidth=1.1,
            marker=of.marker,
            markevery=[1],
            markersize=4,
            gid=tag,
        )
    for method, y in place.items():
        text = shortened(method, _LONGEST)
        transform = axes.get_yaxis_transform()
        axes.text(
            -0.02, y, text, ha="right", va="center", fontsize=SIZE, color=INK, transform=transform, gid=METHOD + method
        )
    few_ticks(axes, 5, 0)


def _told(rows: pd.DataFrame, axis: str) -> str:
    last = (
        rows.sort_values(axis, kind="stable").groupby(["method", "quantity", "task"], sort=False).last().reset_index()
    )
    at = "" if (rows[axis] == _NO_POSITION).all() else "at the last " + axis + ", "
    told = [f"{r['method']} {r['quantity']} {r['task']} {compact(r['mean'], 3)}" for r in last.to_dict("records")]
    return at + "; ".join(told[:12])
