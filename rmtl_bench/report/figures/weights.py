"""The weights that were used, by epoch: a panel a weighting, a line a task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmtl_bench.report.diagnostics import StoredDiagnostics, varying_weights
from rmtl_bench.report.document import compact
from rmtl_bench.report.figures.curves import draw_band
from rmtl_bench.report.figures.highlights import Highlights
from rmtl_bench.report.figures.panels import (
    Entry,
    Margins,
    draw_key,
    few_ticks,
    key_height,
    panel_title,
    panels,
    plain,
    rows_of,
)
from rmtl_bench.report.figures.report_figure import ReportFigure, slug
from rmtl_bench.report.figures.style import GRID, MUTED, SIZE, drawing, look
from rmtl_bench.report.figures.svg import METHOD
from rmtl_bench.report.figures.timeline import broken, on_timeline, stage_table

_COLUMNS = 5
_HEIGHT = 1.0
_QUANTILES = ("q05", "q25", "q75", "q95")
# Between weights that far apart, a linear axis shows the largest alone.
_DECADES = 30.0


def weight_figures(diagnostics: StoredDiagnostics, highlights: Highlights) -> Iterator[ReportFigure]:
    """Yield a figure for every data set and backbone on which some weighting's weights vary."""
    varying = varying_weights(diagnostics.weights)
    stages = stage_table([diagnostics.epochs, diagnostics.weights])
    for (dataset, backbone), rows in varying.groupby(["dataset", "backbone"], sort=True):
        weightings = _ordered(list(dict.fromkeys(rows["weighting"])), highlights)
        tasks = list(dict.fromkeys(rows["task"]))
        placed = on_timeline(rows, stages)
        with drawing():
            figure = _draw(placed, str(backbone), weightings, tasks)
        yield ReportFigure(
            slug=slug("weights", str(dataset), str(backbone)),
            section="weights",
            title=f"{dataset} · {backbone} · weights by epoch",
            caption=(
                "The weight of each task's loss by epoch: mean over the steps and rows of an epoch and over seeds; "
                "dark band: 25 % to 75 % quantile, light band: 5 % to 95 %. Dotted: another stage begins. Each panel "
                "has its own axes. Weightings whose weights are one and the same for everything are left out."
            ),
            alt=f"Weights of {len(weightings)} weightings on {dataset}, {backbone}, by epoch: "
            f"{_told(placed, weightings)}.",
            figure=figure,
        )


def _ordered(weightings: Sequence[str], highlights: Highlights) -> list[str]:
    return sorted(weightings, key=lambda weighting: not highlights.named(weighting))


def _draw(rows: pd.DataFrame, backbone: str, weightings: Sequence[str], tasks: Sequence[str]) -> Figure:
    key = [Entry(task, look(number)) for number, task in enumerate(tasks)]
    columns = min(_COLUMNS, max(2, len(weightings)))
    height = _HEIGHT if len(weightings) > 2 else 1.8 * _HEIGHT
    margins = Margins(left=0.52, right=0.1, top=0.26, bottom=0.34, head=key_height(key))
    figure, axes = panels([height] * rows_of(len(weightings), columns), columns, len(weightings), margins)
    draw_key(figure, key)
    for number, (axis, weighting) in enumerate(zip(axes, weightings, strict=True)):
        own = rows[rows["weighting"] == weighting]
        _draw_weighting(axis, own, f"{METHOD}{backbone}/{weighting}", tasks)
        panel_title(axis, weighting, 3)
        if number + columns >= len(weightings):
            axis.annotate(
                "epoch", (1, 0), (0, -19), "axes fraction", "offset points", ha="right", fontsize=SIZE - 1, color=MUTED
            )
    return figure


def _draw_weighting(axes: Axes, rows: pd.DataFrame, tag: str, tasks: Sequence[str]) -> None:
    values = rows[["mean", *_QUANTILES]].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() > _DECADES * values.min():
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(plain)
    for number, task in enumerate(tasks):
        own = rows[rows["task"] == task]
        if own.empty:
            continue
        line = broken(own, ("x", "mean", *_QUANTILES))
        of = look(number)
        draw_band(axes, line["x"], line["q05"], line["q95"], of, tag, 0.14)
        draw_band(axes, line["x"], line["q25"], line["q75"], of, tag, 0.22)
        axes.plot(
            line["x"], line["mean"], color=of.colour, linestyle=of.line, marker=of.marker, markersize=2.4, gid=tag
        )
    for start in sorted(set(rows["start"]) - {0}):
        axes.axvline(start + 0.5, color=MUTED, linewidth=0.6, linestyle=":", zorder=1)
    axes.set_xlim(0.6, float(rows["x"].max()) + 0.4)
    axes.grid(True, color=GRID)
    few_ticks(axes, 4, 3, whole=True)


def _told(rows: pd.DataFrame, weightings: Sequence[str]) -> str:
    last = rows.groupby(["weighting", "task"], sort=False).last()["mean"]
    told = [
        f"{weighting} ends at "
        + " and ".join(f"{compact(float(value), 3)} for {task}" for task, value in last[weighting].items())
        for weighting in weightings[:8]
    ]
    return "; ".join(told)
