"""MMoE: shared experts, one gate per task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import ParallelMLP, Schema
from rmtl_bench_backbones.embedding_backbone import EmbeddingBackbone
from rmtl_bench_backbones.parts import Gates, logits_of, need_widths


class MMoE(EmbeddingBackbone):
    """Multi-gate Mixture-of-Experts (Ma et al., KDD 2018)::

        x = embedding(input)
        g_k = softmax(W_k x)                     one gate per task, linear without bias
        h_k = sum_e g_k,e expert_e(x)            the experts are the same for all tasks
        z_k = tower_k(h_k)

    Eight experts, each a network of the widths ``bottom``; ReLU, no batch normalisation.
    Where others differ: MTReclib's gates have a bias.

    Gates belong to their task, so ``shared_parameters`` are those of the interaction and of the experts. The shared
    representation is what the experts return, [E, B, H].
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
        need_widths("mmoe", bottom)
        tasks = len(schema.tasks)
        self.experts = ParallelMLP(experts, self.embedding.width, bottom, dropout=dropout)
        self.gates = Gates(tasks, self.embedding.width, experts)
        self.towers = ParallelMLP(tasks, self.experts.width, tower, dropout=dropout, output=1)

    def network(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [B, K] and the experts' outputs [E, B, H]."""
        gates, experts = self.gates(x), self.experts(x)
        return logits_of(self.towers, torch.einsum("kbe,ebh->kbh", gates, experts)), experts

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the interaction and of the experts."""
        return [*super().shared_parameters(), *self.experts.parameters()]
