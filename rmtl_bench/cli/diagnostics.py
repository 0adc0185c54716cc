"""``rmtl-bench diagnostics``: what the weightings say of themselves."""

from __future__ import annotations

from pathlib import Path

import click

from rmtl_bench.cli.options import debug_option, report_options, show_report, store_option, suite_options


@click.command("diagnostics")
@suite_options
@store_option
@click.option(
    "--quantity",
    "quantities",
    multiple=True,
    metavar="NAME",
    help="Show this quantity alone (repeatable), or weights, or all; csv and json hold all anyway.",
)
@report_options
@debug_option
def command(
    suite_name: str, sample: bool, store_path: Path, quantities: tuple[str, ...], fmt: str, output: Path | None
) -> None:
    """Show what weightings say of themselves, and the weights they used."""
    from rmtl_bench.report import diagnostics_document, read_diagnostics
    from rmtl_bench.store import Store

    stored = read_diagnostics(Store.open(store_path, create=False), suite_name, sample=sample)
    show_report(diagnostics_document(stored, quantities), fmt, output, stored.refreshed)
