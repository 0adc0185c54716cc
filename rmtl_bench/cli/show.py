"""``rmtl-bench show``: everything that is known of one run."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rmtl_bench.cli.catalogue import print_json
from rmtl_bench.cli.completion import runs
from rmtl_bench.cli.options import debug_option, json_option, output_width, print_foreign, store_option


@click.command("show")
@click.argument("run", metavar="RUN", shell_complete=runs)
@store_option
@json_option
@debug_option
def command(run: str, store_path: Path, as_json: bool) -> None:
    """Show everything of one run: its cell, scores, curves, weights, warnings, traceback.

    RUN is a run's id, the first 4 or more digits of it, or what its suite calls it: dataset/backbone/weighting/seed.
    The latest attempt is shown, and all are listed.
    """
    from rmtl_bench.report.run_text import run_text
    from rmtl_bench.report.run_view import read_run_view, run_json
    from rmtl_bench.store import Store

    view = read_run_view(Store.open(store_path, create=False), run)
    if as_json:
        print_json(run_json(view))
        return
    print_foreign(run_text(view, output_width(), blocks=_has_blocks(sys.stdout.encoding)))


def _has_blocks(encoding: str | None) -> bool:
    from rmtl_bench.report.sparkline import BLOCKS

    try:
        f"{BLOCKS}│".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
