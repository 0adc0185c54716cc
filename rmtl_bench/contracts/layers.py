"""Layers that most backbones and critics are made of. Use them, or any other torch module."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.dropout import relu_dropout
from rmtl_bench.contracts.lookup import KeptGradient, lookup
from rmtl_bench.contracts.schema import Schema


class FieldEmbedding(nn.Module):
    """One vector per categorical field, plus one for all numerical columns together, side by side.

    All fields share one table of ``sum of vocabulary sizes`` rows, so that a batch is one look-up. Rows are
    drawn from N(0, 0.01^2); the numerical columns go through a linear layer without activation.
    Input: a :class:`Batch`. Output: float32 [B, width].
    """

    offsets: Tensor

    def __init__(self, schema: Schema, dim: int) -> None:
        super().__init__()
        sizes = [f.size for f in schema.categorical]
        starts = torch.tensor([0, *sizes[:-1]], dtype=torch.int32).cumsum(0, dtype=torch.int32)
        self.register_buffer("offsets", starts[: len(sizes)], persistent=False)
        self.table = nn.Parameter(torch.empty(sum(sizes), dim)) if sizes else None
        self.kept = KeptGradient()
        self.numerical = nn.Linear(len(schema.numerical), dim) if schema.numerical else None
        self.width = dim * (len(sizes) + (1 if schema.numerical else 0))
        if self.table is not None:
            nn.init.normal_(self.table, std=0.01)

    def forward(self, batch: Batch) -> Tensor:
        """Return the concatenated vectors [B, width]."""
        parts = []
        if self.table is not None:
            parts.append(lookup(self.table, batch.categorical + self.offsets, self.kept).flatten(1))
        if self.numerical is not None:
            parts.append(self.numerical(batch.numerical))
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


class ParallelMLP(nn.Module):
    """``count`` multi-layer perceptrons of one shape, computed as batched matrix products.

    Each has ReLU and dropout (``relu_dropout``) after every hidden layer; with ``output`` given, a last linear layer of
    that width follows without activation. Every perceptron is initialised as ``nn.Linear`` would be.
    Input: float32 [B, I], the same for all, or [count, B, I], one each. Output: [count, B, O].
    """

    def __init__(
        self, count: int, width: int, hidden: Sequence[int], *, dropout: float, output: int | None = None
    ) -> None:
        super().__init__()
        widths = [width, *hidden] + ([] if output is None else [output])
        self.count = count
        self.width = widths[-1]
        self.dropout = dropout
        self.activated = len(hidden)
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(count, i, o)) for i, o in pairwise(widths))
        self.biases = nn.ParameterList(nn.Parameter(torch.empty(count, 1, o)) for o in widths[1:])
        for weight, bias in zip(self.weights, self.biases, strict=True):
            bound = 1 / math.sqrt(weight.shape[1])
            nn.init.uniform_(weight, -bound, bound)
            nn.init.uniform_(bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs [count, B, O]."""
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = self._linear(x, weight, bias)
            if layer < self.activated:
                x = relu_dropout(x, self.dropout, self.training)
        return x if x.dim() == 3 else x.expand(self.count, *x.shape)

    def _linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        if x.dim() == 3:
            return torch.baddbmm(bias, x, weight)
        # One input for all: a single wide product is faster than `count` narrow ones.
        count, _, out = weight.shape
        joint = weight.transpose(0, 1).reshape(x.shape[1], count * out)
        return torch.addmm(bias.reshape(-1), x, joint).view(len(x), count, out).transpose(0, 1)
