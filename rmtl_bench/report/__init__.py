"""Leaderboards, comparisons and diagnostics, and the formats they are written in."""

from __future__ import annotations

from rmtl_bench.report.comparison import PairComparison, compare_pair, pair_document
from rmtl_bench.report.diagnostics import StoredDiagnostics, diagnostics_document, read_diagnostics
from rmtl_bench.report.document import Column, Document, Section
from rmtl_bench.report.formats import FORMATS, render
from rmtl_bench.report.layout import leaderboard_document
from rmtl_bench.report.leaderboard import ROW_COLUMNS, Leaderboard, LeaderboardSettings, build_leaderboard
from rmtl_bench.report.stored_suite import StoredSuite, read_stored_suite

__all__ = [
    "FORMATS",
    "ROW_COLUMNS",
    "Column",
    "Document",
    "Leaderboard",
    "LeaderboardSettings",
    "PairComparison",
    "Section",
    "StoredDiagnostics",
    "StoredSuite",
    "build_leaderboard",
    "compare_pair",
    "diagnostics_document",
    "leaderboard_document",
    "pair_document",
    "read_diagnostics",
    "read_stored_suite",
    "render",
]
