"""``rmtl-bench export``: the scores of a suite as one table, for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from rmtl_bench.cli.options import debug_option, store_option, suite_options, warn_of_problems
from rmtl_bench.contracts.wording import printable


@click.command("export")
@suite_options
@store_option
@click.option(
    "--output",
    "target",
    required=True,
    metavar="FILE",
    help="Where to write: a .csv or a .parquet file; - prints CSV.",
)
@debug_option
def command(suite_name: str, sample: bool, store_path: Path, target: str) -> None:
    """Write every score of a suite: one row a run, task and metric.

    Runs that have not ended well have no score; how many there are is said on standard error. Values are exact.
    """
    from rmtl_bench.report.score_export import as_csv, format_of, read_export, write_export
    from rmtl_bench.store import Store

    path = None if target == "-" else Path(target)
    if path is not None:
        format_of(path)
    export = read_export(Store.open(store_path, create=False), suite_name, sample=sample)
    warn_of_problems(export.refreshed)
    if path is None:
        click.echo(printable(as_csv(export)), nl=False)
    else:
        write_export(export, path)
    runs = len(set(export.columns["run_id"].tolist()))
    click.echo(f"{export.plan.name}: {len(export.columns['value'])} scores of {runs} runs", err=True)
    if export.left_out:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(export.left_out.items()))
        click.echo(f"planned runs without scores: {counts}", err=True)
