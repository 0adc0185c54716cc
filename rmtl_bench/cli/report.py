"""``rmtl-bench report``: the whole report of a suite in one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from rmtl_bench.cli.options import debug_option, store_option, suite_options, warn_of_problems


@click.command("report")
@suite_options
@store_option
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write (default: report-SUITE@VERSION.html in the current folder).",
)
@click.option(
    "--figures", type=click.Path(path_type=Path), metavar="FOLDER", help="Write every figure as SVG and PDF, too."
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Show this metric (repeatable), or all; default: the suite's headline metrics.",
)
@click.option(
    "--draws",
    type=click.IntRange(min=100),
    default=1000,
    show_default=True,
    help="Resamplings of the test sessions, for the two sources of variance.",
)
@debug_option
def command(
    suite_name: str,
    sample: bool,
    store_path: Path,
    output: Path | None,
    figures: Path | None,
    metrics: tuple[str, ...],
    draws: int,
) -> None:
    """Write the report of a suite as one HTML file that opens offline and can be mailed."""
    from rmtl_bench.report.page import write_report
    from rmtl_bench.store import Store

    store = Store.open(store_path, create=False)
    written = write_report(store, suite_name, output, sample=sample, metrics=metrics, figures=figures, draws=draws)
    warn_of_problems(written.refreshed)
    if figures is not None:
        click.echo(f"wrote {len(written.figures)} files of figures to {figures}", err=True)
    click.echo(f"wrote {written.path} ({_size(written.size)})", err=True)


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
