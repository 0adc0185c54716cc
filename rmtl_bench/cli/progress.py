"""How a run in progress looks: a live display on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rmtl_bench.contracts.cell import Cell, Outcome
from rmtl_bench.contracts.wording import duration, reason


class _Progress:
    """Counts runs; the time left is the time so far, a run, times the runs left."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self.warnings: dict[str, list[str]] = {}
        self.begun = time.monotonic()

    def preparing(self, dataset: str) -> None:
        """A data set is being prepared."""
        self.say(f"preparing {dataset}")

    def started(self, cells: Sequence[Cell], jobs: int, device: str) -> None:
        """Runs are about to start."""
        self.total = len(cells)
        self.begun = time.monotonic()
        self.say(f"{len(cells)} runs on {device}, {jobs} at once")

    def run_started(self, cell: Cell) -> None:
        """A run was handed to its process."""

    def epoch_finished(self, cell: Cell, record: Mapping[str, Any]) -> None:
        """A run finished an epoch."""

    def run_finished(self, cell: Cell, outcome: Outcome) -> None:
        """A run was published."""
        self.done += 1
        line = f"[{self.done}/{self.total}] {outcome.status:<11} {cell.label}  {outcome.seconds:.1f} s"
        self.say(f"{line}, {self.time_left()} left" if self.done < self.total else line)
        if outcome.error:
            self.say(f"    {reason(outcome.error)}")
        for text in outcome.warnings:
            self.warnings.setdefault(text, []).append(cell.label)

    def run_lost(self, cell: Cell, reason: str) -> None:
        """A run is made again."""
        self.say(f"    {cell.label} is made again: {_first_line(reason)}")

    def waiting_for(self, cell: Cell) -> None:
        """Another command makes a run."""
        self.say(f"    {cell.label} is being made by another command")

    def made_elsewhere(self, cell: Cell, outcome: Outcome) -> None:
        """Another command has made a run."""
        self.done += 1
        self.say(f"[{self.done}/{self.total}] {outcome.status:<11} {cell.label}  by another command")

    def stopped(self, failures: int, left: int) -> None:
        """Nothing more is run."""
        runs = "run has" if failures == 1 else "runs have"
        self.say(f"stopped: {failures} {runs} ended badly; {left} not made")

    def say_warnings(self) -> None:
        """Print what the runs warned of, each text once."""
        for text, (first, *others) in self.warnings.items():
            more = f", and {len(others)} more {'run' if len(others) == 1 else 'runs'}" if others else ""
            self.say(f"warning: {text} ({first}{more})")

    def time_left(self) -> str:
        """Return an estimate from the runs finished so far."""
        if not self.done:
            return "?"
        return duration((time.monotonic() - self.begun) / self.done * (self.total - self.done))

    def say(self, line: str) -> None:
        """Print a line."""
        raise NotImplementedError


def _first_line(text: str) -> str:
    return (text.splitlines() or [""])[0]


class PlainProgress(_Progress):
    """One line a finished run, on stderr: standard output is for results."""

    def say(self, line: str) -> None:
        """Print a line at once."""
        print(line, file=sys.stderr, flush=True)

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class LiveProgress(_Progress):
    """A bar with the time left, and a line for every run in progress."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._display = Progress(*columns, console=Console(stderr=True), transient=True)
        self._all = self._display.add_task("runs", total=None, note="")
        self._running: dict[str, Any] = {}

    def started(self, cells: Sequence[Cell], jobs: int, device: str) -> None:
        """Set the length of the bar."""
        super().started(cells, jobs, device)
        self._display.update(self._all, total=len(cells))

    def run_started(self, cell: Cell) -> None:
        """Add a line for the run."""
        self._running[cell.run_id] = self._display.add_task(f"  {cell.label}", total=None, note="starting")

    def epoch_finished(self, cell: Cell, record: Mapping[str, Any]) -> None:
        """Show the stage, epoch and score of the run."""
        note = f"{record['stage']}, epoch {record['epoch']}, score {record['score']:.4f}"
        self._display.update(self._running[cell.run_id], note=note)

    def run_finished(self, cell: Cell, outcome: Outcome) -> None:
        """Take the run's line away and move the bar."""
        super().run_finished(cell, outcome)
        self._display.remove_task(self._running.pop(cell.run_id))
        self._display.update(self._all, completed=self.done, note=f"{self.time_left()} left")

    def run_lost(self, cell: Cell, reason: str) -> None:
        """Take the run's line away: it starts anew."""
        super().run_lost(cell, reason)
        self._display.remove_task(self._running.pop(cell.run_id))

    def made_elsewhere(self, cell: Cell, outcome: Outcome) -> None:
        """Move the bar."""
        super().made_elsewhere(cell, outcome)
        self._display.update(self._all, completed=self.done)

    def say(self, line: str) -> None:
        """Print a line above the display."""
        self._display.console.print(line, highlight=False, markup=False)

    def __enter__(self) -> LiveProgress:
        self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.stop()


def open_progress() -> PlainProgress | LiveProgress:
    """Return the live display where stderr is a terminal, plain lines elsewhere."""
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()
