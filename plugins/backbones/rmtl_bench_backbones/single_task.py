"""One network per task: the backbone that shares nothing."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from rmtl_bench.contracts import Backbone, Batch, FieldEmbedding, ParallelMLP, Schema
from rmtl_bench_backbones.parts import logits_of


class SingleTask(Backbone):
    """K separate networks, each with embeddings of its own::

        z_k = tower_k(bottom_k(embedding_k(x)))

    The reference of every comparison: what a task reaches when no other task helps or disturbs it.
    Embeddings are separate too, so the model has K times the table of the others; implementations that share
    the table between "single-task" models measure something else. ReLU, no batch normalisation.
    """

    capturable = True

    def __init__(
        self,
        schema: Schema,
        embedding_dim: int = 128,
        bottom: Sequence[int] = (512, 256),
        tower: Sequence[int] = (128, 64),
        dropout: float = 0.2,
    ) -> None:
        super().__init__(schema)
        self.count = len(schema.tasks)
        # K tables of one width are the slices of one table K times as wide: one look-up instead of K.
        self.embedding = FieldEmbedding(schema, self.count * embedding_dim)
        self.slices = (-1, self.count, embedding_dim)
        width = self.embedding.width // self.count
        self.networks = ParallelMLP(self.count, width, (*bottom, *tower), dropout=dropout, output=1)

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits [B, K]."""
        x = self.embedding(batch).unflatten(1, self.slices)
        return logits_of(self.networks, x.permute(2, 0, 1, 3).flatten(2))
