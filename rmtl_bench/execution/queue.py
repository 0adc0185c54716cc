"""The cells that an executor has yet to start."""

from __future__ import annotations

from collections.abc import Sequence

from rmtl_bench.contracts.cell import Cell


class CellQueue:
    """Cells in the order in which to start them, but none before the source that it builds on has ended."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._waiting = list(cells)
        self._unfinished = {cell.run_id for cell in cells}
        self._ended: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self) -> Cell | None:
        """Return the next cell to start; ``None`` while all that are left wait for their sources."""
        for place, cell in enumerate(self._waiting):
            if cell.source not in self._unfinished:
                return self._waiting.pop(place)
        return None

    def finished(self, cell: Cell, status: str) -> None:
        """Note how a run has ended: what builds on it may start."""
        self._unfinished.discard(cell.run_id)
        self._ended[cell.run_id] = status

    def end_of_source(self, cell: Cell) -> str:
        """Return the status of the source that a cell builds on; empty if it was not to be run here."""
        return self._ended.get(cell.source, "")
