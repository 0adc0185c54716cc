"""DCN-V2: cross layers between the embedding and the network."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import FieldEmbedding, Schema
from rmtl_bench_backbones.interaction import Interaction


class CrossLayers(Interaction):
    """The cross network of DCN-V2 (Wang et al., WWW 2021, arXiv 2008.13535), in its stacked form::

        x_0 = embedding(input)
        x_{l+1} = x_0 * (W_l x_l + b_l) + x_l        * is taken element by element
        z_k = network_k(x_L)

    W_l is a full matrix [W, W], W the width of the embedding. Two layers, one of the depths of the paper's models.
    Weights and biases are initialised as ``nn.Linear`` would be.

    Where others differ: the paper also has a parallel form, in which the cross network stands beside the network, and
    matrices of low rank, plain or as a mixture. DCN (2017) has a vector in place of each W_l.
    """

    def __init__(self, schema: Schema, embedding: FieldEmbedding, cross_layers: int) -> None:
        super().__init__(schema, embedding, cross_layers)
        width = embedding.width
        bound = 1 / math.sqrt(width)
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(width, width)) for _ in range(cross_layers))
        self.biases = nn.ParameterList(nn.Parameter(torch.empty(width)) for _ in range(cross_layers))
        for weight, bias in zip(self.weights, self.biases, strict=True):
            nn.init.uniform_(weight, -bound, bound)
            nn.init.uniform_(bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Return x_L, float32 [B, W], from x_0, float32 [B, W]."""
        crossed = x
        for weight, bias in zip(self.weights, self.biases, strict=True):
            crossed = torch.addcmul(crossed, x, torch.addmm(bias, crossed, weight))
        return crossed

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of all layers: every task's network stands behind them."""
        return list(self.parameters())
