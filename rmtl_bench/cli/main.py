"""The entry point: commands are imported when they are called, errors become one line and an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from importlib import import_module

import click

from rmtl_bench.contracts.errors import RmtlBenchError, did_you_mean
from rmtl_bench.contracts.version import __version__

COMMANDS = {
    "run": "run",
    "status": "status",
    "show": "show",
    "leaderboard": "leaderboard",
    "compare": "compare",
    "power": "power",
    "diagnostics": "diagnostics",
    "report": "report",
    "export": "export",
    "list": "listing",
    "info": "info",
    "methods": "methods",
    "plugins": "plugins",
    "data": "data",
    "db": "database",
}
"""Name of a command -> the module of this package that holds it as ``command``."""


class LazyGroup(click.Group):
    """A group whose commands are imported on use: a listing must not pay for a training."""

    modules: Mapping[str, str] = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order a user meets them."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in self.modules:
            return None
        command: click.Command = import_module(f"rmtl_bench.cli.{self.modules[cmd_name]}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that ``args`` name; an unknown one gets the nearest names."""
        if args and not args[0].startswith("-") and args[0] not in self.modules:
            raise click.UsageError(f"unknown command {args[0]!r}" + did_you_mean(args[0], self.modules), ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rmtl-bench")
def cli() -> None:
    """Does a dynamic loss weighting really beat fixed and uncertainty weighting?

    Exit codes: 0 done; 1 some runs failed; 2 usage; 3 a plugin is broken or claims a taken name; 4 data are
    missing or malformed; 5 the store cannot be used; 130 interrupted. Every command takes --debug, which
    shows the traceback of an error.
    """


def main() -> None:
    """Run the command line and exit with a documented code."""
    debug = "--debug" in sys.argv[1:]
    try:
        code = cli.main(prog_name="rmtl-bench", standalone_mode=False)
    except click.ClickException as error:
        if debug:
            traceback.print_exc()
        hint = getattr(error, "ctx", None)
        where = f" (see {hint.command_path} --help)" if hint is not None else ""
        _fail(error.format_message() + where, error.exit_code)
    except RmtlBenchError as error:
        if debug:
            traceback.print_exc()
        _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away; nothing is left to say, nor anybody to say it to.
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        if debug:
            traceback.print_exc()
        _fail(f"unforeseen {type(error).__name__}: {error} (--debug shows the traceback)", 1)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
