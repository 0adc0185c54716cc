"""``rmtl-bench data``: what data sets there are, and their way from raw files to prepared tables."""

from __future__ import annotations

import click

from rmtl_bench.cli.main import LazyGroup


class DataGroup(LazyGroup):
    """The commands about data, imported on use."""

    modules = {  # noqa: RUF012 -- never written
        "list": "data_list",
        "info": "data_info",
        "fetch": "data_fetch",
        "prepare": "data_prepare",
        "verify": "data_verify",
    }


@click.group("data", cls=DataGroup)
def command() -> None:
    """Data sets: what exists, raw files, prepared tables."""
