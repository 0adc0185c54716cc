"""torch's own dropout, seed by seed: backbones that use ``nn.Dropout`` have each seed's masks side by side, too.

Alone, ``torch.nn.functional.dropout`` on the CPU draws its mask from torch's default generator, an element after the
other, and multiplies by it, divided by 1 - p. Under ``vmap`` torch draws one mask for all replicas together, which is
none that a replica would draw alone. Within :class:`OwnMasks`, under
:func:`~rmtl_bench.contracts.dropout.replica_generators`, replica s draws from its own generator instead, as alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from rmtl_bench.contracts.dropout import generators_of_replicas


class OwnMasks(TorchFunctionMode):
    """Within, ``torch.nn.functional.dropout`` of stacked tensors on the CPU has a mask of each replica's own.

    ``used``: whether it was called. To look at every function that is called takes time: who knows that none is a
    dropout does without.
    """

    used = False

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if function is F.dropout:
            self.used = True
            return _dropout(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


def _dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    if not training or not 0 < p < 1 or inplace or x.device.type != "cpu":
        return F.dropout(x, p, training, inplace)
    mask: Tensor = _Mask.apply(x.detach(), p)  # type: ignore[no-untyped-call]
    return x * mask


class _Mask(torch.autograd.Function):
    """A mask of the shape of x: 0 at the rate p, else 1 / (1 - p). It has no gradient."""

    @staticmethod
    def forward(x: Tensor, p: float) -> Tensor:
        return torch.empty_like(x).bernoulli_(1 - p).div_(1 - p)

    @staticmethod
    def setup_context(ctx: Any, _inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def vmap(_info: Any, in_dims: tuple[Any, ...], x: Tensor, p: float) -> tuple[Tensor, int]:
        stacked = x.movedim(in_dims[0], 0)
        generators: Sequence[torch.Generator | None] = generators_of_replicas()
        if len(generators) != len(stacked):
            generators = [None] * len(stacked)
        pairs = zip(stacked, generators, strict=True)
        masks = [torch.empty_like(own).bernoulli_(1 - p, generator=generator) for own, generator in pairs]
        return torch.stack(masks).div_(1 - p), 0
