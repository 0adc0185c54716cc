"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_STORE = Path("results/store")


def debug_option(command: Command) -> Command:
    """``--debug``: read by :func:`rmtl_bench.cli.main.main`, since an error may come before any command runs."""
    return click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")(command)


def plugin_option(command: Command) -> Command:
    """``--plugin FILE``, repeatable."""
    return click.option(
        "--plugin",
        "plugin_files",
        multiple=True,
        type=click.Path(path_type=Path),
        help="A one-file plugin to load beside the installed ones (repeatable).",
    )(command)


def json_option(command: Command) -> Command:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def store_option(command: Command) -> Command:
    """``--store FOLDER``."""
    return click.option(
        "--store",
        "store_path",
        type=click.Path(path_type=Path),
        default=DEFAULT_STORE,
        show_default=True,
        help="The folder of results.",
    )(command)


def suite_options(command: Command) -> Command:
    """``--suite NAME`` and ``--sample``."""
    command = click.option("--sample", is_flag=True, help="Take what the suite's own [sample] section declares.")(
        command
    )
    return click.option("--suite", "suite_name", required=True, help="NAME, NAME@VERSION or a .toml file.")(command)
