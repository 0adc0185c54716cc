"""The weights that the steps of an epoch used, in bounded memory: their mean and quantiles."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

MOST_ROWS = 2**23
"""Rows of weights that are kept; of more, every second, fourth, eighth and so on is."""

_SAMPLE = 100_000
_LATEST = 32
"""Steps whose weights are gathered before they are copied to the others."""


class UsedWeights:
    """Gathers the weights of K tasks, step by step: each [K], or [B, K] where every row has its own.

    Up to :data:`MOST_ROWS` rows, mean and quantiles are those of all of them; beyond, the mean still is, its sum taken
    piece by piece, and the quantiles are those of an even sample of the rows.
    """

    def __init__(self, tasks: int, steps: Iterable[Tensor] = (), most_rows: int = MOST_ROWS) -> None:
        self._tasks = tasks
        self._most = most_rows
        self._buffer = torch.empty(0, tasks)
        self._filled = 0
        self._latest: list[Tensor] = []
        self._kept_rows = 0
        self._stride = 1
        self._next = 0
        self._rows = 0
        self._summed: Tensor | None = None
        for weights in steps:
            self.append(weights)

    def __len__(self) -> int:
        """The rows of weights so far."""
        return self._rows

    def append(self, weights: Tensor) -> None:
        """Add the weights of a step."""
        rows = weights.reshape(-1, self._tasks)
        if self._summed is not None:
            self._summed += rows.double().sum(0)
        # A copy: a view would keep all the rows of the step.
        kept = rows[self._next :: self._stride].clone() if self._stride > 1 else rows
        self._next = (self._next - len(rows)) % self._stride
        self._rows += len(rows)
        self._latest.append(kept)
        self._kept_rows += len(kept)
        if len(self._latest) >= _LATEST:
            self.kept()
        while self._kept_rows > self._most:
            self._thin()

    def kept(self) -> Tensor:
        """Return the rows that are kept so far, [N, K]."""
        if self._latest:
            # In one place: a small tensor kept from every step would hold the memory around it, which was freed.
            latest = torch.cat(self._latest)
            self._latest = []
            end = self._filled + len(latest)
            if end > len(self._buffer):
                larger = latest.new_empty(max(end, 2 * len(self._buffer)), self._tasks)
                larger[: self._filled] = self._buffer[: self._filled]
                self._buffer = larger
            self._buffer[self._filled : end] = latest
            self._filled = end
        return self._buffer[: self._filled]

    def _thin(self) -> None:
        """Keep every second row of those that are kept."""
        together = self.kept()
        if self._summed is None:
            self._summed = together.double().sum(0)
        # The next row to keep is the one that follows the last kept one at twice the distance.
        self._next += self._stride * (len(together) % 2)
        self._stride *= 2
        self._buffer = together[::2].clone()
        self._filled = self._kept_rows = len(self._buffer)

    def summary(self) -> tuple[list[float], Tensor]:
        """Return the mean of each task, K of them, and the quantiles [Q, K], float64; there must be a row."""
        weights = self.kept().double().cpu()
        # A quantile of a hundred thousand weights needs no more of them.
        sample = weights[:: max(1, len(weights) // _SAMPLE)]
        quantiles = torch.quantile(sample, torch.tensor(QUANTILES, dtype=torch.float64), dim=0)
        mean = weights.mean(0) if self._summed is None else self._summed.cpu() / self._rows
        return mean.tolist(), quantiles
