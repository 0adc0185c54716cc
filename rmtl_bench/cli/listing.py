"""``rmtl-bench list KIND``: what the plugins offer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rmtl_bench.cli.catalogue import entry_json, kind_named, origin_json, print_json, warn_of_broken
from rmtl_bench.cli.completion import plural_kinds
from rmtl_bench.cli.options import debug_option, json_option, plugin_option
from rmtl_bench.contracts.wording import printable
from rmtl_bench.plugins import Registry, load_plugins


@click.command("list")
@click.argument("kind", shell_complete=plural_kinds)
@json_option
@plugin_option
@debug_option
def command(kind: str, as_json: bool, plugin_files: tuple[Path, ...]) -> None:
    """List KIND: backbones, weightings, datasets, metrics, executors or suites."""
    host = load_plugins(plugin_files)
    wanted = kind_named(kind)
    rows = _suites(host.registry) if wanted == "suite" else _entries(host.registry, wanted)
    if as_json:
        print_json(rows)
    else:
        _print(rows, kind)
    warn_of_broken(host)


def _entries(registry: Registry, kind: str) -> list[dict[str, Any]]:
    return [entry_json(entry, registry) for entry in registry.entries(kind)]


def _suites(registry: Registry) -> list[dict[str, Any]]:
    from rmtl_bench.suites.suite_file import list_suites

    return [
        {"name": f"{head['name']}@{head['version']}", "summary": head["title"] or "", "origin": origin_json(origin)}
        for _, origin, head in list_suites(registry)
    ]


def _print(rows: list[dict[str, Any]], kind: str) -> None:
    from tabulate import tabulate

    if not rows:
        click.echo(f"no {kind}: is a plugin distribution installed? (rmtl-bench plugins)")
        return
    table = [
        (
            row["name"] + ("  [COLLISION]" if "collision" in row else ""),
            row["summary"] + _lack(row),
            f"{row['origin']['distribution']} {row['origin']['version']}",
        )
        for row in rows
    ]
    click.echo(printable(tabulate(table, headers=("name", "summary", "from"), tablefmt="simple")))


def _lack(row: dict[str, Any]) -> str:
    lacking = row.get("lacking")
    return f"  [lacks {' and '.join(lacking)}; type: {row['install']}]" if lacking else ""
