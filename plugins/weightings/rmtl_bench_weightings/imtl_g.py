"""A direction with the same projection on every task's gradient, IMTL-G."""

from __future__ import annotations

from collections.abc import Sequence

from torchjd.aggregation import IMTLGWeighting

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.through_torchjd import OfGramian


class ImpartialGradients(OfGramian):
    """Impartial multi-task learning by gradients, IMTL-G (Liu et al., ICLR 2021)::

        d = sum_k w_k g_k  with  d . g_k / |g_k|  the same for all k,  sum_k w_k = 1:    w ~ G^+ n,  n_k = |g_k|

    through ``torchjd.aggregation.IMTLGWeighting``. At two tasks w = (n_2, n_1) / (n_1 + n_2). From three tasks on a
    weight can be negative. The paper takes the gradients on the shared representation: ``scope = "representation"``.
    """

    def __init__(self, tasks: Sequence[Task], scope: str = "shared") -> None:
        super().__init__(tasks, scope)
        self.wrap(IMTLGWeighting())
