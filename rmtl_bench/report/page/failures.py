"""The runs that did not end well, those with the same traceback together, and how to run them again."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rmtl_bench.contracts.wording import printable, reason
from rmtl_bench.report.commands import run_command, show_command
from rmtl_bench.report.page.contents import ReportContents
from rmtl_bench.store import PlannedCell

MOST_TRACEBACKS = 40
"""The tracebacks shown in full; of further ones the last line is shown."""

LONGEST = 12_000
"""Characters of a traceback that are shown: of a longer one its end, which says what went wrong."""

MOST_RUNS = 60
"""The runs listed under one traceback."""


@dataclass(frozen=True)
class FailedRun:
    """A run that did not end well; ``command`` shows it."""

    run_id: str
    label: str
    attempt: int
    command: str


@dataclass(frozen=True)
class Failure:
    """Runs that ended with the same status and traceback: what it comes down to, and all of it where there is room."""

    status: str
    reason: str
    error: str
    runs: tuple[FailedRun, ...]
    more: int


@dataclass(frozen=True)
class Failures:
    """All of them; ``counts`` by status; ``retry`` is the command that runs them again, "" where there are none."""

    failures: tuple[Failure, ...]
    counts: Mapping[str, int]
    retry: str


def failures(contents: ReportContents) -> Failures:
    """Return the planned runs whose latest attempt did not end well, the most frequent traceback first."""
    plan, attempts, path = contents.suite.plan, contents.attempts, contents.store.path
    groups: dict[tuple[str, str], list[PlannedCell]] = {}
    for cell in plan.cells:
        attempt = attempts.get(cell.run_id)
        if attempt is not None and attempt.status != "ok":
            groups.setdefault((attempt.status, printable(attempt.error).rstrip()), []).append(cell)
    found = sorted(groups.items(), key=lambda item: -len(item[1]))
    shown = []
    for place, ((status, error), cells) in enumerate(found):
        runs = tuple(
            FailedRun(cell.run_id, _label(cell), attempts[cell.run_id].attempt, show_command(cell.run_id, path))
            for cell in cells[:MOST_RUNS]
        )
        text = _end(error) if place < MOST_TRACEBACKS else ""
        shown.append(Failure(status, reason(error) or "no message", text, runs, len(cells) - len(runs)))
    counts = Counter(attempts[cell.run_id].status for _, cells in found for cell in cells)
    retry = run_command(plan, path, retry=",".join(counts)) if counts else ""
    return Failures(tuple(shown), dict(counts), retry)


def cell_pattern(cell: PlannedCell) -> str:
    """Return the pattern of ``rmtl-bench run --only`` that names the cell of a run and no other one."""
    return glob.escape(f"{cell.dataset}/{cell.backbone}/{cell.weighting}")


def _label(cell: PlannedCell) -> str:
    return f"{cell.dataset}/{cell.backbone}/{cell.weighting}/{cell.seed}"


def _end(error: str) -> str:
    if len(error) <= LONGEST:
        return error
    cut = len(error) - LONGEST
    return f"[{cut:,} characters before are left out]\n…{error[-LONGEST:]}"
