"""``rmtl-bench new KIND NAME``: a distribution with a plugin that works as it is written."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from rmtl_bench.cli.completion import words
from rmtl_bench.cli.options import debug_option
from rmtl_bench.plugins.registry import KINDS


@click.command("new")
@click.argument("kind", shell_complete=words(*KINDS))
@click.argument("name")
@click.option(
    "--folder",
    "parent",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Where to write the folder NAME.  [default: the current folder]",
)
@debug_option
def command(kind: str, name: str, parent: Path) -> None:
    """Write a new plugin: a distribution that installs, passes its tests and runs as it is.

    KIND is backbone, weighting, dataset, metric or executor; NAME is in lower case, as in my-method. Nothing is
    installed. What to type next is printed.
    """
    from rmtl_bench.plugins import load_plugins
    from rmtl_bench.scaffold import write_distribution
    from rmtl_bench.scaffold.wording import next_commands

    made = write_distribution(kind, name, parent, load_plugins().registry)
    click.echo(f"wrote {len(made.files)} files to {made.folder}:", err=True)
    for file in made.files:
        click.echo(f"  {file}", err=True)
    if made.suite is None:
        click.echo("no suite that tries it: of what is installed here, nothing suits one", err=True)
    click.echo("next:", err=True)
    for line in next_commands(made.names, shlex.quote(str(made.folder)), made.suite is not None):
        click.echo(f"  {line}")
