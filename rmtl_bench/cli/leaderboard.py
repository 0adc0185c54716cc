"""``rmtl-bench leaderboard``: what is better than what, by how much, and whether that is more than noise."""

from __future__ import annotations

from pathlib import Path

import click

from rmtl_bench.cli.options import debug_option, metric_option, report_options, show_report, store_option, suite_options


@click.command("leaderboard")
@suite_options
@store_option
@metric_option
@report_options
@debug_option
def command(
    suite_name: str, sample: bool, store_path: Path, metrics: tuple[str, ...], fmt: str, output: Path | None
) -> None:
    """Rank the methods of a suite that was run, with intervals and tests."""
    from rmtl_bench.report import build_leaderboard, leaderboard_document, read_stored_suite
    from rmtl_bench.store import Store

    suite = read_stored_suite(Store.open(store_path, create=False), suite_name, sample=sample)
    board = build_leaderboard(suite.scores, suite.expected, suite.settings(), suite.costs)
    show_report(leaderboard_document(board, suite.shown(metrics)), fmt, output, suite.refreshed)
