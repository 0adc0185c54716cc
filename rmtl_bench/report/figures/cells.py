"""Figures of the cells: all methods of a data set, task and metric, with their intervals and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from rmtl_bench.report.document import chosen, number
from rmtl_bench.report.figures.forest import best_and_reference, forest, outside
from rmtl_bench.report.figures.highlights import Highlights
from rmtl_bench.report.figures.report_figure import ReportFigure, slug
from rmtl_bench.report.figures.style import drawing
from rmtl_bench.report.leaderboard import Leaderboard
from rmtl_bench.statistics import CELL

GAP = "-gap"
"""What the name of a metric ends with that says how far a score is from the optimum of simulated data."""


def is_gap(metric: str, higher_is_better: Mapping[str, bool]) -> bool:
    """Say whether a metric is the distance of another one to its optimum."""
    return metric.endswith(GAP) and metric.removesuffix(GAP) in higher_is_better


def cell_groups(rows: pd.DataFrame, metrics: Sequence[str] | None) -> Iterator[tuple[str, str, str, pd.DataFrame]]:
    """Yield data set, task, metric and rows, tasks together, the metrics in the suite's order."""
    for _, part in chosen(rows, metrics).groupby(["dataset", "task"], sort=True):
        for _, group in part.groupby("metric", sort=False):
            dataset, task, metric = map(str, group.iloc[0][CELL])
            yield dataset, task, metric, group


def of_cell(scores: pd.DataFrame, dataset: str, task: str, metric: str) -> pd.DataFrame:
    """Return the scores of one cell that are finite, as the leaderboard counts them."""
    finite = np.isfinite(scores["value"].to_numpy(dtype=float))
    return scores[finite & (scores["dataset"] == dataset) & (scores["task"] == task) & (scores["metric"] == metric)]


def cell_figures(
    board: Leaderboard, scores: pd.DataFrame, highlights: Highlights, metrics: Sequence[str] | None
) -> Iterator[ReportFigure]:
    """Yield a forest for every cell whose metric is shown, distances to an optimum left out."""
    higher_is_better = board.settings.higher_is_better
    for dataset, task, metric, rows in cell_groups(board.rows, metrics):
        if is_gap(metric, higher_is_better):
            continue
        higher = higher_is_better[metric]
        seeds = of_cell(scores, dataset, task, metric)
        with drawing():
            figure = forest(rows, seeds, higher, highlights, metric)
        told = "; ".join(best_and_reference(rows, higher, number))
        yield ReportFigure(
            slug=slug("cells", dataset, task, metric),
            section="cells",
            title=f"{dataset} · {task} · {metric}",
            caption=caption(board.settings.confidence, higher, outside(rows, seeds)),
            alt=f"{metric} of {len(rows)} methods on {dataset}, {task}: {told}.",
            figure=figure,
        )


def caption(confidence: float, higher: bool, beyond: int) -> str:
    """Return what a forest shows."""
    far = f" Scores beyond the axis, drawn at its end: {beyond}." if beyond else ""
    return (
        f"Mean and {100 * confidence:g} % t interval over seeds; each dot is one seed; "
        f"{'higher' if higher else 'lower'} is better. Dashed: the mean of the declared reference. "
        "▲ better, ▼ worse, = equivalent to it after the correction for many comparisons; no sign: neither is shown. "
        f"Intervals are cut where the axis ends.{far}"
    )
