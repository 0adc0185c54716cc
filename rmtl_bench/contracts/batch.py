"""Batches, and the rows of a split from which they are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """B rows of a session table, on the training device.

    ``categorical`` int32 [B, F]; ``numerical`` float32 [B, D]; ``labels`` float32 [B, K], 0 where missing;
    ``label_mask`` bool [B, K], True where a label is known, or ``None`` when all are; ``session`` and ``user``
    int32 [B]; ``rows`` int64 [B], the positions of the rows in their split.
    """

    categorical: Tensor
    numerical: Tensor
    labels: Tensor
    label_mask: Tensor | None
    session: Tensor
    user: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return self.labels.shape[0]

    def replica(self, place: int) -> Batch:
        """Return the batch at a place of batches stacked [S, B, ...], as seeds side by side see them."""
        mask = None if self.label_mask is None else self.label_mask[place]
        return Batch(
            self.categorical[place],
            self.numerical[place],
            self.labels[place],
            mask,
            self.session[place],
            self.user[place],
            self.rows[place],
        )


class SplitRows(Protocol):
    """The rows of one split in session order; batches of them lie on the training device.

    The rows are resident there, or they stay on the disk and are read as they are asked for: the numbers are the same.
    The columns that are looked at as a whole are on the device either way, and never written to.
    """

    device: torch.device
    """Where batches and columns are."""

    @property
    def resident(self) -> bool:
        """Whether all rows lie on the device, so that a batch is an index into tensors and nothing is read."""
        ...

    @property
    def labels(self) -> Tensor:
        """float32 [N, K], 0 where missing."""
        ...

    @property
    def label_mask(self) -> Tensor | None:
        """bool [N, K], or ``None`` when no label is missing."""
        ...

    @property
    def session_end(self) -> Tensor:
        """uint8 [N]: 0 where row i+1 continues the session, 1 where the session ends, 2 where the split cuts it."""
        ...

    @property
    def optimum(self) -> Tensor | None:
        """float32 [N, K], the true probabilities of the labels where the data are simulated, else ``None``.

        For judging what was learnt; to train on it would be cheating.
        """
        ...

    def __len__(self) -> int: ...

    def hold(self, blocks: Sequence[range], place: int = 0) -> None:
        """Expect batches from these blocks of rows, and no longer from those that were announced before.

        ``place``: that of the seed, where several train side by side. No blocks: the order of the epoch is at its end.
        Any row may be asked for all the same.
        """
        ...

    def batch(self, rows: Tensor) -> Batch:
        """Return the rows at the int64 positions ``rows`` [B]; positions [S, B] give batches stacked [S, B, ...]."""
        ...

    def batches(self, size: int) -> Iterator[Batch]:
        """Return all rows in order, ``size`` at a time."""
        ...
