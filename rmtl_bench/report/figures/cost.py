"""Quality against cost, and the methods that no cheaper one reaches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from rmtl_bench.report.document import chosen, number
from rmtl_bench.report.figures.cells import is_gap
from rmtl_bench.report.figures.highlights import Highlights
from rmtl_bench.report.figures.panels import (
    FloatArray,
    Margins,
    axis_words,
    draw_key,
    entries,
    few_ticks,
    inches,
    key_height,
    panel_title,
    panels,
    plain,
    rows_of,
    shortened,
    span,
)
from rmtl_bench.report.figures.report_figure import ReportFigure, slug
from rmtl_bench.report.figures.style import INK, SIZE, drawing
from rmtl_bench.report.figures.svg import METHOD
from rmtl_bench.report.leaderboard import Leaderboard

_SMALL = SIZE - 1
_COSTS = {"seconds_a_step": "seconds a step", "parameters": "parameters"}
_LISTED = 14
_LIST_LINE = 0.135


def cost_figures(board: Leaderboard, highlights: Highlights, metrics: Sequence[str] | None) -> Iterator[ReportFigure]:
    """Yield the figures of every data set and metric that is shown, a panel a task; nothing where no cost is known.

    One against the median seconds of a training step, and one against the number of parameters where methods differ
    in it, or where no run says how long it took.
    """
    directions = board.settings.higher_is_better
    costs = board.costs[["dataset", "method", *_COSTS]].astype(dict.fromkeys(_COSTS, float))
    rows = chosen(board.rows, metrics).merge(costs, on=["dataset", "method"], how="inner")
    rows = rows[~rows["metric"].isin([metric for metric in directions if is_gap(metric, directions)])]
    for dataset, part in rows.groupby("dataset", sort=True):
        for metric, of_metric in part.groupby("metric", sort=False):
            scored = of_metric[np.isfinite(of_metric["mean"])]
            for cost in _worth_drawing(scored):
                there = scored[scored[cost] > 0]
                yield _figure(str(dataset), str(metric), cost, there, directions[str(metric)], highlights, board)


def _worth_drawing(rows: pd.DataFrame) -> list[str]:
    known = [cost for cost in _COSTS if (rows[cost] > 0).any()]
    return [cost for cost in known if cost == known[0] or rows.loc[rows[cost] > 0, cost].nunique() > 1]


def front(cost: FloatArray, quality: FloatArray) -> list[int]:
    """Return the points that none reaches at the same or a lower cost, cheapest first; the higher quality is better."""
    order = np.lexsort((-quality, cost))
    best = np.maximum.accumulate(quality[order])
    before = np.concatenate([[-np.inf], best[:-1]])
    return [int(index) for index in order[quality[order] > before]]


def _figure(
    dataset: str, metric: str, cost: str, rows: pd.DataFrame, higher: bool, highlights: Highlights, board: Leaderboard
) -> ReportFigure:
    fronts = {}
    for task, part in rows.groupby("task", sort=True):
        quality = part["mean"].to_numpy(dtype=float) * (1 if higher else -1)
        fronts[str(task)] = part.iloc[front(part[cost].to_numpy(dtype=float), quality)]
    with drawing():
        figure = _draw(rows, fronts, metric, cost, highlights)
    told = "; ".join(
        f"{task}: "
        + ", ".join(f"{r['method']} {number(r['mean'])} at {r[cost]:.3g}" for r in ends.to_dict("records")[:8])
        for task, ends in fronts.items()
    )
    return ReportFigure(
        slug=slug("cost", dataset, metric, _COSTS[cost]),
        section="cost",
        title=f"{dataset} · {metric} against {_COSTS[cost]}",
        caption=(
            f"Mean and {100 * board.settings.confidence:g} % t interval over seeds against the median {_COSTS[cost]} "
            f"on a logarithmic axis, the interval of the methods in colour and on the line alone; "
            f"{'higher' if higher else 'lower'} is better. The line joins the methods whose mean "
            "no method of the same or a lower cost reaches, numbered in the list below; it knows nothing of noise: "
            "who is better than whom is for the tests to say."
        ),
        alt=f"{metric} against {_COSTS[cost]} on {dataset}; no cheaper method reaches these, cheapest first. {told}.",
        figure=figure,
    )


def _draw(
    rows: pd.DataFrame, fronts: dict[str, pd.DataFrame], metric: str, cost: str, highlights: Highlights
) -> Figure:
    columns = min(2, len(fronts))
    listed = min(_LISTED, max(len(ends) for ends in fronts.values()))
    key = entries(highlights, rows["weighting"], line=False)
    margins = Margins(bottom=0.5 + _LIST_LINE * listed, head=key_height(key))
    figure, axes = panels([2.8] * rows_of(len(fronts), columns), columns, len(fronts), margins)
    draw_key(figure, key)
    for axis, (task, ends) in zip(axes, fronts.items(), strict=True):
        own = rows[rows["task"] == task]
        axis.set_xscale("log")
        low, high = span(own["mean"])
        axis.set_ylim(low, high + 0.08 * (high - low))
        best = set(ends["method"])
        for row in sorted(own.to_dict("records"), key=lambda row: highlights.named(row["weighting"])):
            _draw_method(axis, row, cost, highlights, row["method"] in best)
        _draw_front(axis, ends, cost)
        panel_title(axis, task)
        _log_ticks(axis, own[cost].to_numpy(dtype=float))
        few_ticks(axis)
        axis_words(axis, _COSTS[cost], metric)
    return figure


def _draw_method(axes: Axes, row: dict[str, float], cost: str, highlights: Highlights, best: bool) -> None:
    weighting = str(row["weighting"])
    look, named = highlights.of(weighting), highlights.named(weighting)
    # The intervals of a hundred methods would hide one another.
    bounds = ("low", "mean", "high") if named or best else ("mean", "mean", "mean")
    axes.plot(
        np.full(3, row[cost]),
        np.array([row[name] for name in bounds], dtype=float),
        color=look.colour,
        linewidth=1.0 if named else 0.5,
        marker=look.marker,
        markevery=[1],
        markersize=4.6 if named else 3.2,
        alpha=1.0 if named else 0.45,
        gid=METHOD + str(row["method"]),
    )


def _draw_front(axes: Axes, ends: pd.DataFrame, cost: str) -> None:
    x, y = (ends[name].to_numpy(dtype=float) for name in (cost, "mean"))
    axes.plot(x, y, color=INK, linewidth=0.9, linestyle=(0, (3, 2)), drawstyle="steps-post", zorder=1.5, gid="front")
    room = inches(axes).width
    for position, (row, lift) in enumerate(zip(ends.to_dict("records")[:_LISTED], _lifts(axes, x, y), strict=False)):
        axes.annotate(
            str(position + 1),
            (x[position], y[position]),
            xytext=(-2, 4 + lift),
            textcoords="offset points",
            ha="right",
            fontsize=_SMALL,
            fontweight="bold",
        )
        text = f"{position + 1}  {number(row['mean'])} at {row[cost]:.3g}  {row['method']}"
        axes.annotate(
            shortened(text, room, _SMALL),
            (0, 0),
            xycoords="axes fraction",
            xytext=(0, -30 - 72 * _LIST_LINE * position),
            textcoords="offset points",
            va="top",
            fontsize=_SMALL,
            annotation_clip=False,
            gid=METHOD + row["method"],
        )


def _lifts(axes: Axes, x: FloatArray, y: FloatArray) -> list[float]:
    """Return how many points higher each number stands so that it does not cover the one before."""
    places = axes.transData.transform(np.column_stack([x, y])) * 72 / axes.figure.dpi
    lifts = [0.0]
    for before, place in itertools.pairwise(places):
        across, up = place[0] - before[0], place[1] - before[1] - lifts[-1]
        lifts.append(_SMALL - up if across < _SMALL and up < _SMALL else 0.0)
    return lifts


def _log_ticks(axes: Axes, values: FloatArray) -> None:
    """Put ticks where a log axis has values, even where they span less than a decade."""
    decades = np.log10(values.max() / values.min())
    between = (1.0,) if decades > 2.5 else (1.0, 2.0, 5.0) if decades > 0.8 else tuple(np.arange(1.0, 10.0))
    axes.xaxis.set_major_locator(LogLocator(subs=between))
    axes.xaxis.set_major_formatter(plain)
    axes.xaxis.set_minor_formatter(NullFormatter())
