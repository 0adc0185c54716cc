"""``rmtl-bench info KIND NAME``: everything a plugin says of one of its offers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rmtl_bench.cli.catalogue import entry_json, filled, kind_named, print_json
from rmtl_bench.cli.completion import kinds, names_of_kind
from rmtl_bench.cli.options import debug_option, json_option, plugin_option
from rmtl_bench.contracts.wording import printable
from rmtl_bench.plugins import Registry, load_plugins


@click.command("info")
@click.argument("kind", shell_complete=kinds)
@click.argument("name", shell_complete=names_of_kind)
@json_option
@plugin_option
@debug_option
def command(kind: str, name: str, as_json: bool, plugin_files: tuple[Path, ...]) -> None:
    """Show one backbone, weighting, dataset, metric, executor or suite."""
    registry = load_plugins(plugin_files).registry
    wanted = kind_named(kind)
    data = _suite(registry, name) if wanted == "suite" else entry_json(registry.find(wanted, name), registry)
    if as_json:
        print_json(data)
        return
    parameters = data.pop("parameters", {})
    for key, value in data.items():
        if value not in ("", [], {}, None):
            click.echo(printable(f"{key + ':':<18}{_plain(value)}"))
    if parameters:
        from tabulate import tabulate

        rows = [
            (key, *(filled(_plain(p[what])) for what in ("default", "takes", "help"))) for key, p in parameters.items()
        ]
        shown = tabulate(rows, headers=("parameter", "default", "takes", "meaning"), disable_numparse=True)
        click.echo(printable(f"\n{shown}"))


def _suite(registry: Registry, name: str) -> dict[str, Any]:
    from rmtl_bench.suites import find_suite, read_variant, split_additions

    suite = read_variant(registry, name)
    return {
        "name": f"{suite.name}@{suite.version}",
        "kind": "suite",
        "summary": suite.title,
        "file": str(find_suite(registry, split_additions(name).suite)),
        "seeds": suite.seeds,
        "metrics": list(suite.metrics),
        **{kind: list(components) for kind, components in suite.components.items()},
        "trainer": dict(suite.trainer),
        "statistics": dict(suite.statistics),
        "sample": suite.has_sample,
    }


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value)) or "(none)"
    return str(value)
