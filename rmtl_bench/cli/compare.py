"""``rmtl-bench compare``: two methods, in every cell that both have."""

from __future__ import annotations

from pathlib import Path

import click

from rmtl_bench.cli.options import debug_option, metric_option, report_options, show_report, store_option, suite_options


@click.command("compare")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@suite_options
@store_option
@metric_option
@click.option("--only-shared", is_flag=True, help="Leave out the seeds that only one of the two has.")
@report_options
@debug_option
def command(
    a: str,
    b: str,
    suite_name: str,
    sample: bool,
    store_path: Path,
    metrics: tuple[str, ...],
    only_shared: bool,
    fmt: str,
    output: Path | None,
) -> None:
    """Compare method A with method B, each given as backbone/weighting, paired by seed."""
    from rmtl_bench.report import compare_pair, pair_document, read_stored_suite
    from rmtl_bench.store import Store

    suite = read_stored_suite(Store.open(store_path, create=False), suite_name, sample=sample)
    pair = compare_pair(suite.scores, a, b, suite.higher_is_better, suite.equivalence, only_shared=only_shared)
    show_report(pair_document(pair, suite.shown(metrics)), fmt, output, suite.refreshed)
