"""The stages of trainings as bars above a panel, one line for all weightings that have the same stages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from rmtl_bench.report.figures.highlights import Highlights
from rmtl_bench.report.figures.panels import inches, shortened
from rmtl_bench.report.figures.style import SIZE

_LANE = 0.15
_TINY = SIZE - 2


class Lane(NamedTuple):
    """The stages of some weightings, each with its name, its first epoch less one and its number of epochs."""

    colour: str
    stages: tuple[tuple[str, float, float], ...]


def lane_plans(stages: pd.DataFrame, dataset: str, backbone: str, highlights: Highlights) -> list[Lane]:
    """Return the stages of the weightings in colour that have several, each sequence of stages once."""
    rows = stages[(stages["dataset"] == dataset) & (stages["backbone"] == backbone)]
    found: dict[tuple[str, ...], Lane] = {}
    for weighting, of in highlights.looks.items():
        own = rows[rows["weighting"] == weighting]
        names = tuple(own["stage"])
        if len(names) > 1 and names not in found:
            found[names] = Lane(of.colour, tuple(zip(names, own["start"], own["length"], strict=True)))
    return list(found.values())


def lanes_height(plans: Iterable[list[Lane]]) -> float:
    """Return the height that the lanes of the panels need, in inches."""
    return _LANE * max((len(lanes) for lanes in plans), default=0)


def draw_lanes(axes: Axes, lanes: list[Lane]) -> float:
    """Draw the lanes above a panel, mark where stages begin in it, and return their height in inches."""
    _, width, height = inches(axes)
    low, high = axes.get_xlim()
    for number, lane in enumerate(lanes):
        y = 1 + (_LANE * (number + 0.35)) / height
        for name, start, length in lane.stages:
            ends = (max(low, start + 0.6), min(high, start + length + 0.4))
            axes.plot(
                ends, (y, y), color=lane.colour, linewidth=1.6, transform=axes.get_xaxis_transform(), clip_on=False
            )
            room = (ends[1] - ends[0]) / (high - low) * width
            axes.annotate(
                shortened(name, room, _TINY),
                (sum(ends) / 2, y),
                xycoords=("data", "axes fraction"),
                xytext=(0, 1.5),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=_TINY,
                color=lane.colour,
                annotation_clip=False,
            )
            if start > 0:
                axes.axvline(start + 0.5, color=lane.colour, linewidth=0.6, linestyle=":", alpha=0.8)
    return _LANE * len(lanes) + (0.04 if lanes else 0.0)
