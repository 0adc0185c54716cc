"""What ``rmtl-bench run`` does, from the suite to its runs; apart from the command, whose help costs no imports."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import click

from rmtl_bench.cli.options import output_width, warn_of_problems
from rmtl_bench.cli.progress import LiveProgress, PlainProgress, open_progress
from rmtl_bench.cli.run import Choices
from rmtl_bench.contracts.catalogue import Parameter
from rmtl_bench.contracts.cell import Cell
from rmtl_bench.contracts.errors import DataError, UsageError
from rmtl_bench.contracts.executor import Executor
from rmtl_bench.contracts.run_request import Limits
from rmtl_bench.contracts.wording import duration, printable
from rmtl_bench.execution import (
    DataSources,
    Options,
    RunStarter,
    SuiteRunner,
    missing_cells,
    stored_plan,
    with_sources,
)
from rmtl_bench.plugins import Registry, load_plugins
from rmtl_bench.store import Index, Store, save_plan
from rmtl_bench.store.standing import standing
from rmtl_bench.suites import Plan, Suite, datasets_of, expand, read_variant


def run_suite(choices: Choices, starter: RunStarter | None = None) -> int:
    """Run what a suite lacks in a store, with processes from ``starter``; return the exit code of the command."""
    host = load_plugins(choices.plugin_files)
    executor = _executor(choices, host.registry, starter)
    suite = read_variant(host.registry, choices.suite_name, sample=choices.sample, precision=choices.precision)
    sources = DataSources(host.registry, choices.data_dir)
    # The store is looked at first: a path that cannot be one should not cost the hashing of raw files.
    exists = choices.store_path.exists()
    store = Store.open(choices.store_path) if not choices.dry_run or exists else None
    if choices.fetch:
        _fetch_lacking(suite, host.registry, sources)
    plan = _expand(suite, host.registry, sources)
    cells = plan.only(choices.only)
    statuses, attempts = _standing(store, {cell.run_id for cell in cells} | set(plan.sources))
    pending = missing_cells(cells, statuses, choices.retry)
    _describe(plan, cells, pending, statuses, choices.retry)
    to_run = with_sources(pending, plan.sources, lambda run_id: _is_kept(store, run_id, statuses))
    _describe_sources(pending, to_run)
    if choices.dry_run or store is None:
        _list(to_run)
        return 0
    save_plan(store, stored_plan(plan))
    # Also where nothing is left to run: another command may have made what a dead one had begun.
    store.clean_staging()
    if to_run:
        runner = SuiteRunner(host, sources, store, progress := open_progress(), _options(choices), executor)
        _run(runner, progress, plan, to_run, attempts)
        if choices.profile:
            _describe_profiles(store, to_run)
    return _conclude(store, suite, cells)


def _options(choices: Choices) -> Options:
    return Options(
        choices.device,
        choices.jobs,
        choices.threads,
        choices.seeds_per_pass,
        choices.profile,
        Limits(choices.timeout, choices.memory_limit),
        choices.max_failures,
        choices.checkpoint_every,
    )


def _executor(choices: Choices, registry: Registry, starter: RunStarter | None) -> Executor:
    """Return the executor that was named, told what was said of it."""
    entry = registry.find("executor", choices.executor)
    given: dict[str, Any] = dict(_pair(text, entry.info.parameters) for text in choices.executor_options)
    if choices.address is not None:
        if "address" not in entry.info.parameters:
            raise UsageError(f"executor {choices.executor!r} has no address, given as --address {choices.address}")
        given["address"] = choices.address
    parameters = entry.info.resolve(given)
    if starter is not None:
        parameters["starter"] = starter
    executor: Executor = entry.load()(**parameters)
    return executor


def _pair(text: str, parameters: Mapping[str, Parameter]) -> tuple[str, Any]:
    """Return name and value of ``NAME=VALUE``, a number where the parameter is one; what it is not is left a text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--executor-option {text!r} is not of the form NAME=VALUE")
    kind = parameters[name].kind if name in parameters else "str"
    with suppress(ValueError):
        return name, {"float": float, "int": int}.get(kind, str)(value)
    return name, value


def _fetch_lacking(suite: Suite, registry: Registry, sources: DataSources) -> None:
    from rmtl_bench.cli.data_fetch import open_listener

    listener = open_listener()
    try:
        for component in datasets_of(suite, registry):
            sources.fetch_lacking(component, listener)
    finally:
        listener.close()


def _expand(suite: Suite, registry: Registry, sources: DataSources) -> Plan:
    try:
        return expand(suite, registry, sources.fingerprint)
    except DataError as error:
        hint = ""
        if suite.has_sample and not suite.sample:
            hint = f"\nOr try the suite on embedded data: rmtl-bench run --suite {suite.name} --sample"
        raise DataError(f"suite {suite.title_line} lacks data\n{error}{hint}") from error


def _standing(store: Store | None, run_ids: Collection[str]) -> tuple[dict[str, str], dict[str, int]]:
    """Return how runs ended, and their highest attempts; of ``run_ids`` those that are damaged are left out."""
    if store is None:
        return {}, {}
    found = standing(store, run_ids)
    warn_of_problems(found.refreshed)
    for fault in found.damaged.values():
        click.echo(printable(f"warning: not what was published, so it is run again: {fault}"), err=True)
    return found.statuses, found.attempts


def _describe(
    plan: Plan, cells: Sequence[Cell], pending: Sequence[Cell], statuses: Mapping[str, str], retry: str
) -> None:
    suite = plan.suite
    click.echo(f"suite {suite.title_line}: {len(cells)} cells, {len(pending)} to run", err=True)
    for note in (*suite.notes, *(f"skipped {s.label}: {s.reason}" for s in plan.skipped)):
        click.echo(f"  {note}", err=True)
    ended_badly = Counter(statuses.get(run_id, "ok") for run_id in {cell.run_id for cell in cells})
    # What was interrupted runs again anyway.
    for status in ("ok", "interrupted"):
        del ended_badly[status]
    if ended_badly and not retry:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(ended_badly.items()))
        click.echo(f"  {counts} earlier: --retry {','.join(sorted(ended_badly))} runs them again", err=True)
    if not pending:
        click.echo("nothing to run: every cell has its run", err=True)


def _is_kept(store: Store | None, run_id: str, statuses: Mapping[str, str]) -> bool:
    return store is not None and statuses.get(run_id) == "ok" and store.kept_file(run_id) is not None


def _describe_sources(pending: Sequence[Cell], to_run: Sequence[Cell]) -> None:
    selected = {cell.run_id for cell in pending}
    added = [cell.label for cell in to_run if cell.run_id not in selected]
    if added:
        names = ", ".join(dict.fromkeys(label.rpartition("/")[0] for label in added))
        click.echo(f"  {len(added)} more to run first, since others build on them: {names}", err=True)


def _list(cells: Sequence[Cell]) -> None:
    for cell in cells:
        click.echo(f"{cell.run_id}  {cell.label}")


def _run(
    runner: SuiteRunner,
    progress: PlainProgress | LiveProgress,
    plan: Plan,
    cells: Sequence[Cell],
    attempts: Mapping[str, int],
) -> None:
    begun = time.monotonic()
    with progress:
        try:
            counts = runner.run(f"{plan.suite.name}@{plan.suite.version}", cells, plan.sources, attempts)
        except KeyboardInterrupt:
            progress.say(f"interrupted: {progress.done} of {len(cells)} runs are published; go on with\n  {_again()}")
            raise
        finally:
            progress.say_warnings()
    summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    click.echo(f"{summary} in {duration(time.monotonic() - begun)}", err=True)


def _describe_profiles(store: Store, cells: Sequence[Cell]) -> None:
    from rmtl_bench.report.profile_text import profiled_runs, profiles_text

    runs = list(profiled_runs(store, cells))
    if runs:
        click.echo(f"{profiles_text(runs, output_width())}\n", err=True)
    if len(runs) < len(cells):
        click.echo(f"{len(cells) - len(runs)} of {len(cells)} runs have left no profile", err=True)


def _again() -> str:
    return shlex.join(["rmtl-bench", *sys.argv[1:]])


def _conclude(store: Store, suite: Suite, cells: Sequence[Cell]) -> int:
    statuses = {run_id: attempt.status for run_id, attempt in Index(store).latest().items()}
    sample = " --sample" if suite.sample else ""
    click.echo(f"see it with: rmtl-bench leaderboard --suite {suite.name}{sample} --store {store.path}", err=True)
    return 0 if all(statuses.get(cell.run_id) == "ok" for cell in cells) else 1
