"""``rmtl-bench data list``: every data set, its licence and size, and what of it is here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click

from rmtl_bench.cli.catalogue import print_json
from rmtl_bench.cli.data_options import data_dir_option
from rmtl_bench.cli.options import debug_option, json_option, plugin_option
from rmtl_bench.contracts.catalogue import DatasetInfo
from rmtl_bench.contracts.errors import DataError, RmtlBenchError
from rmtl_bench.data.preparation import default_cache_dir, default_data_dir, prepared_folders
from rmtl_bench.plugins import load_plugins
from rmtl_bench.plugins.registry import Entry


@click.command("list")
@data_dir_option
@json_option
@plugin_option
@debug_option
def command(data_dir: Path | None, as_json: bool, plugin_files: tuple[Path, ...]) -> None:
    """List data sets: licence, size, whether raw files are found, how many tables are prepared."""
    registry = load_plugins(plugin_files).registry
    place, cache = data_dir or default_data_dir(), default_cache_dir()
    rows = [_row(entry, place, cache) for entry in registry.entries("dataset")]
    if as_json:
        print_json({"data_dir": str(place), "cache_dir": str(cache), "datasets": rows})
        return
    from tabulate import tabulate

    headers = ("name", "licence", "size", "raw files", "prepared")
    table = [[row["name"], row["licence"], row["size"], row["raw_files"], row["prepared"]] for row in rows]
    click.echo(tabulate(table, headers=headers, maxcolwidths=[None, 24, 44, 20, None]))
    click.echo(f"\nraw files are looked for in {place}, prepared tables are in {cache}")


def _row(entry: Entry, data_dir: Path, cache_dir: Path) -> dict[str, Any]:
    info = cast("DatasetInfo", entry.info)
    return {
        "name": info.name,
        "summary": info.summary,
        "licence": info.licence,
        "size": info.size,
        "raw_files": _raw_files(entry, data_dir),
        "prepared": len(prepared_folders(info.name, cache_dir)),
    }


def _raw_files(entry: Entry, data_dir: Path) -> str:
    try:
        files = entry.load()(**entry.info.resolve({})).raw_files(data_dir)
    except DataError:
        return "missing"
    except RmtlBenchError as error:
        return f"broken: {error}"
    except Exception as error:
        # Whatever a plugin raises, an import in its constructor say: one broken data set must not hide the others.
        return f"broken: {type(error).__name__}: {error}"
    return "found" if cast("DatasetInfo", entry.info).source else "none needed" if not files else "embedded"
