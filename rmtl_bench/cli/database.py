"""``rmtl-bench db``: a store as a whole, and its index."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import click

from rmtl_bench.cli.catalogue import print_json
from rmtl_bench.cli.completion import kept_suites
from rmtl_bench.cli.options import debug_option, json_option, print_foreign, store_option, warn_of_problems
from rmtl_bench.contracts.errors import StoreError


@click.group("db")
def command() -> None:
    """The store itself: check it, export it, rebuild or query its index."""


@command.command("rebuild")
@store_option
@debug_option
def rebuild(store_path: Path) -> None:
    """Make the index anew from the run folders."""
    from rmtl_bench.store import Index, Store

    done = Index(Store.open(store_path, create=False)).rebuild()
    click.echo(f"{done.ingested} runs indexed")
    warn_of_problems(done)


@command.command("check")
@store_option
@json_option
@debug_option
def check(store_path: Path, as_json: bool) -> int:
    """Read the whole store and say what is damaged, what lies about, and what to do.

    Every run folder is read and compared with its checksums, the index with the folders, and every plan is read.
    Nothing is written. The exit code is 5 when something is damaged.
    """
    from rmtl_bench.contracts.wording import printable
    from rmtl_bench.store import Store
    from rmtl_bench.store.check import check_store, checked_json

    store = Store.open(store_path, create=False)
    checked = check_store(store)
    if as_json:
        print_json(checked_json(store, checked))
        return StoreError.exit_code if checked.damaged else 0
    for finding in checked.findings:
        kind = "damaged" if finding.damage else "note"
        print_foreign(f"{kind}: {printable(finding.what)}; {finding.remedy}")
    if checked.without_checksums:
        click.echo(f"{checked.without_checksums} folders without checksums: an earlier version has made them")
    damaged = sum(finding.damage for finding in checked.findings)
    click.echo(f"{checked.runs} run folders and {checked.plans} plans examined; {damaged or 'nothing'} damaged")
    return StoreError.exit_code if checked.damaged else 0


@command.command("export")
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--suite",
    "suites",
    multiple=True,
    metavar="NAME",
    shell_complete=kept_suites,
    help="Only the runs of this suite (repeatable).",
)
@click.option("--no-predictions", is_flag=True, help="Leave out the test predictions of all runs.")
@store_option
@debug_option
def export(target: Path, suites: tuple[str, ...], no_predictions: bool, store_path: Path) -> None:
    """Write the store, or the suites named, to TARGET: an archive (.tar.gz, .tgz, .tar) or a new folder.

    Merge it elsewhere with rmtl-bench merge TARGET. A suite is NAME or NAME@VERSION, with +sample for its sample.
    """
    from rmtl_bench.contracts.wording import printable
    from rmtl_bench.store import Store
    from rmtl_bench.store.bundle import export_store, selection_of

    store = Store.open(store_path, create=False)
    selection = selection_of(store, suites, predictions=not no_predictions)
    done = export_store(store, target, selection)
    for problem in done.problems:
        click.echo(f"warning: passed over: {printable(problem.reason)}", err=True)
    click.echo(f"{done.runs + done.attempts} run folders and {len(done.plans)} plans written to {target}")


@command.command("sql")
@click.argument("query")
@store_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@debug_option
def sql(query: str, store_path: Path, as_json: bool, as_csv: bool) -> None:
    """Run a read-only QUERY, e.g. "SELECT * FROM v_scores"."""
    from rmtl_bench.store import Index, Store

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

        from rmtl_bench.contracts.wording import printable

        print_foreign(printable(tabulate(rows, headers=columns, disable_numparse=True)))
    warn_of_problems(refreshed)


def _plain(value: object) -> object:
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value if isinstance(value, (bool, int, str, type(None))) else str(value)
