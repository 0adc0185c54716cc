"""``rmtl-bench data fetch NAME...``: raw files from where their owners publish them."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from rmtl_bench.cli.completion import offers
from rmtl_bench.cli.options import debug_option, plugin_option
from rmtl_bench.contracts.catalogue import DatasetInfo
from rmtl_bench.plugins import load_plugins

if TYPE_CHECKING:
    from rich.progress import TaskID


class PlainLines:
    """Tells of a fetch in lines: at its beginning, and every ten seconds."""

    def __init__(self) -> None:
        self._name, self._size, self._done, self._told = "", 0, 0, 0.0

    def started(self, name: str, size: int, done: int) -> None:
        """A transfer begins."""
        self._name, self._size, self._done, self._told = name, size, done, time.monotonic()
        resumed = f", going on at {_megabytes(done)}" if done else ""
        self.say(f"{name}: {_megabytes(size) if size else 'of unknown size'}{resumed}")

    def advanced(self, count: int) -> None:
        """More bytes are there."""
        self._done += count
        if time.monotonic() - self._told > 10:
            self._told = time.monotonic()
            of = f" of {_megabytes(self._size)}" if self._size else ""
            self.say(f"{self._name}: {_megabytes(self._done)}{of}")

    def say(self, text: str) -> None:
        """Print a line."""
        click.echo(text, err=True)

    def close(self) -> None:
        """Nothing is left to tell."""


class LiveBar:
    """Tells of a fetch with a bar."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task: TaskID | None = None
        self._progress.start()

    def started(self, name: str, size: int, done: int) -> None:
        """A transfer begins, or goes on after a cut."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(name, total=size or None, completed=done)

    def advanced(self, count: int) -> None:
        """More bytes are there."""
        if self._task is not None:
            self._progress.advance(self._task, count)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


@click.command("fetch")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=offers("dataset"))
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where raw files belong (default: $RMTL_BENCH_DATA).")
@click.option("--offline", is_flag=True, envvar="RMTL_BENCH_OFFLINE", help="Download nothing; say what would be.")
@click.option("--keep-archives", is_flag=True, help="Keep archives after unpacking.")
@plugin_option
@debug_option
def command(
    names: tuple[str, ...], data_dir: Path | None, offline: bool, keep_archives: bool, plugin_files: tuple[Path, ...]
) -> None:
    """Download the raw files of data sets, or print the steps that bring them."""
    from rmtl_bench.data.fetching import fetch
    from rmtl_bench.data.preparation import default_data_dir

    registry = load_plugins(plugin_files).registry
    infos = [cast("DatasetInfo", registry.find("dataset", name).info) for name in names]
    listener = open_listener()
    try:
        for info in infos:
            if info.source is None:
                listener.say(f"{info.name}: needs no raw files")
                continue
            place = data_dir or default_data_dir()
            folder = fetch(info.name, info.source, place, listener, offline=offline, keep_archives=keep_archives)
            listener.say(f"{info.name}: the raw files are in {folder}; next: rmtl-bench data prepare {info.name}")
    finally:
        listener.close()


def open_listener() -> PlainLines | LiveBar:
    """Return a bar on a terminal, else plain lines."""
    return LiveBar() if sys.stderr.isatty() else PlainLines()
