"""``rmtl-bench leaderboard``: what is better than what, by how much, and whether that is more than noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import click

from rmtl_bench.cli.completion import offers, references
from rmtl_bench.cli.options import (
    asked_metrics,
    debug_option,
    metric_option,
    protocol_option,
    report_options,
    show_report,
    store_option,
    suite_options,
)


@click.command("leaderboard")
@suite_options
@store_option
@metric_option
@click.option(
    "--by",
    metavar="TASK:METRIC",
    shell_complete=offers("metric"),
    help="One table a data set, in the order of this task and metric (or TASK, or METRIC), in place of one a cell.",
)
@click.option(
    "--against",
    metavar="PATTERN",
    shell_complete=references,
    help="Compare with this method, as backbone/weighting or */weighting, in place of the declared reference.",
)
@protocol_option
@click.option(
    "--incomplete",
    type=click.Choice(["exclude-method", "exclude-cell"]),
    default="exclude-method",
    show_default=True,
    help="Over all cells, leave out the methods that lack a cell, or the cells that a method lacks.",
)
@report_options
@debug_option
def command(
    suite_name: str,
    sample: bool,
    store_path: Path,
    metrics: tuple[str, ...],
    by: str | None,
    against: str | None,
    protocol: str,
    incomplete: Literal["exclude-method", "exclude-cell"],
    fmt: str,
    output: Path | None,
) -> None:
    """Rank the methods of a suite that was run, with intervals and tests."""
    from rmtl_bench.report import build_leaderboard, leaderboard_document, read_stored_suite
    from rmtl_bench.store import Store

    store = Store.open(store_path, create=False)
    suite = read_stored_suite(store, suite_name, sample=sample, metrics=asked_metrics(metrics, fmt))
    settings = suite.require_scores(store).settings(protocol=protocol, against=against)
    settings = replace(settings, incomplete=incomplete)
    board = build_leaderboard(suite.scores, suite.expected, settings, suite.costs)
    show_report(leaderboard_document(board, suite.shown(metrics), by), fmt, output, suite.refreshed)
