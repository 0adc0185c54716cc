"""The rows of a split that stay on the disk: batches are read from the memory maps of a prepared table.

Resident are the blocks that the order of batches has announced (:meth:`MappedRows.hold`), and nothing else. A row of
such a block is looked up there; any other is read through the map, which costs a page fault where the system does not
have its page at hand. Evaluations read in order, some rows at a time. The batches are those of
:class:`~rmtl_bench.data.rows.DeviceRows`, to the bit.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.dataset import SessionTable
from rmtl_bench.data.columns import Column

OF_BATCHES = ("categorical", "numerical", "labels", "label_mask", "session", "user")
"""The columns that a batch has."""


class MappedRows:
    """One split of a :class:`SessionTable` on the disk, batches of it on ``device``. Implements ``SplitRows``.

    ``labels``, ``label_mask``, ``session_end`` and ``optimum`` are looked at as a whole: on the CPU they are read-only
    views of the memory map, on another device copies, made when they are first asked for. To write to them is an error
    that ends the process.
    """

    resident = False

    def __init__(self, table: SessionTable, split: str, device: torch.device) -> None:
        rows = table.split(split)
        self.device = device
        self._table, self._rows = table, rows
        self._columns = {
            name: Column(array, rows) for name in OF_BATCHES if (array := getattr(table, name)) is not None
        }
        self._held: dict[int, _HeldBlocks] = {}

    @cached_property
    def labels(self) -> Tensor:
        """float32 [N, K], 0 where missing."""
        return self._whole(self._table.labels)

    @cached_property
    def label_mask(self) -> Tensor | None:
        """bool [N, K], or ``None``."""
        return None if self._table.label_mask is None else self._whole(self._table.label_mask)

    @cached_property
    def session_end(self) -> Tensor:
        """uint8 [N]."""
        return self._whole(self._table.session_end)

    @cached_property
    def optimum(self) -> Tensor | None:
        """float32 [N, K], or ``None``."""
        return None if self._table.optimum is None else self._whole(self._table.optimum)

    def _whole(self, array: NDArray[Any]) -> Tensor:
        with warnings.catch_warnings():
            # torch knows no read-only tensor, and says so.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            return torch.from_numpy(np.asarray(array[self._rows])).to(self.device)

    def __len__(self) -> int:
        return len(self._columns["labels"])

    @property
    def held_bytes(self) -> int:
        """The bytes of the blocks that are in memory now."""
        return sum(held.bytes for held in self._held.values())

    def hold(self, blocks: Sequence[range], place: int = 0) -> None:
        """Read these blocks of rows, in the order of the file, in place of those that were held for the seed."""
        self._held.pop(place, None)
        for column in self._columns.values():
            column.let_go()
        if blocks:
            self._held[place] = _HeldBlocks(self._columns, blocks, self.device)

    def batch(self, rows: Tensor) -> Batch:
        """Return the rows at the int64 positions ``rows`` [B]; positions [S, B] give batches stacked [S, B, ...]."""
        positions = rows.cpu()
        if positions.dim() == 1:
            found = self._look_up(positions, 0)
        else:
            own = [self._look_up(of_seed, place) for place, of_seed in enumerate(positions)]
            found = {name: torch.stack([columns[name] for columns in own]) for name in self._columns}
        return self._batch(found, rows.to(self.device))

    def batches(self, size: int) -> Iterator[Batch]:
        """Return all rows in order, ``size`` at a time."""
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            read = {name: torch.from_numpy(c.read(start, stop)).to(self.device) for name, c in self._columns.items()}
            yield self._batch(read, torch.arange(start, stop, device=self.device))

    def _batch(self, columns: dict[str, Tensor], rows: Tensor) -> Batch:
        return Batch(
            categorical=columns["categorical"],
            numerical=columns["numerical"],
            labels=columns["labels"],
            label_mask=columns.get("label_mask"),
            session=columns["session"],
            user=columns["user"],
            rows=rows,
        )

    def _look_up(self, rows: Tensor, place: int) -> dict[str, Tensor]:
        """Return the columns of the rows [B]: from the blocks held for a seed, or from the maps."""
        held = self._held.get(place)
        if held is None:
            return self._gather(rows)
        places = held.places(rows)
        outside = (places < 0).nonzero().squeeze(1)
        found = held.look_up(places.clamp(min=0) if len(outside) else places)
        if len(outside):
            others = self._gather(rows[outside])
            for name, column in found.items():
                column[outside.to(self.device)] = others[name]
        return found

    def _gather(self, rows: Tensor) -> dict[str, Tensor]:
        positions = rows.numpy()
        return {name: torch.from_numpy(c.gather(positions)).to(self.device) for name, c in self._columns.items()}


class _HeldBlocks:
    """Blocks of rows, one after another in memory, on the device."""

    def __init__(self, columns: dict[str, Column], blocks: Sequence[range], device: torch.device) -> None:
        in_order = sorted(blocks, key=lambda block: block.start)
        lengths = np.array([len(block) for block in in_order], dtype=np.int64)
        self._starts = torch.tensor([block.start for block in in_order])
        self._stops = torch.tensor([block.stop for block in in_order])
        self._offsets = torch.from_numpy(np.cumsum(lengths) - lengths) - self._starts
        self._device = device
        self._columns = {name: self._read(column, in_order, device) for name, column in columns.items()}

    @staticmethod
    def _read(column: Column, blocks: Sequence[range], device: torch.device) -> Tensor:
        into = np.empty((sum(len(block) for block in blocks), *column.row_shape), column.dtype)
        filled = 0
        for block in blocks:
            column.read(block.start, block.stop, into[filled : filled + len(block)])
            filled += len(block)
        return torch.from_numpy(into).to(device)

    @property
    def bytes(self) -> int:
        """The bytes of their columns."""
        return sum(column.nbytes for column in self._columns.values())

    def places(self, rows: Tensor) -> Tensor:
        """Return where each of the rows [B] lies, -1 where it does not; on the CPU."""
        block = torch.searchsorted(self._starts, rows, right=True).sub_(1).clamp_(min=0)
        inside = (rows >= self._starts[block]) & (rows < self._stops[block])
        return torch.where(inside, rows + self._offsets[block], -1)

    def look_up(self, places: Tensor) -> dict[str, Tensor]:
        """Return the columns at these places [B]."""
        places = places.to(self._device)
        return {name: column[places] for name, column in self._columns.items()}
