"""How far from the optimum the methods stay, on simulated data whose true probabilities are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from rmtl_bench.report.document import number
from rmtl_bench.report.figures.cells import GAP, caption, cell_groups, is_gap, of_cell
from rmtl_bench.report.figures.forest import best_and_reference, forest, outside
from rmtl_bench.report.figures.highlights import Highlights
from rmtl_bench.report.figures.report_figure import ReportFigure, slug
from rmtl_bench.report.figures.style import drawing
from rmtl_bench.report.leaderboard import Leaderboard


def gap_figures(
    board: Leaderboard, scores: pd.DataFrame, highlights: Highlights, metrics: Sequence[str] | None
) -> Iterator[ReportFigure]:
    """Yield a forest of the distances to the optimum for every cell that has them and whose metric is shown."""
    higher_is_better = board.settings.higher_is_better
    shown = [
        metric
        for metric in higher_is_better
        if is_gap(metric, higher_is_better)
        and (metrics is None or metric in metrics or metric.removesuffix(GAP) in metrics)
    ]
    for dataset, task, metric, rows in cell_groups(board.rows, shown):
        seeds = of_cell(scores, dataset, task, metric)
        with drawing():
            figure = forest(rows, seeds, False, highlights, metric, zero="optimum")
        told = "; ".join(best_and_reference(rows, False, number))
        base = metric.removesuffix(GAP)
        yield ReportFigure(
            slug=slug("gap", dataset, task, base),
            section="gap",
            title=f"{dataset} · {task} · {base} short of the optimum",
            caption=f"How much worse the {base} is than that of the true probabilities. "
            + caption(board.settings.confidence, False, outside(rows, seeds, True)),
            alt=f"Distance of the {base} of {len(rows)} methods to the optimum on {dataset}, {task}: {told}.",
            figure=figure,
        )
