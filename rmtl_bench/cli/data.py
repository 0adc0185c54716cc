"""``rmtl-bench data``: what data sets there are, and their way from raw files to prepared tables."""

from __future__ import annotations

import click

from rmtl_bench.cli.main import Lazy, LazyGroup


class DataGroup(LazyGroup):
    """The commands about data, imported on use."""

    modules = {  # noqa: RUF012 -- never written
        "list": Lazy(
            "data_list", "List data sets: licence, size, whether raw files are found, how many tables are prepared."
        ),
        "info": Lazy("data_info", "Show a data set: licence, citation, raw files, parameters, and what is prepared."),
        "fetch": Lazy("data_fetch", "Download the raw files of data sets, or print the steps that bring them."),
        "prepare": Lazy(
            "data_prepare",
            "Prepare data sets: split, sessions, vocabularies; done once for the same raw files and parameters.",
        ),
        "verify": Lazy(
            "data_verify", "Check every byte, every promise and every count of the prepared tables of data sets."
        ),
    }


@click.group("data", cls=DataGroup)
def command() -> None:
    """Data sets: what exists, raw files, prepared tables."""
