"""The cells that an executor has yet to start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rmtl_bench.contracts.cell import Cell

Most = Callable[[int, int], int]
"""How many cells to take at most of n that differ in their seed alone, where g groups of such cells are ready."""


class CellQueue:
    """Cells in the order in which to start them, but none before the source that it builds on has ended."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._waiting = list(cells)
        self._unfinished = {cell.run_id for cell in cells}
        self._ended: dict[str, str] = {}
        self._kinds: dict[int, str] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, most: Most | None = None) -> list[Cell]:
        """Return the next cell to start, and with it others that are ready and differ in their seed alone.

        ``most`` says how many; ``None``: one. Empty while all that are left wait for their sources.
        """
        ready = (place for place, cell in enumerate(self._waiting) if cell.source not in self._unfinished)
        if most is None:
            place = next(ready, None)
            return [] if place is None else [self._waiting.pop(place)]
        groups: dict[str, list[int]] = {}
        for place in ready:
            groups.setdefault(self._kind(self._waiting[place]), []).append(place)
        if not groups:
            return []
        alike = next(iter(groups.values()))
        taken = set(alike[: most(len(alike), len(groups))])
        cells = [self._waiting[place] for place in sorted(taken)]
        self._waiting = [cell for place, cell in enumerate(self._waiting) if place not in taken]
        return cells

    def put_back(self, cells: Sequence[Cell]) -> None:
        """Let cells that were taken and not begun be the next to start."""
        self._waiting[:0] = cells

    def finished(self, cell: Cell, status: str) -> None:
        """Note how a run has ended: what builds on it may start."""
        self._unfinished.discard(cell.run_id)
        self._ended[cell.run_id] = status

    def end_of_source(self, cell: Cell) -> str:
        """Return the status of the source that a cell builds on; empty if it was not to be run here."""
        return self._ended.get(cell.source, "")

    def _kind(self, cell: Cell) -> str:
        """Return what cells that differ in their seed alone have in common."""
        if id(cell) not in self._kinds:
            self._kinds[id(cell)] = f"{replace(cell, seed=0, source='').run_id} {bool(cell.source)}"
        return self._kinds[id(cell)]
