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
