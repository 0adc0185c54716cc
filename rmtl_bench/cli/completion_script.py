"""``rmtl-bench completion SHELL``: the script by which a shell completes names."""

from __future__ import annotations

import click

from rmtl_bench.cli.completion import PROGRAM, VARIABLE
from rmtl_bench.cli.options import debug_option

_PLACES = {
    "bash": 'add to ~/.bashrc: eval "$(rmtl-bench completion bash)"',
    "zsh": 'add to ~/.zshrc, below the line with compinit: eval "$(rmtl-bench completion zsh)"',
    "fish": "write to ~/.config/fish/completions/rmtl-bench.fish: rmtl-bench completion fish > that file",
}
"""Where each script belongs."""


@click.command("completion")
@click.argument("shell", type=click.Choice(list(_PLACES)))
@debug_option
def command(shell: str) -> None:
    """Print the script that lets bash, zsh or fish complete commands, options and names.

    A comment in it says where to put it; nothing is installed. Suites, runs, cells, and what plugins offer are
    completed, with a word about each where the shell shows it.
    """
    from click.shell_completion import get_completion_class

    from rmtl_bench.cli.main import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click has no completion for {shell}")
    source = kind(cli, {}, PROGRAM, VARIABLE).source()
    if shell == "fish":
        # click's script cuts what is said of a name at its first comma.
        source = source.replace('string split ","', 'string split --max 1 ","')
    first, _, rest = source.partition("\n")
    # zsh reads what a script completes from its first line.
    click.echo(f"{first}\n# {_PLACES[shell]}\n{rest}", nl=False)
