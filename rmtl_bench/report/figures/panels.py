"""Panels on a page, placed in inches: no layout is solved for, so that it is fast and the same everywhere."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from rmtl_bench.report.figures.highlights import OTHER, Highlights
from rmtl_bench.report.figures.style import INK, MUTED, SIZE, Look

WIDTH = 10.0
"""The width of a figure, in inches."""

FloatArray = NDArray[np.float64]

_EM = 0.6
_LINE = 0.17


class Margins(NamedTuple):
    """Space around each panel, in inches; ``head`` is left once, above them all."""

    left: float = 0.6
    right: float = 0.15
    top: float = 0.3
    bottom: float = 0.45
    head: float = 0.05


def panels(
    heights: Sequence[float], columns: int, count: int, margins: Margins, width: float = WIDTH
) -> tuple[Figure, list[Axes]]:
    """Return a figure with ``count`` panels in rows of these ``heights``, without their margins."""
    rows = len(heights)
    total = margins.head + sum(heights) + rows * (margins.top + margins.bottom)
    figure = Figure(figsize=(width, total))
    figure.patch.set_visible(False)
    inner = width / columns - margins.left - margins.right
    axes = []
    for number in range(count):
        row, column = divmod(number, columns)
        above = margins.head + sum(heights[: row + 1]) + row * (margins.top + margins.bottom) + margins.top
        left = column * width / columns + margins.left
        box = (left / width, 1 - above / total, inner / width, heights[row] / total)
        made = figure.add_axes(box)
        made.patch.set_visible(False)
        axes.append(made)
    return figure, axes


class Box(NamedTuple):
    """The place of a panel, in inches from the left of its figure."""

    left: float
    width: float
    height: float


def inches(axes: Axes) -> Box:
    """Return where a panel stands and how large it is."""
    return Box(*(float(part) / axes.figure.dpi for part in (axes.bbox.x0, axes.bbox.width, axes.bbox.height)))


def few_ticks(axes: Axes, x: int = 5, y: int = 5, *, whole: bool = False) -> None:
    """Put at most about so many ticks on linear axes, none set for 0; ``whole``: whole numbers alone on x."""
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(x, integer=whole))
    if y and axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(y))


def panel_title(axes: Axes, text: str, lift: float = 4.0) -> None:
    """Write the title of a panel above it, shortened to its width."""
    axes.annotate(
        shortened(text, inches(axes).width, SIZE),
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, lift),
        textcoords="offset points",
        va="bottom",
        fontweight="bold",
        annotation_clip=False,
    )


def text_width(text: str, size: float = SIZE) -> float:
    """Return about how wide a text is, in inches; no text is drawn for it."""
    cells = sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
    return cells * _EM * size / 72


def shortened(text: str, room: float, size: float = SIZE) -> str:
    """Return a text cut to a width in inches; a number at its end is kept, for it may be all that tells it apart."""
    if text_width(text, size) <= room:
        return text
    kept = text.rstrip("0123456789")
    tail = "…" + text[len(kept) :]
    while kept and text_width(kept + tail, size) > room:
        kept = kept[:-1]
    return kept + tail


def span(values: Iterable[float], fence: float = 3.0) -> tuple[float, float]:
    """Return limits around the finite values, with a little air, that a few far ones do not stretch.

    A value further than ``fence`` times the middle 80 % from the median is far. (0, 1) where there are no values.
    """
    array = np.asarray(list(values), dtype=float)
    array = array[np.isfinite(array)]
    if not array.size:
        return 0.0, 1.0
    low, middle, high = np.quantile(array, (0.1, 0.5, 0.9))
    if high > low:
        reach = fence * (high - low)
        array = array[np.abs(array - middle) <= reach]
    low, high = float(array.min()), float(array.max())
    air = 0.04 * (high - low) or max(abs(high), 1e-3) * 0.01
    return low - air, high + air


class Entry(NamedTuple):
    """One entry of a key: a text and the look it explains."""

    text: str
    look: Look
    line: bool = True
    marker: bool = True


def entries(highlights: Highlights, present: Iterable[str], *, line: bool = True) -> list[Entry]:
    """Return the key of the weightings in colour that are present, and of the others; ``line``: as lines."""
    there = set(present)
    key = [
        Entry(name + (" (reference)" if name in highlights.references else ""), look, line)
        for name, look in highlights.looks.items()
        if name in there
    ]
    if there - set(highlights.looks):
        key.append(Entry("other methods", OTHER, line, not line))
    return key


def key_height(key: Sequence[Entry], width: float = WIDTH) -> float:
    """Return the height that a key needs, in inches."""
    return _LINE * (max((row for _, row, _ in _placed(key, width)), default=-1) + 1) + 0.05


def plain(value: float, _: object) -> str:
    """Write a tick in digits, as a formatter of a logarithmic axis."""
    return f"{value:g}"


def draw_key(figure: Figure, key: Sequence[Entry]) -> None:
    """Draw a key along the top of a figure, in as many lines as it takes."""
    width, height = figure.get_size_inches()
    for entry, row, x in _placed(key, width):
        y = height - _LINE * (row + 0.6)
        colour, style, marker = entry.look
        handle = Line2D(
            np.array([x, x + 0.14, x + 0.28]) / width,
            np.full(3, y / height),
            color=colour,
            linestyle=style if entry.line else "none",
            marker=marker if entry.marker else "none",
            markevery=[1],
            markersize=4,
            transform=figure.transFigure,
        )
        figure.add_artist(handle)
        figure.text((x + 0.35) / width, y / height, shortened(entry.text, width - x - 0.4), va="center", color=INK)


def _placed(key: Sequence[Entry], width: float) -> list[tuple[Entry, int, float]]:
    placed, row, x = [], 0, 0.05
    for entry in key:
        needed = 0.55 + text_width(entry.text)
        if x > 0.05 and x + needed > width:
            row, x = row + 1, 0.05
        placed.append((entry, row, x))
        x += needed
    return placed


def rows_of(count: int, columns: int) -> int:
    """Return how many rows so many panels take."""
    return math.ceil(count / columns)


def axis_words(axes: Axes, x: str = "", y: str = "") -> None:
    """Label the axes."""
    axes.set_xlabel(x, labelpad=2, color=MUTED)
    axes.set_ylabel(y, labelpad=3, color=MUTED)
