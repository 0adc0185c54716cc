"""``rmtl-bench plugins``: which plugins were found, what they offer, and which are broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rmtl_bench.cli.catalogue import origin_json, print_json
from rmtl_bench.cli.options import debug_option, json_option, plugin_option
from rmtl_bench.contracts.wording import printable
from rmtl_bench.plugins import KINDS, LoadedPlugin, Registry, load_plugins
from rmtl_bench.plugins.registry import collision


@click.command("plugins")
@json_option
@click.option("--traceback", "show_traceback", is_flag=True, help="Show the tracebacks of broken plugins.")
@plugin_option
@debug_option
def command(as_json: bool, show_traceback: bool, plugin_files: tuple[Path, ...]) -> None:
    """List the plugins found, broken ones included."""
    host = load_plugins(plugin_files)
    collisions = _collisions(host.registry)
    if as_json:
        print_json({"plugins": [_plugin_json(p) for p in host.plugins], "collisions": collisions})
        return
    from tabulate import tabulate

    rows = [
        (p.name, p.origin, "BROKEN" if p.error else "ok", f"{1000 * p.seconds:.0f} ms", _offers(p))
        for p in host.plugins
    ]
    click.echo(printable(tabulate(rows, headers=("plugin", "from", "state", "load", "offers"))))
    for plugin in host.plugins:
        if plugin.error:
            click.echo(printable(f"\n{plugin.name} ({plugin.origin}) is broken, {plugin.error}"))
            if show_traceback:
                click.echo(printable(plugin.traceback))
    for line in collisions:
        click.echo(printable(f"\ncollision: {line}"))


def _offers(plugin: LoadedPlugin) -> str:
    return "; ".join(f"{kind}s {', '.join(names)}" for kind, names in plugin.offers.items())


def _plugin_json(plugin: LoadedPlugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "module": plugin.module,
        "origin": origin_json(plugin.origin),
        "seconds": round(plugin.seconds, 6),
        "offers": plugin.offers,
        "error": plugin.error or None,
        "traceback": plugin.traceback or None,
    }


def _collisions(registry: Registry) -> list[str]:
    lines = []
    for kind in KINDS:
        for name in dict.fromkeys(entry.info.name for entry in registry.entries(kind)):
            origins = registry.claimants(kind, name)
            if len(origins) > 1:
                lines.append(collision(kind, name, origins))
    return lines
