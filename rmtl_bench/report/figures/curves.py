"""Learning curves: the validation metrics by epoch, a panel a backbone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmtl_bench.report.diagnostics import StoredDiagnostics
from rmtl_bench.report.document import compact
from rmtl_bench.report.figures.highlights import Highlights
from rmtl_bench.report.figures.panels import (
    FloatArray,
    Margins,
    axis_words,
    draw_key,
    entries,
    few_ticks,
    key_height,
    panel_title,
    panels,
    rows_of,
    span,
)
from rmtl_bench.report.figures.report_figure import ReportFigure, slug
from rmtl_bench.report.figures.stage_lanes import draw_lanes, lane_plans, lanes_height
from rmtl_bench.report.figures.style import Look, drawing
from rmtl_bench.report.figures.svg import METHOD
from rmtl_bench.report.figures.timeline import broken, on_timeline, stage_table
from rmtl_bench.statistics.intervals import half_width

_HEIGHT = 2.2


def curve_figures(
    diagnostics: StoredDiagnostics, highlights: Highlights, metrics: Sequence[str] | None, confidence: float = 0.95
) -> Iterator[ReportFigure]:
    """Yield a figure for every data set, task and metric that was followed on the validation split.

    Where none of the ``metrics`` was followed, all that were are shown.
    """
    followed = [m for m in diagnostics.plan.metrics if m in set(diagnostics.epochs["quantity"])]
    asked = [m for m in followed if metrics is None or m in metrics] or followed
    stages = stage_table([diagnostics.epochs])
    rows = diagnostics.epochs[diagnostics.epochs["quantity"].isin(asked)]
    for (dataset, task), part in rows.groupby(["dataset", "task"], sort=True):
        for metric in (m for m in asked if m in set(part["quantity"])):
            placed = on_timeline(part[part["quantity"] == metric], stages)
            with drawing():
                figure = _draw(with_bounds(placed, confidence), stages, highlights, metric)
            yield ReportFigure(
                slug=slug("curves", str(dataset), str(task), metric),
                section="curves",
                title=f"{dataset} · {task} · {metric} by epoch",
                caption=_caption(confidence, highlights),
                alt=f"{metric} on the validation split of {dataset}, {task}, by epoch: {_told(placed, highlights)}.",
                figure=figure,
            )


def with_bounds(rows: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return rows of ``mean``, ``sd`` and ``n`` with the bounds ``low`` and ``high`` of the t interval.

    The bounds are NaN for one seed.
    """
    n, sd = (rows[name].to_numpy(dtype=float) for name in ("n", "sd"))
    width = half_width(n, sd, confidence)
    return rows.assign(low=rows["mean"] - width, high=rows["mean"] + width)


def draw_band(axes: Axes, x: FloatArray, low: FloatArray, high: FloatArray, look: Look, tag: str, alpha: float) -> None:
    """Draw the band between two curves where both are finite; nothing where they never are."""
    if (np.isfinite(low) & np.isfinite(high)).any():
        axes.fill_between(x, low, high, color=look.colour, alpha=alpha, linewidth=0, gid=tag)


def _draw(rows: pd.DataFrame, stages: pd.DataFrame, highlights: Highlights, metric: str) -> Figure:
    backbones = sorted(set(rows["backbone"]))
    plans = {backbone: lane_plans(stages, str(rows["dataset"].iloc[0]), backbone, highlights) for backbone in backbones}
    columns = min(3, len(backbones))
    key = entries(highlights, rows["weighting"])
    margins = Margins(top=0.3 + lanes_height(plans.values()), head=key_height(key))
    height = _HEIGHT if columns > 1 else 1.3 * _HEIGHT
    figure, axes = panels([height] * rows_of(len(backbones), columns), columns, len(backbones), margins)
    draw_key(figure, key)
    limits = span(rows["mean"])
    last = float(rows["x"].max())
    for axis, backbone in zip(axes, backbones, strict=True):
        axis.set_xlim(0.7, last + 0.3)
        axis.set_ylim(limits)
        for weighting, curve in _others_first(rows[rows["backbone"] == backbone], highlights):
            _draw_curve(axis, curve, f"{METHOD}{backbone}/{weighting}", weighting, highlights)
        lift = draw_lanes(axis, plans[backbone])
        panel_title(axis, backbone, 4 + 72 * lift)
        few_ticks(axis, 6, 5, whole=True)
        axis_words(axis, "epoch", metric if axis.get_position().x0 < 0.2 else "")
    return figure


def _others_first(rows: pd.DataFrame, highlights: Highlights) -> list[tuple[str, pd.DataFrame]]:
    found = [(str(weighting), curve) for weighting, curve in rows.groupby("weighting", sort=False)]
    return sorted(found, key=lambda item: highlights.named(item[0]))


def _draw_curve(axes: Axes, curve: pd.DataFrame, tag: str, weighting: str, highlights: Highlights) -> None:
    line = broken(curve, ("x", "mean", "low", "high"))
    look = highlights.of(weighting)
    if not highlights.named(weighting):
        axes.plot(line["x"], line["mean"], color=look.colour, alpha=0.4, linewidth=0.6, gid=tag)
        return
    draw_band(axes, line["x"], line["low"], line["high"], look, tag, 0.13)
    axes.plot(line["x"], line["mean"], color=look.colour, linestyle=look.line, gid=tag, zorder=3)
    # Where a line is alone between two breaks, its marker is all there is to see of it.
    ends = line["x"].size - 1 if np.isfinite(line["x"]).any() else 0
    axes.plot(
        line["x"][[ends]], line["mean"][[ends]], color=look.colour, marker=look.marker, markersize=4, gid=tag, zorder=3
    )


def _told(rows: pd.DataFrame, highlights: Highlights) -> str:
    last = rows.groupby(["backbone", "weighting"], sort=False).last().reset_index()
    named = last[last["weighting"].isin(list(highlights.looks))]
    ends = [
        f"{r['backbone']}/{r['weighting']} ends at {compact(r['mean'])} after {r['x']:.0f} epochs"
        for r in named.to_dict("records")
    ]
    return "; ".join([f"{len(last)} methods", *ends[:12]])


def _caption(confidence: float, highlights: Highlights) -> str:
    others = " Thin grey lines: all other methods." if highlights.others else ""
    return (
        f"Mean over seeds by epoch, on the validation split; bands: {100 * confidence:g} % t interval. The stages of a "
        "training stand one after another, as the bars above the panels say, and lines break between them; later "
        f"epochs have fewer seeds where trainings stopped early.{others}"
    )
