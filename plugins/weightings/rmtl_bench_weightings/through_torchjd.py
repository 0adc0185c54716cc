"""The adapter behind which torchjd's methods (MIT licence, Rey et al., https://torchjd.org) are weightings here.

A method's own module names the torchjd class and says where it and the paper differ; nothing of torchjd is copied.
What the adapter adds: weights to report, tasks without a label in the batch, random draws from the weighting's own
generator, and a state that survives saving and loading, where torchjd keeps it in plain attributes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import Weighted
from rmtl_bench_weightings.balancing import DirectionBalancing, GramianBalancing, LossBalancing

_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_PLAIN = (Tensor, int, float, str, torch.dtype, torch.device, type(None))


def state_of(module: nn.Module) -> dict[str, Any]:
    """Return a copy of what a torchjd module keeps in attributes and buffers.

    Parameters are left out, and so are functions and solvers, which are no state.
    """
    attributes = {k: v for k, v in vars(module).items() if k not in _OF_EVERY_MODULE and _is_plain(v)}
    return copy.deepcopy({"attributes": attributes, "buffers": dict(module._buffers)})


def restore(module: nn.Module, state: Mapping[str, Any]) -> None:
    """Put back what :func:`state_of` returned."""
    kept = copy.deepcopy(dict(state))
    vars(module).update(kept["attributes"])
    module._buffers.update(kept["buffers"])


def _is_plain(value: object) -> bool:
    return all(map(_is_plain, value)) if isinstance(value, (tuple, list)) else isinstance(value, _PLAIN)


@contextmanager
def draws_from(generator: torch.Generator) -> Iterator[None]:
    """Within, torch's default generators are seeded by a draw from ``generator``; behind, they stand as before."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    seed = int(torch.randint(2**31, (1,), generator=generator))
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


class Scalarized(LossBalancing):
    """A loss weighting whose scalar is made by a torchjd scalarizer; its parameters are trained by the trainer.

    The reported weights are the scalar's derivatives with respect to the losses.
    """

    scalarizer: nn.Module

    def balance(self, means: Tensor, known: Tensor) -> Weighted:
        """Return the scalar and its derivatives."""
        values = torch.where(known, means, self.resting(means.detach(), known))
        loss = self.scalarizer(values)
        (weights,) = torch.autograd.grad(loss, values, retain_graph=True)
        return Weighted(loss, torch.where(known, weights, 0.0))

    def resting(self, means: Tensor, known: Tensor) -> Tensor:
        """Return, for the tasks without a label in the batch, the losses [K] from which nothing is learnt."""
        return torch.zeros_like(means)


class _Wrapping:
    """Mixin: a torchjd method that is no submodule, since it keeps its state in its own way."""

    generator: torch.Generator

    def wrap(self, method: nn.Module) -> None:
        """Take a torchjd method as the wrapped one."""
        # In a tuple, hence no submodule: its buffers are None at first, which a state_dict cannot load into.
        self._wrapped = (method,)

    @property
    def method(self) -> nn.Module:
        """The wrapped torchjd method."""
        return self._wrapped[0]

    def ask(self, statistic: Tensor) -> Tensor:
        """Return what the method makes of a Gramian or Jacobian; its draws come from the weighting's generator."""
        with draws_from(self.generator):
            answer: Tensor = self.method(statistic)
        return answer

    def get_extra_state(self) -> dict[str, Any]:
        """Return the base's state and the method's."""
        state: dict[str, Any] = super().get_extra_state()  # type: ignore[misc]
        return {**state, "method": state_of(self.method)}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that :meth:`get_extra_state` gave."""
        super().set_extra_state(state)  # type: ignore[misc]
        restore(self.method, state["method"])


class OfGramian(_Wrapping, GramianBalancing):
    """A gradient weighting whose weights a torchjd weighting finds from the Gramian."""

    def balance(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Return the method's weights."""
        return self.ask(gramian)


class OfJacobian(_Wrapping, DirectionBalancing):
    """A gradient weighting whose weights a torchjd weighting finds from the Jacobian."""

    def balance(self, jacobian: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of the gradients under the method's weights, and these."""
        weights = self.ask(jacobian)
        return weights @ jacobian, weights
