"""``rmtl-bench status``: how far a suite has come, what ended badly, what runs at the moment."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rmtl_bench.cli.catalogue import print_json
from rmtl_bench.cli.options import (
    check_sample,
    debug_option,
    json_option,
    optional_suite_options,
    output_width,
    print_foreign,
    store_option,
    warn_of_problems,
)

if TYPE_CHECKING:
    from rmtl_bench.report.suite_status import StoreStatus

_QUIET_LOOKS = 2
"""Between two runs there is a moment without any: only the second quiet look ends the watching."""


@click.command("status")
@optional_suite_options
@store_option
@click.option("--watch", is_flag=True, help="Look again and again until nothing runs.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two looks of --watch.",
)
@json_option
@debug_option
def command(
    suite_name: str | None, sample: bool, store_path: Path, watch: bool, interval: float, as_json: bool
) -> None:
    """Show how far the suites of a store have come, or one suite in detail.

    A run is in progress while the command that makes it lives. --watch keeps the picture up to date on a terminal, and
    prints a line whenever the counts have changed elsewhere; it ends, with exit code 0, when nothing has run for two
    looks, and on Ctrl-C with 130. It never disturbs the runs.
    """
    from rmtl_bench.report.suite_status import read_status, status_json
    from rmtl_bench.store import Store

    check_sample(suite_name, sample)
    if watch and as_json:
        raise click.UsageError("--watch and --json exclude each other")
    store = Store.open(store_path, create=False)

    def look() -> StoreStatus:
        return read_status(store, time.time(), suite_name, sample=sample)

    if watch:
        _watch(look, interval)
        return
    status = look()
    warn_of_problems(status.refreshed)
    if as_json:
        print_json(status_json(status))
    else:
        print_foreign(_text(status, suite_name is not None))


def _text(status: StoreStatus, in_detail: bool) -> str:
    from rmtl_bench.report.status_text import store_text, suite_text

    width = output_width()
    if in_detail:
        return suite_text(status.suites[0], status.store.path, status.at, width)
    return store_text(status, width)


def _watch(look: Callable[[], StoreStatus], interval: float) -> None:
    status = look()
    warn_of_problems(status.refreshed)
    show = _watch_live if sys.stdout.isatty() else _watch_lines
    show(look, status, interval)


def _watch_lines(look: Callable[[], StoreStatus], status: StoreStatus, interval: float) -> None:
    from rmtl_bench.contracts.wording import printable
    from rmtl_bench.report.status_text import log_lines

    said: set[str] = set()
    quiet = 0
    while True:
        lines = log_lines(status)
        for line in lines:
            if line not in said:
                print_foreign(f"{time.strftime('%H:%M:%S', time.localtime(status.at))}  {printable(line)}")
        sys.stdout.flush()
        said = set(lines)
        quiet = 0 if status.running else quiet + 1
        if quiet == _QUIET_LOOKS:
            return
        time.sleep(interval)
        status = look()


def _watch_live(look: Callable[[], StoreStatus], status: StoreStatus, interval: float) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from rmtl_bench.report.status_text import watch_text

    quiet = 0
    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            # A Text: what stands in brackets is no markup.
            live.update(Text(watch_text(status, output_width())), refresh=True)
            quiet = 0 if status.running else quiet + 1
            if quiet == _QUIET_LOOKS:
                return
            time.sleep(interval)
            status = look()
