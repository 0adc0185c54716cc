"""``rmtl-bench db``: the index of a store."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import click

from rmtl_bench.cli.catalogue import print_json
from rmtl_bench.cli.options import debug_option, json_option, store_option, warn_of_problems
from rmtl_bench.store import Index, Store


@click.group("db")
def command() -> None:
    """Rebuild or query results.duckdb, the index of a store."""


@command.command("rebuild")
@store_option
@debug_option
def rebuild(store_path: Path) -> None:
    """Make the index anew from the run folders."""
    done = Index(Store.open(store_path, create=False)).rebuild()
    click.echo(f"{done.ingested} runs indexed")
    warn_of_problems(done)


@command.command("sql")
@click.argument("query")
@store_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@debug_option
def sql(query: str, store_path: Path, as_json: bool, as_csv: bool) -> None:
    """Run a read-only QUERY, e.g. "SELECT * FROM v_scores"."""
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    index = Index(Store.open(store_path, create=False))
    refreshed = index.refresh()
    columns, rows = index.query(query)
    if as_json:
        print_json([{c: _plain(v) for c, v in zip(columns, row, strict=True)} for row in rows])
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    else:
        from tabulate import tabulate

        click.echo(tabulate(rows, headers=columns, disable_numparse=True))
    warn_of_problems(refreshed)


def _plain(value: object) -> object:
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value if isinstance(value, (bool, int, str, type(None))) else str(value)
