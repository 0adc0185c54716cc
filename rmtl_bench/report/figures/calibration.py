"""Reliability diagrams: how often the label was there, against how often it was said to be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from rmtl_bench.report.document import compact
from rmtl_bench.report.figures.highlights import Highlights
from rmtl_bench.report.figures.panels import (
    WIDTH,
    Margins,
    axis_words,
    draw_key,
    entries,
    few_ticks,
    key_height,
    panel_title,
    panels,
    plain,
    rows_of,
)
from rmtl_bench.report.figures.report_figure import ReportFigure, slug
from rmtl_bench.report.figures.style import MUTED, drawing
from rmtl_bench.report.figures.svg import METHOD

_HEIGHT, _STRIP, _NARROWEST = 2.2, 0.42, 5.0
# Where even the fullest bin has fewer, a linear diagram is a dot in its corner.
_RARE = 0.15
_TICKS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def calibration_figures(bins: pd.DataFrame, highlights: Highlights) -> Iterator[ReportFigure]:
    """Yield a diagram for every data set and task, a panel a backbone, of the methods in colour.

    ``bins``: the columns of :func:`~rmtl_bench.store.calibration.reliability`.
    """
    named = bins[bins["weighting"].isin(list(highlights.looks))] if len(bins) else bins
    for (dataset, task), rows in named.groupby(["dataset", "task"], sort=True):
        rare = float(rows[["mean_score", "mean_label"]].to_numpy(dtype=float).max()) < _RARE
        with drawing():
            figure = _draw(rows, highlights, rare)
        yield ReportFigure(
            slug=slug("calibration", str(dataset), str(task)),
            section="calibration",
            title=f"{dataset} · {task} · calibration",
            caption=(
                "Test rows in bins of nearly equal mass by the predicted probability, all seeds of a method pooled: "
                "how often the label was there, against the mean prediction; dashed: as predicted. Below: the rows a "
                "bin." + (" Both axes are logarithmic; bins without any such label are left out." if rare else "")
            ),
            alt=f"Calibration on {dataset}, {task}: {_told(rows)}.",
            figure=figure,
        )


def _draw(rows: pd.DataFrame, highlights: Highlights, rare: bool) -> Figure:
    backbones = sorted(set(rows["backbone"]))
    columns = min(3, len(backbones))
    key, width = entries(highlights, rows["weighting"]), max(_NARROWEST, WIDTH * columns / 3)
    margins = Margins(top=0.3, bottom=0.55 + _STRIP, head=key_height(key, width))
    figure, axes = panels([_HEIGHT] * rows_of(len(backbones), columns), columns, len(backbones), margins, width)
    draw_key(figure, key)
    shown = rows[(rows["mean_label"] > 0) & (rows["mean_score"] > 0)] if rare else rows
    values = shown[["mean_score", "mean_label"]].to_numpy(dtype=float)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    limits = (low / 1.3, high * 1.3) if rare else (min(0.0, low), min(1.02, high * 1.06))
    for axis, backbone in zip(axes, backbones, strict=True):
        strip = _strip(figure, axis)
        for part in (axis, strip):
            if rare:
                part.set_xscale("log")
        if rare:
            axis.set_yscale("log")
        axis.set(xlim=limits, ylim=limits)
        axis.axline((limits[0], limits[0]), (limits[1], limits[1]), color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
        strip.set_xlim(limits)
        _draw_backbone(axis, strip, shown[shown["backbone"] == backbone], highlights)
        _ticks(axis, strip, rare)
        panel_title(axis, backbone)
        first = axis.get_position().x0 < 0.2
        axis_words(axis, "", "observed rate" if first else "")
        axis_words(strip, "mean prediction", "rows" if first else "")
    return figure


def _strip(figure: Figure, axes: Axes) -> Axes:
    box, height = axes.get_position(), figure.get_figheight()
    made = figure.add_axes((box.x0, box.y0 - (_STRIP + 0.1) / height, box.width, _STRIP / height))
    made.patch.set_visible(False)
    return made


def _ticks(axes: Axes, strip: Axes, rare: bool) -> None:
    axes.tick_params(labelbottom=False)
    if rare:
        for axis in (axes.xaxis, axes.yaxis, strip.xaxis):
            axis.set_major_locator(FixedLocator(_TICKS))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(plain)
    few_ticks(axes)
    few_ticks(strip, 5, 2)
    strip.set_ylim(bottom=0)


def _draw_backbone(axes: Axes, strip: Axes, rows: pd.DataFrame, highlights: Highlights) -> None:
    for weighting, of in highlights.looks.items():
        own = rows[rows["weighting"] == weighting].sort_values("bin")
        if own.empty:
            continue
        tag = f"{METHOD}{own['backbone'].iloc[0]}/{weighting}"
        score, label, count = (own[name].to_numpy(dtype=float) for name in ("mean_score", "mean_label", "n"))
        axes.plot(
            score,
            label,
            color=of.colour,
            linestyle=of.line,
            linewidth=1,
            marker=of.marker,
            markersize=3.2,
            gid=tag,
        )
        x = np.repeat(score, 3)
        stems = np.column_stack([np.zeros_like(count), count, np.full_like(count, np.nan)]).ravel()
        strip.plot(x, stems, linewidth=0.8, alpha=0.6, color=of.colour, gid=tag)


def _told(rows: pd.DataFrame) -> str:
    weighted = rows.assign(score=rows["mean_score"] * rows["n"], label=rows["mean_label"] * rows["n"])
    sums = weighted.groupby(["backbone", "weighting"], sort=False)[["n", "score", "label"]].sum()
    told = [
        f"{backbone}/{weighting} predicts {compact(row['score'] / row['n'])} on average where "
        f"{compact(row['label'] / row['n'])} was observed"
        for (backbone, weighting), row in sums.iterrows()
    ]
    return "; ".join(told[:12])
