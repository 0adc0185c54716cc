"""The entry point: commands are imported when they are called, errors become one line and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from rmtl_bench.contracts.errors import RmtlBenchError, did_you_mean
from rmtl_bench.contracts.version import __version__
from rmtl_bench.contracts.wording import printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_LONGEST = 4_000
"""The most characters of an error's message that are shown."""


class Lazy(NamedTuple):
    """A command that is imported on use: the module of this package that holds it as ``command``, and its summary.

    The summary is what the command's own help begins with, as a listing shows it; a test compares the two.
    """

    module: str
    summary: str


COMMANDS = {
    "run": Lazy("run", "Run a suite: every cell that the store does not hold yet."),
    "status": Lazy("status", "Show how far the suites of a store have come, or one suite in detail."),
    "show": Lazy("show", "Show everything of one run: its cell, scores, curves, weights, warnings, traceback."),
    "leaderboard": Lazy("leaderboard", "Rank the methods of a suite that was run, with intervals and tests."),
    "compare": Lazy("compare", "Compare method A with method B, each given as backbone/weighting, paired by seed."),
    "power": Lazy("power", "Say how many seeds it takes to see a difference, or what difference some seeds see."),
    "diagnostics": Lazy("diagnostics", "Show what weightings say of themselves, and the weights they used."),
    "report": Lazy("report", "Write the report of a suite as one HTML file that opens offline and can be mailed."),
    "export": Lazy("export", "Write every score of a suite: one row a run, task and metric."),
    "submit": Lazy("submit", "Write checked results as a submission."),
    "verify": Lazy("verify", "Check submissions: files, or all below folders."),
    "merge": Lazy("merge", "Copy the runs and plans of OTHER, a store or an archive of one, that the store lacks."),
    "prune": Lazy("prune", "Show what can go from a store, and with --yes remove it."),
    "list": Lazy("listing", "List KIND: backbones, weightings, datasets, metrics, executors or suites."),
    "info": Lazy("info", "Show one backbone, weighting, dataset, metric, executor or suite."),
    "suites": Lazy("suites", "Suite files: make one, check one, compare two."),
    "methods": Lazy(
        "methods",
        "Print a Markdown page on every weighting and backbone: papers, costs, parameters, where others differ.",
    ),
    "plugins": Lazy("plugins", "List the plugins found, broken ones included."),
    "new": Lazy("new", "Write a new plugin: a distribution that installs, passes its tests and runs as it is."),
    "doctor": Lazy("doctor", "Say what is installed, what is broken or missing, and what to type."),
    "check": Lazy("check", "Check that a plugin keeps to its contract."),
    "data": Lazy("data", "Data sets: what exists, raw files, prepared tables."),
    "db": Lazy("database", "The store itself: check it, export it, rebuild or query its index."),
    "completion": Lazy(
        "completion_script", "Print the script that lets bash, zsh or fish complete commands, options and names."
    ),
}
"""The commands by name, in the order a user meets them."""


class LazyGroup(click.Group):
    """A group whose commands are imported on use: a listing must not pay for a training, nor help for any of them."""

    modules: Mapping[str, Lazy] = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order a user meets them."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in self.modules:
            return None
        command: click.Command = import_module(f"rmtl_bench.cli.{self.modules[cmd_name].module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands and their summaries, as click does, without importing any."""
        width = formatter.width - 6 - max(map(len, self.modules))
        rows = [
            (name, click.Command(name, help=lazy.summary).get_short_help_str(width))
            for name, lazy in self.modules.items()
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that ``args`` name; an unknown one gets the nearest names."""
        known = ctx.resilient_parsing or not args or args[0].startswith("-") or args[0] in self.modules
        if not known:
            raise click.UsageError(f"unknown command {args[0]!r}" + did_you_mean(args[0], self.modules), ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
        """Return the commands and options that begin so, without importing a command."""
        from click.shell_completion import CompletionItem

        commands = [
            CompletionItem(name, help=lazy.summary)
            for name, lazy in self.modules.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rmtl-bench")
def cli() -> None:
    """Does a dynamic loss weighting really beat fixed and uncertainty weighting?

    Exit codes: 0 done; 1 some runs failed; 2 usage; 3 a plugin is broken or claims a taken name; 4 data are
    missing or malformed, or a submission is not true; 5 the store cannot be used; 130 interrupted. Every
    command takes --debug, which shows the traceback of an error.
    """


def main() -> None:
    """Run the command line and exit with a documented code."""
    if "_RMTL_BENCH_COMPLETE" in os.environ:
        # A shell asks what could come next.
        from rmtl_bench.cli.completion import answer

        sys.exit(answer(cli))
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
        if os.strerror(errno.ENOSPC) in str(error):
            _fail(f"no room is left on a disk: {error}; make some, then go on with the same command", 5)
        _fail(f"unforeseen {type(error).__name__}: {error} (--debug shows the traceback)", 1)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    # Names and values in it come from files, which may be anybody's.
    said = printable(message)
    click.echo(f"error: {said if len(said) <= _LONGEST else said[:_LONGEST] + ' ...'}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
