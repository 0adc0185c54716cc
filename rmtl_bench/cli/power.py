"""``rmtl-bench power``: how many seeds are needed to see a difference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rmtl_bench.cli.options import (
    asked_metrics,
    check_sample,
    debug_option,
    metric_option,
    optional_suite_options,
    report_options,
    show_report,
    store_option,
)

if TYPE_CHECKING:
    from rmtl_bench.report import Document
    from rmtl_bench.store import Refreshed


@click.command("power")
@optional_suite_options
@store_option
@metric_option
@click.option(
    "--difference",
    type=float,
    metavar="D",
    help="The difference to see, in the metric's unit; with --suite by default the size of its equivalence region.",
)
@click.option(
    "--sd", type=float, metavar="SD", help="The standard deviation of the paired differences, without a suite."
)
@click.option("--seeds", type=int, metavar="N", help="Find the difference that N seeds see, in place of --difference.")
@click.option("--comparisons", type=int, metavar="M", help="Tests that share the level; a suite has its own.")
@click.option("--power", type=float, default=0.8, show_default=True, help="How often the difference is to be found.")
@click.option(
    "--against", metavar="PATTERN", help="Compare with these methods alone, as backbone/weighting or */weighting."
)
@report_options
@debug_option
def command(
    suite_name: str | None,
    sample: bool,
    store_path: Path,
    metrics: tuple[str, ...],
    difference: float | None,
    sd: float | None,
    seeds: int | None,
    comparisons: int | None,
    power: float,
    against: str | None,
    fmt: str,
    output: Path | None,
) -> None:
    """Say how many seeds it takes to see a difference, or what difference some seeds see.

    Without a suite: --sd with --difference or --seeds. With --suite: the standard deviations are those of its stored
    scores, comparison by comparison.

    \b
    rmtl-bench power --difference 0.002 --sd 0.0016
    rmtl-bench power --seeds 10 --sd 0.0016 --comparisons 6
    rmtl-bench power --suite paper --metric auc
    """
    check_sample(suite_name, sample)
    if suite_name is None:
        _refuse({"--metric": metrics or None, "--against": against}, "is for --suite NAME")
        document, refreshed = _plan(difference, sd, seeds, comparisons, power)
    else:
        _refuse({"--sd": sd, "--seeds": seeds, "--comparisons": comparisons}, "goes without --suite, which has its own")
        wanted = asked_metrics(metrics, fmt)
        document, refreshed = _of_suite(suite_name, sample, store_path, metrics, wanted, difference, against, power)
    show_report(document, fmt, output, refreshed)


def _refuse(given: dict[str, object], why: str) -> None:
    for option, value in given.items():
        if value is not None:
            raise click.UsageError(f"{option} {why}")


def _plan(
    difference: float | None, sd: float | None, seeds: int | None, comparisons: int | None, power: float
) -> tuple[Document, Refreshed]:
    from rmtl_bench.report.power_table import plan_document
    from rmtl_bench.store import Refreshed

    if sd is None:
        raise click.UsageError("give --sd with --difference or --seeds, or a suite that was run with --suite")
    tests = 1 if comparisons is None else comparisons
    return plan_document(sd, difference=difference, seeds=seeds, comparisons=tests, power=power), Refreshed()


def _of_suite(
    name: str,
    sample: bool,
    store_path: Path,
    metrics: tuple[str, ...],
    wanted: tuple[str, ...] | None,
    difference: float | None,
    against: str | None,
    power: float,
) -> tuple[Document, Refreshed]:
    from rmtl_bench.report import read_stored_suite
    from rmtl_bench.report.power_table import suite_power_document
    from rmtl_bench.store import Store

    store = Store.open(store_path, create=False)
    suite = read_stored_suite(store, name, sample=sample, metrics=wanted).require_scores(store)
    shown = suite.shown(metrics)
    document = suite_power_document(suite, shown, difference=difference, against_pattern=against, power=power)
    return document, suite.refreshed
