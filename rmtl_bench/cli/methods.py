"""``rmtl-bench methods``: a page on the weightings and backbones that are installed."""

from __future__ import annotations

from pathlib import Path

import click

from rmtl_bench.cli.catalogue import warn_of_broken
from rmtl_bench.cli.options import debug_option, output_option, plugin_option, write_or_print
from rmtl_bench.plugins import load_plugins


@click.command("methods")
@output_option
@plugin_option
@debug_option
def command(output: Path | None, plugin_files: tuple[Path, ...]) -> None:
    """Print a Markdown page on every weighting and backbone: papers, costs, parameters, where others differ."""
    from rmtl_bench.report.methods import methods_page

    host = load_plugins(plugin_files)
    write_or_print(methods_page(host.registry), output)
    warn_of_broken(host)
