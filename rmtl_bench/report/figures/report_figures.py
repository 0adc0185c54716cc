"""All figures of a report, one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import pandas as pd

from rmtl_bench.report.diagnostics import StoredDiagnostics
from rmtl_bench.report.figures.calibration import calibration_figures
from rmtl_bench.report.figures.cells import cell_figures
from rmtl_bench.report.figures.cost import cost_figures
from rmtl_bench.report.figures.critical_difference import critical_difference_figures
from rmtl_bench.report.figures.critics import critic_figures
from rmtl_bench.report.figures.curves import curve_figures
from rmtl_bench.report.figures.gap import gap_figures
from rmtl_bench.report.figures.highlights import find_highlights
from rmtl_bench.report.figures.report_figure import ReportFigure
from rmtl_bench.report.figures.weights import weight_figures
from rmtl_bench.report.leaderboard import Leaderboard
from rmtl_bench.report.stored_suite import StoredSuite
from rmtl_bench.statistics.friedman import Friedman


def report_figures(
    suite: StoredSuite,
    board: Leaderboard,
    diagnostics: StoredDiagnostics,
    calibration: pd.DataFrame,
    critical: Friedman | Iterable[Friedman] | None = None,
    metrics: Sequence[str] | None = None,
) -> Iterator[ReportFigure]:
    """Yield the figures of a report in the order of its sections, each drawn when it is asked for and kept by nobody.

    ``calibration``: the columns of :func:`~rmtl_bench.store.calibration.reliability`. ``critical``: the tests over
    data sets, of one metric or of several. ``metrics``: those that are shown, as :meth:`StoredSuite.shown` names them;
    None for all.
    """
    highlights = find_highlights(board.settings, board.rows["method"])
    confidence = board.settings.confidence
    ranks = [] if critical is None else [critical] if isinstance(critical, Friedman) else list(critical)
    yield from _distinct(
        (
            cell_figures(board, suite.scores, highlights, metrics),
            curve_figures(diagnostics, highlights, metrics, confidence),
            weight_figures(diagnostics, highlights),
            critic_figures(diagnostics, confidence),
            cost_figures(board, highlights, metrics),
            calibration_figures(calibration, highlights),
            gap_figures(board, suite.scores, highlights, metrics),
            critical_difference_figures(ranks, highlights),
        )
    )


def _distinct(groups: Iterable[Iterator[ReportFigure]]) -> Iterator[ReportFigure]:
    """Yield all figures with slugs that are unique: two names may differ in signs that no file name has."""
    taken: set[str] = set()
    for group in groups:
        for drawn in group:
            slug, number = drawn.slug, 1
            while slug in taken:
                number += 1
                slug = f"{drawn.slug}-{number}"
            taken.add(slug)
            yield replace(drawn, slug=slug)
