"""What several backbones of this distribution are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import ParallelMLP, UsageError

_SMALL_PRODUCT = 400
"""torch multiplies a batch of matrices on a CPU number by number if each takes fewer multiplications."""


class Gates(nn.Module):
    """``count`` gates: each the softmax of a linear layer without bias, as the papers of MMoE and PLE write it.

    Input: float32 [B, I], the same for all, or [count, B, I], one each. Output: mixing weights [count, B, choices].
    """

    def __init__(self, count: int, width: int, choices: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, width, choices))
        bound = 1 / math.sqrt(width)
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixing weights [count, B, choices]."""
        return torch.matmul(x, self.weight).softmax(dim=-1)


def mixture_of(weights: Tensor, experts: Tensor) -> Tensor:
    """Return mixtures of experts, sum_e weights[..., e] experts[..., e, :].

    From weights [K, B, E], or [B, E], and experts [K, B, E, H], each gate's own, or [B, E, H], the same for all gates.
    """
    gates = 1 if weights.dim() < experts.dim() else len(weights)
    if gates * experts.shape[-2] * experts.shape[-1] < _SMALL_PRODUCT:
        return (weights.unsqueeze(-1) * experts).sum(-2)
    return torch.einsum("...e,...eh->...h", weights, experts)


def logits_of(towers: ParallelMLP, x: Tensor) -> Tensor:
    """Return the logits [B, K] of one tower a task: its outputs [K, B, 1], turned."""
    outputs: Tensor = towers(x)
    return outputs.squeeze(2).T


def need_widths(backbone: str, bottom: Sequence[int]) -> None:
    """Raise :class:`UsageError` if ``bottom`` is empty: the backbone would share no layer at all."""
    if not bottom:
        raise UsageError(f"backbone {backbone!r}: parameter 'bottom' is empty; it takes at least one width")
