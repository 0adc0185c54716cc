"""A forest of methods: each with its mean, the interval of its mean and its seeds, grouped by backbone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

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
    rows_of,
    shortened,
    span,
    text_width,
)
from rmtl_bench.report.figures.style import INK, MUTED, SIZE
from rmtl_bench.report.figures.svg import METHOD

_ROW = 0.145
_SMALL = SIZE - 1
_LONGEST = 1.75
_BOLD = 1.12
_SIGNS = {"better": "▲", "worse": "▼", "equivalent": "="}


def forest(
    rows: pd.DataFrame, seeds: pd.DataFrame, higher: bool, highlights: Highlights, label: str, zero: str = ""
) -> Figure:
    """Draw the rows of a leaderboard's cell, a panel a backbone, the best mean on top.

    ``seeds``: the cell's scores, with ``method`` and ``value``. ``label`` names the axis. ``zero`` names a line at 0.
    """
    backbones = sorted(set(rows["backbone"]))
    groups = [_sorted(rows[rows["backbone"] == backbone], higher) for backbone in backbones]
    columns = min(3, len(backbones))
    tallest = [
        max(len(group) for group in groups[row * columns : (row + 1) * columns]) * _ROW + 0.1
        for row in range(rows_of(len(groups), columns))
    ]
    names = [_name(record) for record in rows.to_dict("records")]
    key = entries(highlights, rows["weighting"], line=False)
    left = min(_LONGEST, max(text_width(name, _SMALL) for name in names) * _BOLD) + 0.12
    figure, axes = panels(tallest, columns, len(groups), Margins(left=left, right=0.25, head=key_height(key)))
    draw_key(figure, key)
    by_method = {str(method): group["value"].to_numpy(dtype=float) for method, group in seeds.groupby("method")}
    limits = _limits(rows, by_method, bool(zero))
    for axis, backbone, group in zip(axes, backbones, groups, strict=True):
        axis.set_xlim(limits)
        _draw_backbone(axis, group, by_method, highlights)
        _draw_reference(axis, group, rows)
        if zero:
            axis.axvline(0.0, color=INK, linewidth=0.8)
            axis.annotate(zero, (0.0, 1), xycoords=("data", "axes fraction"), fontsize=_SMALL, ha="center", va="bottom")
        panel_title(axis, backbone, 12.0 if zero else 4.0)
        axis_words(axis, label)
    return figure


def outside(rows: pd.DataFrame, seeds: pd.DataFrame, zero: bool = False) -> int:
    """Return the number of scores that lie beyond the axis and are drawn at its end."""
    low, high = _limits(rows, {"": seeds["value"].to_numpy(dtype=float)}, zero)
    values = seeds["value"].to_numpy(dtype=float)
    return int(((values < low) | (values > high)).sum())


def _sorted(rows: pd.DataFrame, higher: bool) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = rows.sort_values("mean", ascending=not higher, kind="stable").to_dict("records")
    return found


def _name(row: Mapping[str, Any]) -> str:
    count = f" ({row['n']}/{row['expected']})" if row["n"] < row["expected"] else ""
    return str(row["weighting"]) + count


def _limits(rows: pd.DataFrame, seeds: Mapping[str, FloatArray], zero: bool) -> tuple[float, float]:
    values = np.concatenate([*seeds.values(), rows["mean"].to_numpy(dtype=float), [0.0] if zero else []])
    # An interval of few seeds may be many times as wide as they lie apart: it is cut at the end of the axis.
    low, high = span(values)
    reach = 0.25 * (high - low)
    low_end, high_end = (np.nan_to_num(bound, nan=0.5 * (low + high)) for bound in (rows["low"], rows["high"]))
    return max(low - reach, min(low, float(low_end.min()))), min(high + reach, max(high, float(high_end.max())))


def _draw_backbone(
    axes: Axes, group: Sequence[Mapping[str, Any]], seeds: Mapping[str, FloatArray], highlights: Highlights
) -> None:
    low, high = axes.get_xlim()
    axes.set_ylim(len(group) - 0.3, -0.7)
    axes.grid(False, axis="y")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    left = inches(axes).left
    for y, row in enumerate(group):
        look, named = highlights.of(row["weighting"]), highlights.named(row["weighting"])
        tag = METHOD + row["method"]
        own = seeds.get(row["method"], np.empty(0))
        _add(
            axes,
            np.clip(own, low, high),
            y,
            linestyle="none",
            marker="o",
            markersize=2.6,
            markeredgewidth=0,
            color=look.colour,
            alpha=0.45,
            gid=tag,
        )
        if np.isfinite(row["mean"]):
            interval = np.array([row["low"], row["mean"], row["high"]], dtype=float)
            _add(
                axes,
                np.clip(interval, low, high),
                y,
                color=look.colour,
                linewidth=1.2,
                marker="<" if row["mean"] < low else ">" if row["mean"] > high else look.marker,
                markevery=[1],
                markersize=4.2,
                alpha=1.0 if named else 0.75,
                gid=tag,
            )
        _write(axes, y, row, min(_LONGEST, left - 0.1), named)
    few_ticks(axes, 4, 0)


def _add(axes: Axes, x: FloatArray, y: int, **style: Any) -> None:
    # The limits are set, and Axes.plot would work them out anew for every line.
    axes.add_artist(Line2D(x, np.full(x.size, float(y)), clip_on=False, **style))


def _write(axes: Axes, y: int, row: Mapping[str, Any], room: float, named: bool) -> None:
    transform = axes.get_yaxis_transform()
    name = shortened(_name(row), room / _BOLD, _SMALL)
    weight = "bold" if named else "normal"
    style = {"fontsize": _SMALL, "va": "center", "gid": METHOD + row["method"], "color": INK if named else MUTED}
    axes.text(-0.015, y, name, ha="right", fontweight=weight, transform=transform, **style)
    sign = next((mark for verdict, mark in _SIGNS.items() if str(row["verdict"]).startswith(verdict)), "")
    if sign:
        axes.text(1.02, y, sign, ha="left", transform=transform, **style)


def _draw_reference(axes: Axes, group: Sequence[Mapping[str, Any]], rows: pd.DataFrame) -> None:
    """Draw the mean of each reference that the methods of this panel are judged against."""
    judged_against = {row["reference"] for row in group if isinstance(row["reference"], str)}
    means = rows.set_index("method")["mean"]
    low, high = axes.get_xlim()
    for reference in sorted(judged_against):
        mean = float(means.get(reference, np.nan))
        if low <= mean <= high:
            axes.axvline(mean, color=INK, linewidth=0.8, linestyle=(0, (3, 2)), gid="reference")


def best_and_reference(rows: pd.DataFrame, higher: bool, say: Any) -> Iterable[str]:
    """Yield what a reader who cannot see the figure should hear: the best and the worst mean, and the references'."""
    there = rows[np.isfinite(rows["mean"].to_numpy(dtype=float))].sort_values("mean", ascending=not higher)
    if there.empty:
        yield "no method has a score yet"
        return
    for word, row in (("best", there.iloc[0]), ("worst", there.iloc[-1])):
        yield f"{word} mean {say(row['mean'])} of {row['method']}"
    references = set(rows["reference"].dropna())
    for row in there[there["method"].isin(references)].head(4).to_dict("records"):
        yield f"reference {row['method']} {say(row['mean'])}"
