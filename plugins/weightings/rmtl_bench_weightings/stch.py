"""Smooth Tchebycheff scalarization, STCH."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchjd.scalarization import STCH

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.through_torchjd import Scalarized

_FAR_BELOW = -1e30


class SmoothTchebycheff(Scalarized):
    """Smooth Tchebycheff scalarization, STCH (Lin et al., ICML 2024)::

        L = mu log sum_k exp(w_k (L_k - z_k) / mu),    w_k = 1/K,  z_k = 0

    through ``torchjd.scalarization.STCH``: a smooth maximum of the losses, the closer to it the smaller mu. The
    reported weights, its derivatives, sum to 1/K. The paper tries mu of 0.01, 0.1, 0.5 and 1; 0.1 is the default here.
    The ideal point z is 0, the smallest a cross-entropy can be. A task without a label in the batch has no share.

    Where others differ: LibMTL warms up on the sum of log L_k, then takes log(L_k / nadir point) for L_k, times K.
    """

    capturable = True

    def __init__(self, tasks: Sequence[Task], smoothing: float = 0.1) -> None:
        super().__init__(tasks)
        self.scalarizer = STCH(smoothing)

    def resting(self, means: Tensor, known: Tensor) -> Tensor:
        """Return a loss that is never the largest."""
        return torch.full_like(means, _FAR_BELOW)
