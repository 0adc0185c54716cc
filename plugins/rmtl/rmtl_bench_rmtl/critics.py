"""The critics: one action value a task over a shared bottom."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtl_bench.contracts import Batch, FieldEmbedding, ParallelMLP, Schema


class Critics(nn.Module):
    """Q_k(s, a_k) = -softplus(head_k([bottom(embeddings(s)), W logit(a_k)])), never positive.

    The paper draws two parallel MLPs on a shared bottom network; rewards are never positive, so neither is
    a value. The published code ends in -ReLU, whose dead zone makes a weight 1 for ever; softplus has none.
    The action enters on the logit scale: click and conversion rates live near zero, where probabilities
    hardly differ. Input: a batch and the actions' logits [B, K]. Output: float32 [B, K], at most 0.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int,
        bottom: Sequence[int],
        tower: Sequence[int],
        dropout: float,
        action_width: int = 16,
    ) -> None:
        super().__init__()
        tasks = len(schema.tasks)
        self.embedding = FieldEmbedding(schema, embedding_dim)
        self.bottom = ParallelMLP(1, self.embedding.width, bottom, dropout=dropout)
        self.action = nn.Linear(1, action_width)
        self.heads = ParallelMLP(tasks, self.bottom.width + action_width, tower, dropout=dropout, output=1)

    def forward(self, batch: Batch, logits: Tensor) -> Tensor:
        """Return the values Q [B, K] of the actions sigmoid(logits) [B, K]."""
        state = self.bottom(self.embedding(batch)).expand(logits.shape[1], -1, -1)
        action = self.action(logits.T.unsqueeze(2))
        z = self.heads(torch.cat([state, action], dim=2))
        return -F.softplus(z.squeeze(2).T)
