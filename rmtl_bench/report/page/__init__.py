"""The report of a suite as one HTML file that needs nothing else: no network, no folder, no script to be read.

Importing this package imports matplotlib and jinja2; :mod:`rmtl_bench.report` does not import it.
"""

from __future__ import annotations

from rmtl_bench.report.page.contents import ReportContents, read_contents
from rmtl_bench.report.page.drawings import draw
from rmtl_bench.report.page.rendering import render_page
from rmtl_bench.report.page.writing import WrittenReport, write_report

__all__ = ["ReportContents", "WrittenReport", "draw", "read_contents", "render_page", "write_report"]
