"""``rmtl-bench data info NAME``: everything about one data set, and what of it is here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rmtl_bench.cli.catalogue import filled, parameter_json, print_json
from rmtl_bench.cli.completion import offers
from rmtl_bench.cli.data_options import Chosen, choose, data_dir_option, set_option
from rmtl_bench.cli.options import debug_option, json_option, plugin_option
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.wording import printable
from rmtl_bench.data.fetching import by_hand
from rmtl_bench.data.manifest import read_manifest
from rmtl_bench.data.preparation import (
    default_cache_dir,
    default_data_dir,
    known_fingerprint,
    prepared_folder,
    prepared_folders,
)
from rmtl_bench.plugins import load_plugins


@click.command("info")
@click.argument("name", shell_complete=offers("dataset"))
@set_option
@data_dir_option
@json_option
@plugin_option
@debug_option
def command(
    name: str, settings: tuple[str, ...], data_dir: Path | None, as_json: bool, plugin_files: tuple[Path, ...]
) -> None:
    """Show a data set: licence, citation, raw files, parameters, and what is prepared."""
    chosen = choose(load_plugins(plugin_files).registry, name, settings)
    place = data_dir or default_data_dir()
    data = {**_description(chosen), **_raw_files(chosen, place), **_prepared(chosen, place, default_cache_dir())}
    if as_json:
        print_json(data)
        return
    parameters, manifest, steps = data.pop("parameters"), data.pop("manifest"), data.pop("by_hand")
    for key, value in data.items():
        if value not in ("", [], None):
            shown = "\n".join(f"{'':<18}{line}" for line in value)[18:] if isinstance(value, list) else value
            click.echo(printable(f"{key.replace('_', ' ') + ':':<18}{shown}"))
    if steps and data["raw_files"] == "missing":
        click.echo(f"by hand:\n{steps}")
    if parameters:
        from tabulate import tabulate

        shown_of = ("value", "default", "takes", "help")
        rows = [(key, *(filled(_plain(p[what])) for what in shown_of)) for key, p in parameters.items()]
        headers = ("parameter", "value", "default", "takes", "meaning")
        click.echo("\n" + tabulate(rows, headers=headers, disable_numparse=True))
    if manifest:
        click.echo(printable("\n" + "\n".join(counts(manifest))))


def counts(manifest: dict[str, Any]) -> list[str]:
    """Return what a manifest counts as lines of text."""
    splits = manifest["rows"]
    lines = [f"{split}: {rows:,} rows, {manifest['sessions'][split]:,} sessions" for split, rows in splits.items()]
    lines.append(f"sessions that a split boundary cuts: {manifest['cut_sessions']:,}")
    for task, rates in manifest["label_rates"].items():
        known = ", ".join(f"{split} {'-' if rate is None else f'{rate:.4f}'}" for split, rate in rates.items())
        lines.append(f"share of {task}: {known}")
    notes = {key: value for key, value in manifest["notes"].items() if value not in (None, "", [], {})}
    return lines + [f"{key.replace('_', ' ')}: {_plain(value)}" for key, value in notes.items()]


def _description(chosen: Chosen) -> dict[str, Any]:
    info = chosen.info
    given = chosen.component.parameters
    return {
        "name": info.name,
        "summary": info.summary,
        "licence": info.licence,
        "citation": info.paper,
        "size": info.size,
        "homepage": info.source.homepage if info.source else "",
        "parameters": {
            name: {"value": given.get(name, p.default), **parameter_json(p)} for name, p in info.parameters.items()
        },
    }


def _raw_files(chosen: Chosen, data_dir: Path) -> dict[str, Any]:
    source = chosen.info.source
    data: dict[str, Any] = {"raw_files": "none needed", "found": [], "by_hand": "", "type": ""}
    try:
        data["found"] = [str(path) for path in chosen.dataset.raw_files(data_dir)]
        if data["found"]:
            data["raw_files"] = "found" if source else "embedded"
    except DataError as error:
        data["raw_files"], data["looked_for"] = "missing", str(error).splitlines()[1:]
    if source:
        data["by_hand"] = by_hand(source, data_dir)
        if data["raw_files"] == "missing" and (source.downloads or source.kaggle):
            data["type"] = f"rmtl-bench data fetch {chosen.info.name}"
    return data


def _prepared(chosen: Chosen, data_dir: Path, cache_dir: Path) -> dict[str, Any]:
    """Return whether the table of these parameters is prepared, where, and which others are."""
    name, component = chosen.info.name, chosen.component
    manifests = {folder: _manifest(folder) for folder in prepared_folders(name, cache_dir)}
    alike = [m is None or m["parameters"] == _as_json(component.parameters) for m in manifests.values()]
    again = f"type: rmtl-bench data prepare {name}"
    data: dict[str, Any] = {"prepared": f"no; {again}", "manifest": None}
    try:
        fingerprint = known_fingerprint(chosen.dataset, component, data_dir, cache_dir)
        if fingerprint and (folder := prepared_folder(name, fingerprint, cache_dir)) in manifests:
            data["manifest"] = manifests.pop(folder)
            data["prepared"] = str(folder) if data["manifest"] else f"{folder}, whose manifest cannot be read"
        elif fingerprint is None and any(alike):
            # Whether a table is of these raw files is known once they were read, which may be gigabytes.
            data["prepared"] = f"unknown until prepared (raw files not read yet); {again}"
        elif any(alike):
            data["prepared"] = f"stale: made of other raw files or by another version; {again}"
    except DataError:
        data["prepared"] = "no: raw files are missing"
    defaults = _as_json(chosen.info.resolve({}))
    data["also_prepared"] = [f"{folder}{_difference(manifest, defaults)}" for folder, manifest in manifests.items()]
    return data


def _manifest(folder: Path) -> dict[str, Any] | None:
    try:
        return read_manifest(folder)
    except DataError:
        return None


def _difference(manifest: dict[str, Any] | None, defaults: dict[str, Any]) -> str:
    if manifest is None:
        return " (its manifest cannot be read)"
    others = (f"{k} = {_plain(v)}" for k, v in manifest["parameters"].items() if k not in defaults or defaults[k] != v)
    return f" ({'; '.join(others) or 'default parameters'})"


def _as_json(parameters: Any) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in dict(parameters).items()}


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, (list, tuple)) else str(value)
