"""``rmtl-bench compare``: two methods, in every cell that both have."""

from __future__ import annotations

from pathlib import Path

import click

from rmtl_bench.cli.completion import methods
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


@click.command("compare")
@click.argument("a", metavar="A", shell_complete=methods)
@click.argument("b", metavar="B", shell_complete=methods)
@suite_options
@store_option
@metric_option
@protocol_option
@click.option("--only-shared", is_flag=True, help="Leave out the seeds that only one of the two has.")
@click.option(
    "--sessions", is_flag=True, help="Show, too, how much of the uncertainty comes from the sessions of the test split."
)
@click.option("--draws", type=click.IntRange(min=100), default=1000, show_default=True, help="Draws of --sessions.")
@report_options
@debug_option
def command(
    a: str,
    b: str,
    suite_name: str,
    sample: bool,
    store_path: Path,
    metrics: tuple[str, ...],
    protocol: str,
    only_shared: bool,
    sessions: bool,
    draws: int,
    fmt: str,
    output: Path | None,
) -> None:
    """Compare method A with method B, each given as backbone/weighting, paired by seed."""
    from rmtl_bench.report import compare_pair, pair_document, read_stored_suite
    from rmtl_bench.store import Store

    store = Store.open(store_path, create=False)
    suite = read_stored_suite(store, suite_name, sample=sample, metrics=asked_metrics(metrics, fmt)).require_scores(
        store
    )
    pair = compare_pair(
        suite.scores,
        a,
        b,
        suite.higher_is_better,
        suite.equivalence,
        protocol=protocol,
        only_shared=only_shared,
    )
    shown = suite.shown(metrics)
    variance = None
    if sessions:
        from rmtl_bench.report.session_variance import session_variance

        wanted = list(suite.higher_is_better) if shown is None else shown
        variance = session_variance(store, suite.plan, [(a, b)], wanted, draws)
    show_report(pair_document(pair, shown, variance), fmt, output, suite.refreshed)
