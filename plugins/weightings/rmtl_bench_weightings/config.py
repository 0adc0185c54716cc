"""A direction that makes the same angle with every gradient, ConFIG."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchjd.aggregation import ConFIG

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.through_torchjd import OfGramian


class ConflictFree(OfGramian):
    """Conflict-free inverse gradients, ConFIG (Liu, Chu and Thuerey, ICLR 2025)::

        v = U^+ 1,  U the unit gradients,    d = (sum_k g_k . v / |v|) v / |v|

    through ``torchjd.aggregation.ConFIG``. The direction lies in the span of the gradients and turns with them, so
    that torchjd is asked on a root R of the Gramian, R R^T = G, in K dimensions instead of P; its answer R^T w gives
    the weights.
    """

    def __init__(self, tasks: Sequence[Task], scope: str = "shared") -> None:
        super().__init__(tasks, scope)
        self.wrap(ConFIG())

    def balance(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Return the weights whose sum of gradients is ConFIG's direction."""
        eigenvalues, vectors = torch.linalg.eigh(gramian)
        root = vectors * eigenvalues.clamp(min=0).sqrt()
        return torch.linalg.pinv(root.T) @ self.ask(root)
