"""Shared bottom: one trunk, one tower per task."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from rmtl_bench.contracts import Backbone, Batch, FieldEmbedding, ParallelMLP, Schema
from rmtl_bench_backbones.parts import logits_of, need_widths


class SharedBottom(Backbone):
    """Hard parameter sharing (Caruana 1997): one bottom network for all tasks, one tower per task::

        h = bottom(embedding(x))        z_k = tower_k(h)

    ReLU, no batch normalisation. The last layer of the bottom is activated and dropped out like the others;
    implementations whose bottom ends in a linear layer exist.
    """

    def __init__(
        self,
        schema: Schema,
        embedding_dim: int = 128,
        bottom: Sequence[int] = (512, 256),
        tower: Sequence[int] = (128, 64),
        dropout: float = 0.2,
    ) -> None:
        super().__init__(schema)
        need_widths("shared-bottom", bottom)
        self.embedding = FieldEmbedding(schema, embedding_dim)
        self.bottom = ParallelMLP(1, self.embedding.width, bottom, dropout=dropout)
        self.towers = ParallelMLP(len(schema.tasks), self.bottom.width, tower, dropout=dropout, output=1)

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits [B, K]."""
        return logits_of(self.towers, self.bottom(self.embedding(batch)).squeeze(0))

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the bottom."""
        return list(self.bottom.parameters())
