from __future__ import annotations

import subprocess
import sys

import click
import pytest

from rmtl_bench.cli.data import DataGroup
from rmtl_bench.cli.main import LazyGroup, cli

LISTED_WITHOUT = ("rmtl_bench.cli.run", "rmtl_bench.cli.options", "rmtl_bench.store", "numpy", "duckdb", "torch")
NO_HELP_NEEDS = ("numpy", "duckdb", "torch", "pandas", "scipy")


@pytest.mark.parametrize("group", [LazyGroup, DataGroup])
def test_the_summaries_in_a_listing_are_what_the_commands_say_of_themselves(group):
    for name, lazy in group.modules.items():
        command = group().get_command(click.Context(group()), name)
        assert command.name == name
        paragraph, *_ = command.help.strip().split("\n\n")
        assert lazy.summary == " ".join(paragraph.split())
        assert not command.hidden
        assert not command.deprecated


@pytest.mark.parametrize("width", [50, 80, 160])
@pytest.mark.parametrize("group", [cli, DataGroup("data")], ids=["rmtl-bench", "data"])
def test_a_listing_is_the_one_that_click_makes_of_the_commands(group, width):
    ours, clicks = click.HelpFormatter(width=width), click.HelpFormatter(width=width)
    group.format_commands(click.Context(group), ours)
    click.Group.format_commands(group, click.Context(group), clicks)
    assert ours.getvalue() == clicks.getvalue()
    assert len(ours.getvalue().splitlines()) > len(group.modules)


def test_no_command_is_called_nothing():
    assert LazyGroup().get_command(click.Context(cli), "rum") is None


@pytest.mark.parametrize(
    ("arguments", "lacking"),
    [(["--help"], LISTED_WITHOUT), (["data", "--help"], LISTED_WITHOUT), (["run", "--help"], NO_HELP_NEEDS)],
)
def test_help_imports_nothing_that_it_does_not_need(arguments, lacking, clean_environment):
    code = (
        "import sys\nfrom rmtl_bench.cli.main import cli\n"
        f"try:\n    cli({arguments!r})\nfinally:\n"
        f"    print('loaded', [name for name in {lacking!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, env=clean_environment, check=True
    )
    assert done.stdout.splitlines()[-1] == "loaded []"
