"""Random streams: one seed fixes initialisation, batch order and dropout, each through a stream of its own.

===========  ============================================  =====================================
stream       depends on                                    so that
===========  ============================================  =====================================
init         data set, backbone, seed                      weightings start from the same weights
order        data set, stage order, epoch, seed            they see the same batches
dropout      data set, backbone, stage order, epoch, seed  they drop the same units
paired       data set, backbone, seed                      weightings that share a part of theirs share its draws
weighting    everything                                    their own draws are independent
===========  ============================================  =====================================

Results are therefore paired by seed. A stage that bears the same order name as another run's stage
(say, the pre-training of a staged weighting and the training of a plain one) repeats it bit for bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from rmtl_bench.contracts.cell import Cell, canonical_json


class Streams:
    """The seeds of one run's random streams, derived by SHA-256 from its identity."""

    def __init__(self, cell: Cell) -> None:
        self._data = [cell.dataset.identity(), cell.fingerprint, cell.seed]
        self._backbone = [*self._data, cell.backbone.identity()]
        self._run = cell.run_id

    def init(self) -> int:
        """Return the seed of the backbone's initialisation."""
        return _seed("init", self._backbone)

    def order(self, order: str, epoch: int) -> int:
        """Return the seed of the batch order of an epoch."""
        return _seed("order", self._data, order, epoch)

    def dropout(self, order: str, epoch: int) -> int:
        """Return the seed of dropout in an epoch."""
        return _seed("dropout", self._backbone, order, epoch)

    def paired(self, stream: str) -> int:
        """Return the seed of a stream that weightings have in common."""
        return _seed("paired", self._backbone, stream)

    def weighting(self, stream: str) -> int:
        """Return the seed of a stream of the weighting's own."""
        return _seed("weighting", self._run, stream)


def _seed(*parts: object) -> int:
    digest = hashlib.sha256(canonical_json(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True)
class RandomState:
    """Where torch's default generators stand: the CPU's, and that of a CUDA device if one is used."""

    cpu: Tensor
    cuda: Tensor | None
    device: torch.device

    @classmethod
    def of(cls, device: torch.device) -> RandomState:
        """Return where they stand now."""
        return cls(torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None, device)

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Within, the same numbers are drawn again; behind, it is as if nothing had been drawn."""
        now = RandomState.of(self.device)
        self.restore()
        try:
            yield
        finally:
            now.restore()

    def restore(self) -> None:
        """Let the generators stand where they stood."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)
