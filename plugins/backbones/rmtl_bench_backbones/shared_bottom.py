"""Shared bottom: one trunk, one tower per task."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from rmtl_bench.contracts import ParallelMLP, Schema
from rmtl_bench_backbones.embedding_backbone import EmbeddingBackbone
from rmtl_bench_backbones.parts import logits_of, need_widths


class SharedBottom(EmbeddingBackbone):
    """Hard parameter sharing (Caruana 1997): one bottom network for all tasks, one tower per task::

        h = bottom(embedding(x))        z_k = tower_k(h)

    ReLU, no batch normalisation. The last layer of the bottom is activated and dropped out like the others;
    implementations whose bottom ends in a linear layer exist.

    The shared representation is h [B, H].
    """

    def __init__(
        self,
        schema: Schema,
        embedding_dim: int = 128,
        bottom: Sequence[int] = (512, 256),
        tower: Sequence[int] = (128, 64),
        dropout: float = 0.2,
        interaction: str = "mlp",
        cross_layers: int = 2,
    ) -> None:
        super().__init__(schema, embedding_dim, interaction, cross_layers)
        need_widths("shared-bottom", bottom)
        self.bottom = ParallelMLP(1, self.embedding.width, bottom, dropout=dropout)
        self.towers = ParallelMLP(len(schema.tasks), self.bottom.width, tower, dropout=dropout, output=1)

    def network(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [B, K] and the bottom's output [B, H]."""
        h = self.bottom(x).squeeze(0)
        return logits_of(self.towers, h), h

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the interaction and of the bottom."""
        return [*super().shared_parameters(), *self.bottom.parameters()]
