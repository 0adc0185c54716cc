"""The critical-difference diagram: average ranks over blocks, and the methods that are not told apart.

After Demšar (2006), drawn upright so that long names and many methods have room: a row a method, and beside them a bar
a group, with a dot at each of its members.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmtl_bench.report.document import p_value
from rmtl_bench.report.figures.highlights import Highlights
from rmtl_bench.report.figures.panels import Margins, axis_words, few_ticks, panels, shortened, text_width
from rmtl_bench.report.figures.report_figure import ReportFigure, slug
from rmtl_bench.report.figures.style import INK, MUTED, SIZE, drawing
from rmtl_bench.report.figures.svg import METHOD
from rmtl_bench.statistics import split_method
from rmtl_bench.statistics.friedman import Friedman

_ROW = 0.19
_BAR = 0.16
_LONGEST = 3.0


def critical_difference_figures(found: Iterable[Friedman], highlights: Highlights) -> Iterator[ReportFigure]:
    """Yield a diagram for each metric whose methods were tested; nothing where there were too few blocks for it."""
    for tested in found:
        if tested.reason or not len(tested.average_ranks):
            continue
        with drawing():
            figure = _draw(tested, highlights)
        blocks = len(tested.blocks)
        lowest = "; ".join(f"{method} {tested.average_ranks[method]:.2f}" for method in tested.methods[:8])
        note = f" {tested.note}." if tested.note else ""
        yield ReportFigure(
            slug=slug("critical-difference", tested.metric),
            section="critical-difference",
            title=f"{tested.metric} · average ranks",
            caption=(
                f"Average rank over {blocks} independent blocks, 1 is best; Friedman's p {p_value(tested.p)}. Each bar "
                f"joins methods that are not told apart; methods under no common bar are.{note}"
            ),
            alt=f"Average ranks of {len(tested.methods)} methods over {blocks} blocks by {tested.metric}: {lowest}. "
            f"Groups that are not told apart: {len(tested.groups)}.",
            figure=figure,
        )


def _draw(tested: Friedman, highlights: Highlights) -> Figure:
    groups, order = tested.groups, tested.methods
    left = min(_LONGEST, max(text_width(method) for method in order) * 1.12) + 0.15
    right = 0.3 + _BAR * len(groups)
    margins = Margins(left=left, right=min(right, 4.0), top=0.1, bottom=0.45)
    figure, (axes,) = panels([_ROW * len(order) + 0.1], 1, 1, margins, width=min(10.0, left + right + 4.5))
    ranks = {method: float(tested.average_ranks[method]) for method in order}
    _draw_ranks(axes, ranks, order, highlights)
    place = {method: y for y, method in enumerate(order)}
    width = axes.get_position().width * figure.get_figwidth()
    for number, group in enumerate(groups):
        x = 1 + (0.2 + min(_BAR, (margins.right - 0.3) / len(groups)) * number) / width
        rows = np.array(sorted(place[method] for method in group if method in place), dtype=float)
        axes.plot(
            np.full(rows.size, x),
            rows,
            color=INK,
            linewidth=1.8,
            marker="o",
            markersize=3.2,
            transform=axes.get_yaxis_transform(),
            clip_on=False,
            gid="group",
        )
    return figure


def _draw_ranks(axes: Axes, ranks: Mapping[str, float], order: Sequence[str], highlights: Highlights) -> None:
    values = np.array([ranks[method] for method in order])
    axes.set_xlim(max(0.5, values.min() - 0.5), values.max() + 0.5)
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_yticks([])
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    low = axes.get_xlim()[0]
    for y, method in enumerate(order):
        weighting = split_method(method)[1]
        look, named, tag = highlights.of(weighting), highlights.named(weighting), METHOD + method
        axes.plot([low, ranks[method]], [y, y], color=look.colour, linewidth=0.7, alpha=0.5, gid=tag)
        axes.plot([ranks[method]], [y], color=look.colour, marker=look.marker, markersize=5, gid=tag)
        axes.text(
            -0.01,
            y,
            shortened(method, _LONGEST),
            ha="right",
            va="center",
            fontsize=SIZE,
            fontweight="bold" if named else "normal",
            color=INK if named else MUTED,
            transform=axes.get_yaxis_transform(),
            gid=tag,
        )
    few_ticks(axes, 8, 0)
    axis_words(axes, "average rank")
