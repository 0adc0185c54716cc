"""Feature-wise modulation: one network for all tasks, which each task bends its own way."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import Backbone, Batch, FieldEmbedding, ParallelMLP, Schema


class FiLM(Backbone):
    """Shared bottom and shared tower; between them each task scales and shifts the units (Perez et al., AAAI 2018)::

        h = bottom(embedding(x))        z_k = tower(g_k * h + s_k)

    with g_k = 1 + a learned vector [H], s_k a learned vector [H], both learned vectors 0 at the start but for the
    shifts, which are drawn from N(0, 0.1^2): tasks that began alike would all begin at one and the same logit. It takes
    2 H numbers a task, where a tower of its own takes thousands.

    The shared representation is h [B, H]. The tower counts as shared: every task's loss depends on it.
    """

    # The same operations on the device at every step, whatever the batch holds: a GPU may replay them as one graph.
    capturable = True

    def __init__(
        self,
        schema: Schema,
        embedding_dim: int = 16,
        bottom: Sequence[int] = (64, 32),
        tower: Sequence[int] = (16,),
        dropout: float = 0.1,
    ) -> None:
        super().__init__(schema)
        tasks = len(schema.tasks)
        self.embedding = FieldEmbedding(schema, embedding_dim)
        # ParallelMLP draws its dropout so that seeds trained side by side get the numbers that each has alone.
        self.bottom = ParallelMLP(1, self.embedding.width, bottom, dropout=dropout)
        self.scales = nn.Parameter(torch.zeros(tasks, 1, self.bottom.width))
        self.shifts = nn.Parameter(0.1 * torch.randn(tasks, 1, self.bottom.width))
        self.tower = ParallelMLP(1, self.bottom.width, tower, dropout=dropout, output=1)

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits, float32 [B, K]."""
        return self.represent(batch)[0]

    def represent(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the logits [B, K] and the bottom's output [B, H], in one graph."""
        hidden = self.bottom(self.embedding(batch)).squeeze(0)
        # All tasks at once, [K, B, H]: no loop over tasks, and so the same code for one task and for ten.
        modulated = (1 + self.scales) * hidden + self.shifts
        # One tower for all: the rows of every task go through it one under another.
        logits = self.tower(modulated.flatten(0, 1)).view(len(self.schema.tasks), len(hidden))
        return logits.T, hidden

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of bottom and tower; scales and shifts belong to their task, embeddings go apart."""
        return [*self.bottom.parameters(), *self.tower.parameters()]
