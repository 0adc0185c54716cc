"""The status of a store as text: whole for reading once, short for watching, a line for a log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rmtl_bench.contracts.cell import STATUSES
from rmtl_bench.contracts.wording import duration, printable
from rmtl_bench.report.commands import run_command, show_command
from rmtl_bench.report.document import DASH
from rmtl_bench.report.stored_suite import suite_title
from rmtl_bench.report.suite_status import STATES, StoreStatus, SuiteStatus
from rmtl_bench.report.terminal import entry, filled, table
from rmtl_bench.store.progress import Progress

_DONE = STATUSES[0]


def store_text(status: StoreStatus, width: int) -> str:
    """Return a line a suite, and what is in progress, in lines of ``width`` where words allow it."""
    if not status.suites and not status.others:
        return f"{printable(str(status.store.path))}: no suite has been run in this store yet"
    rows = [(suite.plan.name, suite.counts) for suite in status.suites]
    running = {progress.run_id: progress for suite in status.suites for progress in suite.running}
    running |= {progress.run_id: progress for progress in status.others}
    left = [suite.left for suite in status.suites if suite.left is not None]
    parts = [printable(str(status.store.path)), "", _table("suite", rows, _shown([counts for _, counts in rows]))]
    parts += _in_progress(list(running.values()), status.at, width)
    parts += ["", f"about {duration(max(left))} left"] if left else []
    return "\n".join(parts)


def _shown(counts: Sequence[Mapping[str, int]]) -> list[str]:
    """Return the states that every store has a column for, and those that a run of this one is in."""
    always = ("ok", "failed", "running", "to come")
    return [state for state in STATES if state in always or any(each[state] for each in counts)]


def suite_text(suite: SuiteStatus, store: Path, at: float, width: int) -> str:
    """Return a suite's counts by data set and method, bad ends, runs in progress and the sum, the sum last."""
    parts = _title(suite, width)
    for skipped in suite.plan.skipped:
        parts += filled(f"skipped {skipped['label']}: {skipped['reason']}", width)
    for dataset, rows in _by_dataset(suite).items():
        parts += ["", printable(dataset), _table("method", rows, _seen(suite))]
    parts += _ended_badly(suite, width)
    parts += _in_progress(suite.running, at, width)
    return "\n".join([*parts, "", *filled(summary_line(suite, at), width), *_advice(suite, store)])


def watch_text(status: StoreStatus, width: int) -> str:
    """Return what may change soon, most important first: a screen may have place for the first lines only."""
    if len(status.suites) != 1:
        return store_text(status, width)
    (suite,) = status.suites
    parts = [*_title(suite, width), *filled(summary_line(suite, status.at), width)]
    parts += [*_in_progress([*suite.running, *status.others], status.at, width), *_ended_badly(suite, width)]
    for dataset, rows in _by_dataset(suite).items():
        unfinished = [(method, counts) for method, counts in rows if counts[_DONE] < sum(counts.values())]
        if unfinished:
            parts += ["", printable(dataset), _table("method", unfinished, _seen(suite))]
    return "\n".join(parts)


def summary_line(suite: SuiteStatus, at: float) -> str:
    """Return a suite's counts and times in one line."""
    counts = suite.counts
    said = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    line = f"{len(suite.plan.cells)} planned: {said}" if said else "nothing is planned"
    if not suite.running:
        return line + (f"; they took {duration(suite.seconds)} in all" if suite.seconds else "")
    begun = min((progress.begun for progress in suite.running if progress.begun), default=None)
    line += f"; {duration(at - begun)} so far" if begun else ""
    return line + (f", about {duration(suite.left)} left" if suite.left is not None else "")


def log_lines(status: StoreStatus) -> list[str]:
    """Return a line a suite with its counts alone, so that a line that has changed is one worth printing."""
    lines = []
    for suite in status.suites:
        counts = suite.counts
        said = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
        lines.append(f"{suite.plan.name}: {said or 'nothing is planned'}")
    if status.others:
        lines.append(f"of no suite here: {len(status.others)} running")
    return lines


def _title(suite: SuiteStatus, width: int) -> list[str]:
    return filled(suite_title(suite.plan), width)


def _by_dataset(suite: SuiteStatus) -> dict[str, list[tuple[str, Mapping[str, int]]]]:
    rows: dict[str, list[tuple[str, Mapping[str, int]]]] = {}
    for (dataset, method), counts in suite.methods.items():
        rows.setdefault(dataset, []).append((method, counts))
    return rows


def _seen(suite: SuiteStatus) -> list[str]:
    """Return the states that any run is in, and always the good one."""
    counts = suite.counts
    return [state for state in STATES if counts[state] or state == _DONE]


def _table(called: str, rows: Sequence[tuple[str, Mapping[str, int]]], states: Sequence[str]) -> str:
    lines = [
        (name, str(sum(counts.values())), *(str(counts[state] or DASH) for state in states)) for name, counts in rows
    ]
    return table((called, "planned", *states), lines)


def _ended_badly(suite: SuiteStatus, width: int) -> Iterable[str]:
    if suite.ended_badly:
        yield ""
        yield f"ended badly: {len(suite.ended_badly)}"
    for end in suite.ended_badly:
        yield from entry(f"{end.label}  {end.status}", end.reason, width)


def _in_progress(running: Sequence[Progress], at: float, width: int) -> Iterable[str]:
    if running:
        yield ""
        yield f"in progress: {len(running)}"
    for progress in running:
        yield from entry(progress.label or progress.run_id, _course(progress, at), width)


def _course(progress: Progress, at: float) -> str:
    since = duration(max(0.0, at - progress.started))
    if progress.score is None:
        return f"starting, {since}"
    return f"{progress.stage}, epoch {progress.epoch}, score {progress.score:.4f}, {since}"


def _advice(suite: SuiteStatus, store: Path) -> Iterable[str]:
    """Yield what to type next, in lines that may be copied; nothing where all is well."""
    if suite.running:
        return
    if suite.ended_badly:
        statuses = ",".join(dict.fromkeys(end.status for end in suite.ended_badly))
        yield f"the traceback:   {show_command(suite.ended_badly[0].run_id, store)}"
        yield f"run them again:  {run_command(suite.plan, store, retry=statuses)}"
    if suite.counts["to come"]:
        yield f"nothing is running; go on with:  {run_command(suite.plan, store)}"
