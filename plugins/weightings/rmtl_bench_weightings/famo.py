"""Weights that make all losses fall at one rate, FAMO."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor
from torchjd.scalarization import FAMO

from rmtl_bench.contracts import Task, Weighted
from rmtl_bench_weightings.balancing import LossBalancing
from rmtl_bench_weightings.through_torchjd import restore, state_of

_NO_SHARE = 1e30


class FastAdaptive(LossBalancing):
    """Fast adaptive multitask optimization, FAMO (Liu et al., NeurIPS 2023)::

        z = softmax(xi),    L = c sum_k z_k log(L_k + eps),    c = 1 / sum_k z_k / (L_k + eps), a constant
        after the step, with the losses L'_k of the same batch:    delta_k = log(L_k + eps) - log(L'_k + eps)
        xi <- Adam(xi, (d z / d xi)^T delta)

    through ``torchjd.scalarization.FAMO``; xi = 0 at the start. Step size .025 and weight decay .001 as in the paper.
    The weights c z_k / (L_k + eps) sum to 1. A step takes a second forward pass. A task without a label in the batch
    has no share, and its delta is 0.

    Where others differ: the authors' class has a weight decay of .01, and 1e-5 elsewhere; their copy for MTRL
    multiplies by c where it should divide. They draw new dropout masks for the second pass, so that delta holds
    dropout's noise; here the masks are those of the step.
    """

    def __init__(self, tasks: Sequence[Task], step_size: float = 0.025, weight_decay: float = 0.001) -> None:
        super().__init__(tasks)
        method = FAMO(len(self.tasks), lr=step_size, weight_decay=weight_decay)
        # In a tuple, hence no submodule: the trainer must not train xi, FAMO does.
        self._wrapped = (method,)
        self.register_buffer("known", torch.ones(len(self.tasks), dtype=torch.bool), persistent=False)

    @property
    def method(self) -> FAMO:
        """The wrapped torchjd method."""
        return self._wrapped[0]

    def balance(self, means: Tensor, known: Tensor) -> Weighted:
        """Return the weighted logarithms of the losses, and the weights of the losses."""
        self.known = known
        values = torch.where(known, means, _NO_SHARE)
        loss = self.method(values)
        (weights,) = torch.autograd.grad(loss, values, retain_graph=True)
        return Weighted(loss, torch.where(known, weights, 0.0))

    def look_again(self, losses: Callable[[], Tensor]) -> None:
        """Move xi by what the step has done to the losses."""
        if len(self.tasks) > 1:
            self.method.update(torch.where(self.known, losses(), _NO_SHARE))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self.method._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def get_extra_state(self) -> dict[str, Any]:
        """Return the base's state, xi, and what its Adam has gathered."""
        adam = self.method._optimizer
        kept = {"method": state_of(self.method), "xi": self.method._w.detach().clone()}
        return {**super().get_extra_state(), **kept, "adam": None if adam is None else adam.state_dict()}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that :meth:`get_extra_state` gave."""
        super().set_extra_state(state)
        restore(self.method, state["method"])
        with torch.no_grad():
            self.method._w.copy_(state["xi"])
        self.method._optimizer = None
        if state["adam"] is not None:
            self.method._optimizer = torch.optim.Adam([self.method._w])
            self.method._optimizer.load_state_dict(state["adam"])
