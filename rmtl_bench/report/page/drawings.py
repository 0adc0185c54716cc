"""The figures of a report, drawn one after another into the page and, where a folder is named, into files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from rmtl_bench.report.figures import SECTIONS, ReportFigure, report_figures, save, to_svg
from rmtl_bench.report.page.contents import ReportContents

TITLES: Mapping[str, str] = {
    "cells": "Cells",
    "curves": "Learning curves",
    "weights": "Loss weights",
    "critics": "What the weightings say of themselves",
    "cost": "Cost and quality",
    "calibration": "Calibration",
    "gap": "Distance to the optimum",
    "critical-difference": "Average ranks over data sets",
}
"""The headings of the parts that figures belong to."""


@dataclass(frozen=True)
class Drawing:
    """A figure as a page shows it."""

    title: str
    caption: str
    svg: Markup


@dataclass
class DrawingGroup:
    """The figures of one part; ``remark`` says why there are none where that has a reason."""

    section: str
    title: str
    folded: bool
    drawings: list[Drawing] = field(default_factory=list)
    remark: str = ""


def draw(contents: ReportContents, folder: Path | None) -> tuple[list[DrawingGroup], list[Path]]:
    """Draw all figures, write each as SVG and PDF into ``folder`` if there is one, and return groups and files."""
    groups = {name: DrawingGroup(name, TITLES.get(name, name), name == "cells") for name in SECTIONS}
    files: list[Path] = []
    for place, drawn in enumerate(_figures(contents)):
        svg = Markup(to_svg(drawn, f"f{place}-"))  # noqa: S704 -- made by an XML writer, which escapes
        groups[drawn.section].drawings.append(Drawing(drawn.title, drawn.caption, svg))
        if folder is not None:
            files += save(drawn, folder, drawn.slug)
    reasons = [f"{test.metric}: {test.reason}" for test in contents.critical if test.reason]
    if reasons:
        groups["critical-difference"].remark = f"No critical difference is drawn. {'; '.join(reasons)}."
    return [group for group in groups.values() if group.drawings or group.remark], files


def _figures(contents: ReportContents) -> Iterator[ReportFigure]:
    if contents.diagnostics is None:
        return iter(())
    return report_figures(
        contents.suite,
        contents.board,
        contents.diagnostics,
        contents.calibration,
        [test for test in contents.critical if not test.reason],
        contents.metrics,
    )
