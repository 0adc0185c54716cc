"""``rmtl-bench suites``: suite files, before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from rmtl_bench.cli.catalogue import print_json
from rmtl_bench.cli.completion import offers
from rmtl_bench.cli.completion import suites as suite_names
from rmtl_bench.cli.options import debug_option, json_option, plugin_option, print_foreign, store_option
from rmtl_bench.contracts.errors import StoreError, UsageError
from rmtl_bench.contracts.wording import printable

if TYPE_CHECKING:
    from rmtl_bench.plugins import Registry
    from rmtl_bench.report.suite_check import CheckedSuite
    from rmtl_bench.store import Store
    from rmtl_bench.suites import Plan
    from rmtl_bench.suites.difference import Change, SharedRuns

_OF_SAMPLE = "sample: "
_SETS = ("metrics", "grid", "grid, skipped")
"""Settings of which it is shown what came and what went."""


@click.group("suites")
def command() -> None:
    """Suite files: make one, check one, compare two."""


@command.command("new")
@click.argument("name")
@click.option(
    "--dataset", "datasets", multiple=True, metavar="NAME", shell_complete=offers("dataset"), help="A data set."
)
@click.option(
    "--backbone", "backbones", multiple=True, metavar="NAME", shell_complete=offers("backbone"), help="A backbone."
)
@click.option(
    "--weighting",
    "weightings",
    multiple=True,
    metavar="NAME",
    shell_complete=offers("weighting"),
    help="A weighting; the first is the reference that the others are compared with.",
)
@click.option("--seeds", type=click.IntRange(1, 10_000), default=3, show_default=True, help="Seeds of every cell.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The file.  [default: NAME.toml]"
)
@plugin_option
@debug_option
def new(
    name: str,
    datasets: tuple[str, ...],
    backbones: tuple[str, ...],
    weightings: tuple[str, ...],
    seeds: int,
    output: Path | None,
    plugin_files: tuple[Path, ...],
) -> None:
    """Write a small suite file with comments, which runs as it is.

    What is not named is chosen: a data set that needs no raw files, the two oldest backbones and the three oldest loss
    weightings that go with it. --dataset, --backbone and --weighting can be repeated. A file that is there is not
    overwritten.
    """
    from rmtl_bench.plugins import load_plugins
    from rmtl_bench.suites.new import NewSuite, new_suite_text

    given = {"datasets": datasets, "backbones": backbones, "weightings": weightings}
    file = output or Path(f"{name}.toml")
    text = new_suite_text(load_plugins(plugin_files).registry, NewSuite(name, seeds, given), str(file))
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise UsageError(f"{file} is there already; name another with --output, or remove it") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror or error}") from error
    click.echo(f"{file} written; look at it, then: rmtl-bench suites check {file}")


@command.command("check")
@click.argument("suite_name", metavar="SUITE", shell_complete=suite_names)
@store_option
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where raw files lie (default: $RMTL_BENCH_DATA).")
@plugin_option
@json_option
@debug_option
def check(
    suite_name: str, store_path: Path, data_dir: Path | None, plugin_files: tuple[Path, ...], as_json: bool
) -> int:
    """Read a suite, expand it as a run does, and say what to expect of it.

    SUITE is NAME, NAME@VERSION or a .toml file. Its [sample] is checked, too. What is wrong ends with one line and
    exit code 2, or 3 for a plugin that is broken. Warnings (cells that will be skipped, missing raw files, comparisons
    that match nothing, too few seeds for the tests, components that stand in no grid) do not change the exit code. It
    is 5 when the store holds another suite under this name and version, which never changes once it has run.
    """
    from rmtl_bench.report.suite_check import check_plan

    desk = _desk(plugin_files, data_dir)
    store = _store(store_path)
    planned = [desk.plan(suite_name)]
    if planned[0].plan.suite.has_sample:
        planned.append(desk.plan(suite_name, sample=True))
    checked = [check_plan(p.plan, p.missing, desk.registry, store, unused=not p.plan.suite.sample) for p in planned]
    code = StoreError.exit_code if any(found.published for found in checked) else 0
    if as_json:
        print_json({"suites": [asdict(found) for found in checked], "exit_code": code})
        return code
    for found in checked:
        _print_checked(found)
    return code


@command.command("diff")
@click.argument("first", metavar="A", shell_complete=suite_names)
@click.argument("second", metavar="B", shell_complete=suite_names)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where raw files lie (default: $RMTL_BENCH_DATA).")
@plugin_option
@json_option
@debug_option
def diff(first: str, second: str, data_dir: Path | None, plugin_files: tuple[Path, ...], as_json: bool) -> None:
    """Show what suites A and B differ in, and which runs they share.

    Each is NAME, NAME@VERSION or a .toml file. What differs is what they mean, with all defaults filled in, not how
    they are written. A run that both make is made once in a store.
    """
    from rmtl_bench.suites.difference import changes, compare_runs

    desk = _desk(plugin_files, data_dir)
    sides = desk.plan(first), desk.plan(second)
    a, b = (side.plan for side in sides)
    found, runs = changes(a, b), compare_runs(a.cells, b.cells)
    if a.suite.has_sample and b.suite.has_sample:
        shown = {(change.setting, str(change.first), str(change.second)) for change in found}
        samples = changes(desk.plan(first, sample=True).plan, desk.plan(second, sample=True).plan)
        # What differs in the whole suites is not said again of their samples.
        new_ones = [c for c in samples if (c.setting, str(c.first), str(c.second)) not in shown]
        found += [type(c)(f"{_OF_SAMPLE}{c.setting}", c.first, c.second) for c in new_ones]
    elif a.suite.has_sample != b.suite.has_sample:
        from rmtl_bench.suites.difference import Change

        found.append(Change("[sample]", a.suite.has_sample, b.suite.has_sample))
    missing = {**sides[0].missing, **sides[1].missing}
    if as_json:
        shown_runs = {name: dict(value) for name, value in asdict(runs).items()}
        titles = [a.suite.title_line, b.suite.title_line]
        print_json(
            {"suites": titles, "changes": [asdict(c) for c in found], "runs": shown_runs, "without_data": [*missing]}
        )
        return
    _print_difference((a, b), found, runs, missing)


class _Planned(NamedTuple):
    """A suite's plan, and what is said of its data sets without raw files."""

    plan: Plan
    missing: Mapping[str, str]


class _Desk(NamedTuple):
    """What it takes to plan a suite without running it."""

    registry: Registry
    data_dir: Path | None

    def plan(self, name: str, *, sample: bool = False) -> _Planned:
        from rmtl_bench.execution import DataSources
        from rmtl_bench.suites import expand, read_variant
        from rmtl_bench.suites.fingerprints import LenientFingerprints

        suite = read_variant(self.registry, name, sample=sample)
        lenient = LenientFingerprints(DataSources(self.registry, self.data_dir).fingerprint)
        return _Planned(expand(suite, self.registry, lenient), lenient.missing)


def _desk(plugin_files: tuple[Path, ...], data_dir: Path | None) -> _Desk:
    from rmtl_bench.plugins import load_plugins

    return _Desk(load_plugins(plugin_files).registry, data_dir)


def _store(path: Path) -> Store | None:
    from rmtl_bench.store import Store

    return Store.open(path, create=False) if path.exists() else None


def _print_checked(found: CheckedSuite) -> None:
    click.echo(
        f"{found.title}: {found.combinations} combinations by {found.seeds} seeds are {found.cells} cells; "
        f"{found.runs} runs"
    )
    for warning in found.warnings:
        print_foreign(printable(f"warning: {warning}"))
    if found.published:
        print_foreign(printable(f"problem: {found.published}"))


def _print_difference(
    plans: tuple[Plan, Plan], found: list[Change], runs: SharedRuns, missing: Mapping[str, str]
) -> None:
    titles = [plan.suite.title_line for plan in plans]
    if titles[0] == titles[1]:
        titles = [f"{title} ({side})" for title, side in zip(titles, "AB", strict=True)]
    print_foreign(printable(f"{titles[0]} -> {titles[1]}"))
    for change in found:
        for line in _change_lines(change):
            print_foreign(printable(f"  {line}"))
    if not found:
        click.echo("  they mean the same")
    if found and plans[0].suite.title_line == plans[1].suite.title_line:
        click.echo("note: they have one name and version; a suite never changes once it has run")
    click.echo(f"runs that both make: {len(runs.shared)}")
    for title, only in zip(titles, (runs.only_first, runs.only_second), strict=True):
        print_foreign(printable(f"runs of {title} alone: {len(only)}"))
        # Where nothing is shared, each has all of its own.
        for line in _run_lines(only) if runs.shared else ():
            print_foreign(printable(f"  {line}"))
    for name in missing:
        print_foreign(printable(f"note: {name} has no raw files here; its runs are compared by what decides them"))


def _change_lines(change: Change) -> Iterator[str]:
    if change.setting.removeprefix(_OF_SAMPLE) in _SETS:
        gone = [item for item in change.first if item not in change.second]
        come = [item for item in change.second if item not in change.first]
        yield from (f"{change.setting}: - {item}" for item in gone)
        yield from (f"{change.setting}: + {item}" for item in come)
        if gone or come:
            return
    yield f"{change.setting}: {_word(change.first)} -> {_word(change.second)}"


def _word(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _run_lines(labels: Mapping[str, str]) -> Iterator[str]:
    from rmtl_bench.suites.difference import seeds_by_method

    for method, seeds in seeds_by_method(labels.values()).items():
        whole = seeds == list(range(seeds[0], seeds[-1] + 1)) and len(seeds) > 1
        yield f"{method}: seeds {seeds[0]} to {seeds[-1]}" if whole else f"{method}: seed {', '.join(map(str, seeds))}"
