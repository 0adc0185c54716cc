"""``rmtl-bench data verify NAME...``: prepared tables against their manifests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from rmtl_bench.cli.completion import offers
from rmtl_bench.cli.data_options import data_dir_option, parse_settings, set_option
from rmtl_bench.cli.options import debug_option, plugin_option
from rmtl_bench.contracts.errors import DataError, RmtlBenchError, UsageError
from rmtl_bench.data.manifest import read_manifest, verify
from rmtl_bench.data.preparation import default_cache_dir, default_data_dir, prepared_folders, raw_file_stamps
from rmtl_bench.plugins import Registry, load_plugins


@click.command("verify")
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=offers("dataset"))
@set_option
@click.option("--all", "every", is_flag=True, help="Every prepared table in the cache, of whatever plugin.")
@data_dir_option
@plugin_option
@debug_option
def command(
    names: tuple[str, ...],
    settings: tuple[str, ...],
    every: bool,
    data_dir: Path | None,
    plugin_files: tuple[Path, ...],
) -> int:
    """Check every byte, every promise and every count of the prepared tables of data sets."""
    if bool(names) == every:
        raise UsageError("data verify takes names of data sets, or --all")
    if settings and len(names) != 1:
        raise UsageError("--set goes with one data set")
    registry = load_plugins(plugin_files).registry
    given = parse_settings(settings)
    wanted = {name: registry.find("dataset", name).component(given).parameters for name in names}
    found = {name: _folders(name, wanted[name] if settings else None) for name in names} if names else _all_folders()
    if not any(found.values()):
        what = ", ".join(found) or "any data set"
        raise DataError(f"nothing is prepared of {what}; type: rmtl-bench data prepare {next(iter(found), 'NAME')}")
    good = True
    for name, folders in found.items():
        if not folders:
            click.echo(f"error: nothing is prepared of {name}; type: rmtl-bench data prepare {name}", err=True)
            good = False
        for folder in folders:
            good &= _verify(registry, name, folder, data_dir or default_data_dir())
    return 0 if good else DataError.exit_code


def _folders(name: str, parameters: Mapping[str, Any] | None) -> list[Path]:
    """Return the prepared tables of a data set, those of other parameters left out where some are given."""
    folders = prepared_folders(name, default_cache_dir())
    if parameters is None:
        return folders
    # Written and read again: a tuple is a list in JSON.
    wanted = json.loads(json.dumps(dict(parameters)))
    return [folder for folder in folders if _parameters_of(folder) in (None, wanted)]


def _parameters_of(folder: Path) -> Any:
    try:
        return read_manifest(folder)["parameters"]
    except DataError:
        # The table may be the one that is meant: verifying it says what is wrong with it.
        return None


def _all_folders() -> dict[str, list[Path]]:
    """Return every prepared table by data set, those whose plugin is not loaded now among them."""
    found: dict[str, list[Path]] = {}
    # A folder whose name begins with a dot is being written, or was left by a process that was killed.
    for path in sorted((default_cache_dir() / "prepared").glob("[!.]*/table.json")):
        found.setdefault(path.parent.name.rpartition("-")[0], []).append(path.parent)
    return found


def _verify(registry: Registry, name: str, folder: Path, data_dir: Path) -> bool:
    try:
        manifest = verify(folder)
    except DataError as error:
        click.echo(f"error: {name}: {error}", err=True)
        return False
    rows = sum(manifest["rows"].values())
    raw = _raw_files(registry, name, manifest["parameters"], manifest["raw_files"], data_dir)
    click.echo(f"{name}: verified, {len(manifest['files'])} files, {rows:,} rows, {raw}: {folder}")
    return True


def _raw_files(
    registry: Registry, name: str, parameters: Mapping[str, Any], recorded: Sequence[Mapping[str, Any]], data_dir: Path
) -> str:
    """Return how the raw files of now are to those that the table was made of."""
    if not recorded:
        return "no raw files"
    try:
        entry = registry.find("dataset", name)
        dataset = entry.load()(**entry.info.resolve(parameters))
        found = raw_file_stamps(dataset.raw_files(data_dir), default_cache_dir())
    except DataError:
        return "raw files are not there any more"
    except RmtlBenchError as error:
        return f"raw files not compared ({error})"
    same = sorted((file["name"], file["sha256"]) for file in found) == sorted(
        (file["name"], file["sha256"]) for file in recorded
    )
    return "raw files as they were" if same else "raw files are others now"
