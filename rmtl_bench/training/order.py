"""The order of an epoch's rows: the trainer's setting ``shuffle``.

=========  ============================================================================================================
rows       one permutation of all rows, 8 bytes a row
blocks     the split is divided into blocks of ``shuffle_block_rows`` consecutive rows, and the blocks are permuted;
           so many at a time as ``shuffle_window`` says, one window after another, have their rows permuted together
=========  ============================================================================================================

Under ``blocks`` a batch comes from the blocks of one window, and of the next where that one ends within it. Rows that
stay on the disk are read block by block then, and memory holds one window: ``shuffle_window`` x ``shuffle_block_rows``
rows of each seed. Under both every row occurs once an epoch, and the order follows from a seed (``Streams.order``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from rmtl_bench.contracts.batch import SplitRows
from rmtl_bench.contracts.spans import span
from rmtl_bench.training.settings import TrainerSettings


class Batches(Protocol):
    """The batches of an epoch, as int64 positions of rows: [B] each, or [S, B] for S seeds side by side."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Tensor]: ...


class BlockBatches:
    """The batches of an epoch whose rows are shuffled by blocks, for one seed or several side by side.

    ``rows`` is told of each seed's window before batches are drawn from it. ``seeds``: of the orders.
    """

    def __init__(
        self, rows: SplitRows, seeds: Sequence[int], batch_size: int, block_rows: int, window: int, stacked: bool
    ) -> None:
        self.rows = rows
        self.seeds = seeds
        self.batch_size = batch_size
        self.block_rows = block_rows
        self.window = window
        self.stacked = stacked

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        # Positions of rows on the disk are looked at on the CPU: on a GPU they would have to be fetched in every step.
        device = self.rows.device if self.rows.resident else torch.device("cpu")
        orders = [self._of_seed(seed, place) for place, seed in enumerate(self.seeds)]
        try:
            for batches in zip(*orders, strict=True):
                yield (torch.stack(batches) if self.stacked else batches[0]).to(device)
        finally:
            for place in range(len(self.seeds)):
                self.rows.hold((), place)

    def _of_seed(self, seed: int, place: int) -> Iterator[Tensor]:
        """Yield the batches [B] of one seed."""
        left = torch.empty(0, dtype=torch.int64)
        for blocks, order in block_order(len(self.rows), seed, self.block_rows, self.window):
            with span("data"):
                self.rows.hold(blocks, place)
            left = torch.cat([left, order])
            whole = len(left) - len(left) % self.batch_size
            yield from left[:whole].split(self.batch_size) if whole else ()
            left = left[whole:]
        if len(left):
            yield left


def batches_of(rows: SplitRows, seeds: Sequence[int], settings: TrainerSettings, stacked: bool = False) -> Batches:
    """Return the batches of an epoch in the order that each of the ``seeds`` gives.

    ``stacked``: as [S, B], one order a seed; else as [B], and there is one seed.
    """
    if settings.shuffle == "blocks":
        block_rows, window = settings.shuffle_block_rows, settings.shuffle_window
        return BlockBatches(rows, seeds, settings.batch_size, block_rows, window, stacked)
    orders = [row_order(len(rows), seed) for seed in seeds]
    order = torch.stack(orders) if stacked else orders[0]
    return torch.split(order.to(rows.device), settings.batch_size, dim=-1)


def row_order(rows: int, seed: int) -> Tensor:
    """Return a permutation of all rows [N], int64, on the CPU."""
    return torch.randperm(rows, generator=torch.Generator().manual_seed(seed))


def block_order(rows: int, seed: int, block_rows: int, window: int) -> Iterator[tuple[list[range], Tensor]]:
    """Yield window by window its blocks, as ranges of rows, and all their rows in the order of the epoch, int64."""
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randperm(-(-rows // block_rows), generator=generator) * block_rows
    for of_window in starts.split(window):
        blocks = [range(start, min(start + block_rows, rows)) for start in of_window.tolist()]
        members = torch.cat([torch.arange(block.start, block.stop) for block in blocks])
        yield blocks, members[torch.randperm(len(members), generator=generator)]
