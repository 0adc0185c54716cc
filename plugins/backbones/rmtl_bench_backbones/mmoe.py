"""MMoE: shared experts, one gate per task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import Backbone, Batch, FieldEmbedding, ParallelMLP, Schema
from rmtl_bench_backbones.parts import Gates, logits_of, need_widths


class MMoE(Backbone):
    """Multi-gate Mixture-of-Experts (Ma et al., KDD 2018)::

        x = embedding(input)
        g_k = softmax(W_k x)                     one gate per task, linear without bias
        h_k = sum_e g_k,e expert_e(x)            the experts are the same for all tasks
        z_k = tower_k(h_k)

    Eight experts, each a network of the widths ``bottom``; ReLU, no batch normalisation.
    Where others differ: MTReclib's gates have a bias.

    Gates belong to their task, so ``shared_parameters`` are those of the experts.
    """

    def __init__(
        self,
        schema: Schema,
        embedding_dim: int = 128,
        bottom: Sequence[int] = (512, 256),
        tower: Sequence[int] = (128, 64),
        dropout: float = 0.2,
        experts: int = 8,
    ) -> None:
        super().__init__(schema)
        need_widths("mmoe", bottom)
        tasks = len(schema.tasks)
        self.embedding = FieldEmbedding(schema, embedding_dim)
        self.experts = ParallelMLP(experts, self.embedding.width, bottom, dropout=dropout)
        self.gates = Gates(tasks, self.embedding.width, experts)
        self.towers = ParallelMLP(tasks, self.experts.width, tower, dropout=dropout, output=1)

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits [B, K]."""
        x = self.embedding(batch)
        mixed = torch.einsum("kbe,ebh->kbh", self.gates(x), self.experts(x))
        return logits_of(self.towers, mixed)

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the experts."""
        return list(self.experts.parameters())
