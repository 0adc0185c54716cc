"""More weight where more can be gained, ExcessMTL."""

from __future__ import annotations

from collections.abc import Sequence

from torchjd.aggregation import ExcessMTLWeighting

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.through_torchjd import OfJacobian


class ExcessRisk(OfJacobian):
    """Excess risks, ExcessMTL (He et al., ICML 2024)::

        S_k += g_k^2,    e_k = sum g_k^2 / sqrt(S_k + 1e-7), divided by its first value
        w <- w exp(eta e) / sum_j w_j exp(eta e_j),    w = 1/K at the start

    through ``torchjd.aggregation.ExcessMTLWeighting``: e estimates how far a task is from its own optimum. eta is 1, as
    in the authors' code. The state has K times the size of the scope, which is why the representation, another at
    every step, cannot be one. The weights sum to 1.

    Where others differ: the authors' code and LibMTL start from weights of 1. The paper takes three epochs to find the
    first value of e; ``warm_up`` steps of even weights do it here, 0 by default, as in the authors' code.
    """

    def __init__(self, tasks: Sequence[Task], step_size: float = 1.0, warm_up: int = 0, scope: str = "shared") -> None:
        super().__init__(tasks, scope)
        self.wrap(ExcessMTLWeighting(step_size, warm_up))
