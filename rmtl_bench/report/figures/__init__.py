"""The figures of the report, drawn with matplotlib without a window or any global state.

Importing this package imports matplotlib; :mod:`rmtl_bench.report` does not import it.
"""

from __future__ import annotations

from rmtl_bench.report.figures.report_figure import SECTIONS, ReportFigure
from rmtl_bench.report.figures.report_figures import report_figures
from rmtl_bench.report.figures.style import DARK, LIGHT, save, to_svg

__all__ = ["DARK", "LIGHT", "SECTIONS", "ReportFigure", "report_figures", "save", "to_svg"]
