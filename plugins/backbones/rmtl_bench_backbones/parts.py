"""What several backbones of this distribution are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import ParallelMLP, UsageError


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


def logits_of(towers: ParallelMLP, x: Tensor) -> Tensor:
    """Return the logits [B, K] of one tower a task: its outputs [K, B, 1], turned."""
    outputs: Tensor = towers(x)
    return outputs.squeeze(2).T


def need_widths(backbone: str, bottom: Sequence[int]) -> None:
    """Raise :class:`UsageError` if ``bottom`` is empty: the backbone would share no layer at all."""
    if not bottom:
        raise UsageError(f"backbone {backbone!r}: parameter 'bottom' is empty; it takes at least one width")
