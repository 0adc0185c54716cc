"""What the commands about data share: their options, and one data set with its parameters."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import click

from rmtl_bench.cli.completion import dataset_settings
from rmtl_bench.cli.options import Command
from rmtl_bench.contracts.catalogue import DatasetInfo
from rmtl_bench.contracts.cell import Component
from rmtl_bench.contracts.dataset import Dataset
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.plugins import Registry


class Chosen(NamedTuple):
    """A data set, what its plugin says of it, and its parameters."""

    dataset: Dataset
    info: DatasetInfo
    component: Component


def data_dir_option(command: Command) -> Command:
    """``--data-dir FOLDER``."""
    kind = click.Path(path_type=Path)
    return click.option("--data-dir", type=kind, help="Where raw files lie (default: $RMTL_BENCH_DATA).")(command)


def set_option(command: Command) -> Command:
    """``--set KEY=VALUE``, repeatable."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        shell_complete=dataset_settings,
        help="A parameter other than its default (repeatable), such as sessions=day or split=[0.7,0.1,0.2].",
    )(command)


def choose(registry: Registry, name: str, settings: Sequence[str] = ()) -> Chosen:
    """Return a data set with the given ``KEY=VALUE`` parameters; raise :class:`UsageError` for what cannot be."""
    entry = registry.find("dataset", name)
    component = entry.component(parse_settings(settings))
    return Chosen(entry.load()(**component.parameters), cast("DatasetInfo", entry.info), component)


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Return parameters given as ``KEY=VALUE``; raise :class:`UsageError` for one of another form, or given twice."""
    parsed: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not key or not equals:
            raise UsageError(f"--set {setting!r} is not of the form KEY=VALUE")
        if key in parsed:
            raise UsageError(f"--set gives {key!r} twice")
        parsed[key] = _value(text)
    return parsed


def _value(text: str) -> Any:
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        # A word needs no quotes here.
        return text
    # No parameter is a date or a table, and a line break would begin another key: these are texts, too.
    usable = document.keys() == {"value"} and isinstance(document["value"], (bool, int, float, str, list))
    return document["value"] if usable else text
