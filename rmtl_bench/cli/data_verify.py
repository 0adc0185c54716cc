"""``rmtl-bench data verify NAME...``: prepared tables against their manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from rmtl_bench.cli.data_options import data_dir_option
from rmtl_bench.cli.options import debug_option, plugin_option
from rmtl_bench.contracts.errors import DataError, RmtlBenchError, UsageError
from rmtl_bench.data.manifest import verify
from rmtl_bench.data.preparation import default_cache_dir, default_data_dir, prepared_folders, raw_file_stamps
from rmtl_bench.plugins import Registry, load_plugins


@click.command("verify")
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "every", is_flag=True, help="Every prepared table of every data set.")
@data_dir_option
@plugin_option
@debug_option
def command(names: tuple[str, ...], every: bool, data_dir: Path | None, plugin_files: tuple[Path, ...]) -> int:
    """Check every byte, every promise and every count of the prepared tables of data sets."""
    if bool(names) == every:
        raise UsageError("data verify takes names of data sets, or --all")
    registry = load_plugins(plugin_files).registry
    known = names or tuple(entry.info.name for entry in registry.entries("dataset"))
    for name in names:
        registry.find("dataset", name)
    folders = [(name, folder) for name in known for folder in prepared_folders(name, default_cache_dir())]
    lacking = [name for name in names if name not in {found for found, _ in folders}]
    if lacking or not folders:
        what = lacking[0] if lacking else "NAME"
        raise DataError(
            f"nothing is prepared of {', '.join(lacking) or 'any data set'}; type: rmtl-bench data prepare {what}"
        )
    good = [_verify(registry, name, folder, data_dir or default_data_dir()) for name, folder in folders]
    return 0 if all(good) else DataError.exit_code


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
    except RmtlBenchError:
        return "raw files are not there any more"
    same = sorted((file["name"], file["sha256"]) for file in found) == sorted(
        (file["name"], file["sha256"]) for file in recorded
    )
    return "raw files as they were" if same else "raw files are others now"
