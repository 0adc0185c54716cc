"""OMoE: shared experts, one gate for all tasks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import ParallelMLP, Schema
from rmtl_bench_backbones.embedding_backbone import EmbeddingBackbone
from rmtl_bench_backbones.parts import Gates, logits_of, need_widths


class OMoE(EmbeddingBackbone):
    """One-gate Mixture-of-Experts, the baseline of MMoE (Ma et al., KDD 2018)::

        x = embedding(input)
        g = softmax(W x)                         one gate for all tasks, linear without bias
        h = sum_e g_e expert_e(x)
        z_k = tower_k(h)

    It is a shared bottom that is a mixture of experts (Jacobs et al., Neural Computation 3, 1991). Eight experts, as
    in the paper, each a network of the widths ``bottom``, where the paper's experts on synthetic data have one layer
    of 16 units. ReLU, no batch normalisation.
    Where others differ: some gates have a bias.

    All tasks use the gate, so ``shared_parameters`` are those of the interaction, the experts and the gate. The
    shared representation is h [B, H].
    """

    def __init__(
        self,
        schema: Schema,
        embedding_dim: int = 128,
        bottom: Sequence[int] = (512, 256),
        tower: Sequence[int] = (128, 64),
        dropout: float = 0.2,
        experts: int = 8,
        interaction: str = "mlp",
        cross_layers: int = 2,
    ) -> None:
        super().__init__(schema, embedding_dim, interaction, cross_layers)
        need_widths("omoe", bottom)
        self.experts = ParallelMLP(experts, self.embedding.width, bottom, dropout=dropout)
        self.gate = Gates(1, self.embedding.width, experts)
        self.towers = ParallelMLP(len(schema.tasks), self.experts.width, tower, dropout=dropout, output=1)

    def network(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [B, K] and the mixed experts [B, H]."""
        h = torch.einsum("be,ebh->bh", self.gate(x).squeeze(0), self.experts(x))
        return logits_of(self.towers, h), h

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the interaction, of the experts and of the gate."""
        return [*super().shared_parameters(), *self.experts.parameters(), *self.gate.parameters()]
