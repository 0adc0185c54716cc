"""The rows of a split, resident on the training device: a batch is an index into tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.dataset import SessionTable


class DeviceRows:
    """One split of a :class:`SessionTable`, copied to ``device`` once. Implements ``SplitRows``."""

    resident = True

    def __init__(self, table: SessionTable, split: str, device: torch.device) -> None:
        self.device = device
        rows = table.split(split)

        def resident(column: NDArray[np.generic]) -> Tensor:
            # A copy: the column may be a read-only memory map.
            return torch.from_numpy(np.array(column[rows])).to(device)

        self.categorical = resident(table.categorical)
        self.numerical = resident(table.numerical)
        self.labels = resident(table.labels)
        self.label_mask = None if table.label_mask is None else resident(table.label_mask)
        self.session = resident(table.session)
        self.user = resident(table.user)
        self.session_end = resident(table.session_end)
        self.optimum = None if table.optimum is None else resident(table.optimum)

    def __len__(self) -> int:
        return self.labels.shape[0]

    def hold(self, blocks: Sequence[range], place: int = 0) -> None:
        """Nothing to do: all rows are in memory."""

    def batch(self, rows: Tensor) -> Batch:
        """Return the rows at the int64 positions ``rows`` [B]; positions [S, B] give batches stacked [S, B, ...]."""
        return Batch(
            categorical=self.categorical[rows],
            numerical=self.numerical[rows],
            labels=self.labels[rows],
            label_mask=None if self.label_mask is None else self.label_mask[rows],
            session=self.session[rows],
            user=self.user[rows],
            rows=rows,
        )

    def batches(self, size: int) -> Iterator[Batch]:
        """Return all rows in order, ``size`` at a time."""
        for rows in torch.arange(len(self), device=self.device).split(size):
            yield self.batch(rows)
