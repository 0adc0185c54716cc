"""What an executor tells whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rmtl_bench.contracts.cell import Cell, Outcome


class Listener(Protocol):
    """Watches the execution of a plan; implemented by the command line's progress displays."""

    def preparing(self, dataset: str) -> None:
        """A data set is being prepared; this may take minutes the first time."""

    def started(self, cells: Sequence[Cell], jobs: int, device: str) -> None:
        """The first of ``cells`` is about to run."""

    def run_started(self, cell: Cell) -> None:
        """A run was handed to its process."""

    def epoch_finished(self, cell: Cell, record: Mapping[str, Any]) -> None:
        """A run finished an epoch; ``record`` holds ``stage``, ``epoch`` and ``score``."""

    def run_finished(self, cell: Cell, outcome: Outcome) -> None:
        """A run was published."""

    def run_lost(self, cell: Cell, reason: str) -> None:
        """A run was ended from outside, and is made again."""

    def waiting_for(self, cell: Cell) -> None:
        """Another command is making this run; its end is waited for."""

    def made_elsewhere(self, cell: Cell, outcome: Outcome) -> None:
        """Another command has published a run that was to be made here; it counts as done."""

    def stopped(self, failures: int, left: int) -> None:
        """So many runs ended badly that nothing more is run; ``left``: the runs that were not made."""
