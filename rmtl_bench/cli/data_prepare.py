"""``rmtl-bench data prepare NAME...``: raw files to a table that is ready to train on."""

from __future__ import annotations

import time
from pathlib import Path

import click

from rmtl_bench.cli.completion import offers, suites
from rmtl_bench.cli.data_info import counts
from rmtl_bench.cli.data_options import choose, data_dir_option, set_option
from rmtl_bench.cli.options import debug_option, plugin_option
from rmtl_bench.contracts.cell import Component
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.data.manifest import read_manifest
from rmtl_bench.data.preparation import prepared_folder
from rmtl_bench.execution.sources import DataSources
from rmtl_bench.plugins import Registry, load_plugins
from rmtl_bench.suites import datasets_of, read_variant


@click.command("prepare")
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=offers("dataset"))
@set_option
@click.option(
    "--suite", "suite_name", shell_complete=suites, help="Prepare what this suite needs, with its parameters."
)
@click.option("--sample", is_flag=True, help="With --suite: what its [sample] section declares.")
@data_dir_option
@plugin_option
@debug_option
def command(
    names: tuple[str, ...],
    settings: tuple[str, ...],
    suite_name: str | None,
    sample: bool,
    data_dir: Path | None,
    plugin_files: tuple[Path, ...],
) -> None:
    """Prepare data sets: split, sessions, vocabularies; done once for the same raw files and parameters."""
    if bool(names) == bool(suite_name):
        raise UsageError("data prepare takes names of data sets, or --suite NAME")
    if settings and len(names) != 1:
        raise UsageError("--set goes with one data set")
    registry = load_plugins(plugin_files).registry
    sources = DataSources(registry, data_dir)
    for component in _components(registry, names, settings, suite_name, sample):
        _prepare(sources, component)


def _components(
    registry: Registry, names: tuple[str, ...], settings: tuple[str, ...], suite_name: str | None, sample: bool
) -> list[Component]:
    if suite_name:
        return list(datasets_of(read_variant(registry, suite_name, sample=sample), registry))
    return [choose(registry, name, settings).component for name in names]


def _prepare(sources: DataSources, component: Component) -> None:
    begun = time.monotonic()
    digest = sources.fingerprint(component)
    folder = prepared_folder(component.name, digest, sources.cache_dir)
    if (folder / "table.json").exists():
        click.echo(f"{component.label}: already prepared in {folder}")
        return
    click.echo(f"{component.label}: preparing", err=True)
    sources.prepare(component, digest)
    click.echo(f"{component.label}: prepared in {time.monotonic() - begun:.1f} s in {folder}")
    for line in counts(read_manifest(folder)):
        click.echo(f"  {line}")
