"""Where the time of profiled runs went, as text for a terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rmtl_bench.contracts.cell import Cell
from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.contracts.wording import printable
from rmtl_bench.report.document import DASH
from rmtl_bench.report.terminal import INDENT, filled, heading, table
from rmtl_bench.store import Store
from rmtl_bench.store.layout import TRACE_FILE
from rmtl_bench.store.profiles import RunProfile, in_order, read_profile


@dataclass(frozen=True)
class ProfiledRun:
    """A run, its folder and its profile."""

    cell: Cell
    folder: Path
    profile: RunProfile


def profiled_runs(store: Store, cells: Iterable[Cell]) -> Iterator[ProfiledRun]:
    """Yield the latest attempt at each cell, where it is there and has a profile that can be read."""
    latest = {folder.run_id: folder for folder in store.runs()}
    for cell in cells:
        try:
            profile = read_profile(latest[cell.run_id].path) if cell.run_id in latest else None
        except StoreError:
            continue
        if profile is not None:
            yield ProfiledRun(cell, latest[cell.run_id].path, profile)


def profiles_text(runs: Sequence[ProfiledRun], width: int) -> str:
    """Return a table a data set: the seconds of a run of each method, and the share of each part in them, in percent.

    Of runs of one process each has its share of the time.
    """
    methods: defaultdict[str, defaultdict[str, list[RunProfile]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        methods[run.cell.dataset.label][f"{run.cell.backbone.label}/{run.cell.weighting.label}"].append(run.profile)
    parts = in_order({part: None for run in runs for part in run.profile.seconds})
    lines: list[str] = []
    for dataset, found in methods.items():
        rows = [_row(method, profiles, parts) for method, profiles in found.items()]
        lines += heading(f"where the time went on {dataset}, in % of a run")
        lines.append(table(("method", "runs", "s a run", *parts), rows, indent=INDENT))
    traces = [run.folder for run in runs if run.profile.traced]
    if traces:
        what = f"traces for chrome://tracing or ui.perfetto.dev: {TRACE_FILE} in each run's folder, such as {traces[0]}"
        lines += ["", *filled(what, width)]
    troubles = sorted({run.profile.trouble for run in runs} - {""})
    lines += [line for trouble in troubles for line in filled(f"torch's profiler failed: {trouble}", width)]
    return "\n".join(lines)


def profile_lines(profile: RunProfile) -> Iterator[str]:
    """Yield the lines of one run: seconds, share and number of spans of each part."""
    shared = f", {profile.seeds} runs of one process together" if profile.seeds > 1 else ""
    yield from heading(f"where the time went{shared}")
    rows = [
        (part, f"{seconds:.2f}", _percent(seconds, profile.total), f"{profile.counts.get(part, 0) or DASH}")
        for part, seconds in ((part, profile.seconds[part]) for part in in_order(profile.seconds))
    ]
    yield table(("part", "s", "%", "times"), [*rows, ("all", f"{profile.total:.2f}", "100.0", DASH)], indent=INDENT)
    if profile.traced:
        steps = ", ".join(f"{steps} of stage {stage}" for stage, steps in profile.traced.items())
        yield printable(f"{INDENT}{TRACE_FILE} has the operations of the first steps: {steps}")
    if profile.trouble:
        yield printable(f"{INDENT}torch's profiler failed: {profile.trouble}")


def _row(method: str, profiles: Sequence[RunProfile], parts: Sequence[str]) -> tuple[str, ...]:
    # A profile of several seeds stands in the folder of each.
    seconds = {part: sum(p.seconds.get(part, 0.0) / p.seeds for p in profiles) for part in parts}
    total = sum(seconds.values())
    shares = (_percent(seconds[part], total) if seconds[part] else DASH for part in parts)
    return (method, str(len(profiles)), f"{total / len(profiles):.2f}", *shares)


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}" if whole else DASH
