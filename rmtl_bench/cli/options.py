"""Options that several commands share."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

from rmtl_bench.cli.completion import shown_metrics, suites
from rmtl_bench.contracts.wording import printable

if TYPE_CHECKING:
    from rmtl_bench.report import Document
    from rmtl_bench.store import Refreshed

Command = TypeVar("Command", bound=Callable[..., Any])

_NO_TERMINAL_WIDTH = 120
_SUITE = "NAME, NAME@VERSION or a .toml file; +MINE behind it adds a weighting, backbone or data set."
DEFAULT_STORE = Path("results/store")
FORMATS = ("table", "markdown", "latex", "html", "csv", "json")
"""The formats of a report; named here too, since a --help must not import pandas. A test compares the two."""
PROTOCOLS = ("paired-t", "wilcoxon", "sign-flip", "rmtl-paper")
"""The protocols of :mod:`rmtl_bench.statistics`; named here too, for the same reason."""


class NumberOrAuto(click.ParamType):  # type: ignore[type-arg]  # a generic class from click 8.4 on alone
    """A whole number from 1, or ``auto``, which is 0."""

    name = "auto|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number; fail with a line that says what is right."""
        if isinstance(value, int):
            return value
        if value == "auto":
            return 0
        if not (value.isascii() and value.isdigit() and int(value) > 0):
            self.fail(f"{value!r} is neither auto nor a whole number from 1", param, ctx)
        return int(value)


class Duration(click.ParamType):  # type: ignore[type-arg]  # a generic class from click 8.4 on alone
    """A time such as ``90``, ``90s``, ``30m`` or ``2h``, in seconds."""

    name = "TIME"
    _UNITS: ClassVar[dict[str, float]] = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}

    def __init__(self, zero: bool = False) -> None:
        self._zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds; fail with a line that says what is right."""
        right = "a time such as 90s, 30m or 2h"
        return _quantity(self, value, self._UNITS, right, param, ctx, self._zero)


class Size(click.ParamType):  # type: ignore[type-arg]  # a generic class from click 8.4 on alone
    """An amount of memory such as ``512MB`` or ``4GB``, in bytes; GiB and MiB are powers of two."""

    name = "SIZE"
    _UNITS: ClassVar[dict[str, float]] = {"mb": 1e6, "gb": 1e9, "mib": 2**20, "gib": 2**30, "m": 1e6, "g": 1e9}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes; fail with a line that says what is right."""
        return int(_quantity(self, value, self._UNITS, "an amount of memory such as 512MB or 4GB", param, ctx))


def _quantity(
    kind: click.ParamType,  # type: ignore[type-arg]
    value: Any,
    units: Mapping[str, float],
    right: str,
    param: click.Parameter | None,
    ctx: click.Context | None,
    zero: bool = False,
) -> float:
    """Return a number with its unit as a number of the smallest one; nought only where that can be."""
    if isinstance(value, int | float):
        return float(value)
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-zA-Z]*)", value, re.ASCII)
    if match is None or match[2].lower() not in units or not (zero or float(match[1])):
        kind.fail(f"{value!r} is not {right}", param, ctx)
    return float(match[1]) * units[match[2].lower()]


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
    return click.option("--suite", "suite_name", required=True, shell_complete=suites, help=_SUITE)(command)


def optional_suite_options(command: Command) -> Command:
    """``--suite NAME`` and ``--sample`` for a command that does without, too; see :func:`check_sample`."""
    sample = click.option("--sample", is_flag=True, help="Take what the suite's own [sample] section declares.")
    suite = click.option("--suite", "suite_name", default=None, shell_complete=suites, help=_SUITE)
    return suite(sample(command))


def check_sample(suite_name: str | None, sample: bool) -> None:
    """Refuse ``--sample`` without a suite."""
    if sample and suite_name is None:
        raise click.UsageError("--sample needs --suite: it is a suite's own sample")


def metric_option(command: Command) -> Command:
    """``--metric NAME``, repeatable."""
    return click.option(
        "--metric",
        "metrics",
        multiple=True,
        metavar="NAME",
        shell_complete=shown_metrics,
        help="Show this metric (repeatable), or all; csv and json hold all anyway.",
    )(command)


def asked_metrics(metrics: tuple[str, ...], fmt: str) -> tuple[str, ...] | None:
    """Return the metrics that a report in this format needs read; None for all: csv and json hold all."""
    return None if fmt in ("csv", "json") else metrics


def protocol_option(command: Command) -> Command:
    """``--protocol NAME``."""
    return click.option(
        "--protocol",
        type=click.Choice(PROTOCOLS),
        default=PROTOCOLS[0],
        show_default=True,
        help="The test that decides; rmtl-paper imitates the paper's, with a warning.",
    )(command)


def report_options(command: Command) -> Command:
    """``--format FORMAT`` and ``--output FILE``."""
    command = output_option(command)
    return click.option("--format", "fmt", type=click.Choice(FORMATS), default="table", show_default=True)(command)


def output_option(command: Command) -> Command:
    """``--output FILE``."""
    return click.option(
        "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file instead of standard output."
    )(command)


def show_report(document: Document, fmt: str, output: Path | None, refreshed: Refreshed) -> None:
    """Print a report or write it to a file, and warn of the run folders that could not be read."""
    from rmtl_bench.report import render

    warn_of_problems(refreshed)
    text = render(document, fmt)
    # JSON has in letters what a terminal would take for a command; a file is not shown.
    write_or_print(text if fmt == "json" or output is not None else printable(text), output)


def write_or_print(text: str, output: Path | None) -> None:
    """Write a text to a file, or print it where none is named."""
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"--output {output} cannot be written: {error.strerror or error}") from error


def output_width() -> int:
    """Return the columns that standard output has; 120 where it is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _NO_TERMINAL_WIDTH


def print_foreign(text: str) -> None:
    """Print a text that holds names and messages of others, in whatever encoding standard output has.

    The text is to be free of control characters already, see :func:`~rmtl_bench.contracts.wording.printable`.
    """
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(text.encode(encoding, "replace").decode(encoding, "replace"))


def warn_of_problems(refreshed: Refreshed) -> None:
    """Say on stderr which folders of a store were passed over, and what else a refresh has to say."""
    for problem in refreshed.problems:
        click.echo(printable(f"warning: passed over: {problem.reason}"), err=True)
    if refreshed.note:
        click.echo(f"warning: {refreshed.note}", err=True)
