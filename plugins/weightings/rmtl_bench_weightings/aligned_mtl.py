"""Gradients with their principal components brought to one size, Aligned-MTL."""

from __future__ import annotations

from collections.abc import Sequence

from torchjd.aggregation import AlignedMTLWeighting

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.through_torchjd import OfGramian


class AlignedComponents(OfGramian):
    """Independent component alignment, Aligned-MTL (Senushkin et al., CVPR 2023)::

        G = V Lambda V^T,    B = sqrt(s) V Lambda^(-1/2) V^T,    w = B w_0,    w_0 = 1/K

    through ``torchjd.aggregation.AlignedMTLWeighting``; eigenvalues that are 0 up to rounding are left out. The scale s
    is the smallest eigenvalue left (``scale = "min"``, the paper's), their median or their mean (``rmse``, the authors'
    code). LibMTL has w_0 = 1 instead of 1/K, a factor of K.
    """

    def __init__(self, tasks: Sequence[Task], scale: str = "min", scope: str = "shared") -> None:
        super().__init__(tasks, scope)
        self.wrap(AlignedMTLWeighting(scale_mode=scale))
