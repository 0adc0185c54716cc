"""The plainest backbone and the plainest weighting: what a plugin is tried together with, and compared with."""

from __future__ import annotations

from torch import Tensor, nn

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.layers import FieldEmbedding
from rmtl_bench.contracts.schema import Schema
from rmtl_bench.contracts.weighting import LossWeighting, TaskLosses, Weighted


class PlainBackbone(Backbone):
    """A shared hidden layer and a linear head for each task, with dropout.

    ``width``: of each embedding; ``hidden``: of the shared layer.
    """

    def __init__(self, schema: Schema, width: int = 8, hidden: int = 16, dropout: float = 0.1) -> None:
        super().__init__(schema)
        self.embedding = FieldEmbedding(schema, width)
        self.shared = nn.Sequential(nn.Linear(self.embedding.width, hidden), nn.ReLU())
        self.heads = nn.Linear(hidden, len(schema.tasks))
        self.dropout = dropout

    def forward(self, batch: Batch) -> Tensor:
        """Return logits [B, K]."""
        return self.represent(batch)[0]

    def represent(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the logits [B, K] and the output of the shared layer [B, hidden]."""
        representation = self.shared(self.embedding(batch))
        return self.heads(nn.functional.dropout(representation, self.dropout, self.training)), representation

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return those of the shared layer."""
        return list(self.shared.parameters())


class EqualWeights(LossWeighting):
    """The sum of the losses."""

    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        """Return the sum of the mean losses, and weights of 1 [K]."""
        mean = losses.mean()
        return Weighted(mean.sum(), mean.new_ones(mean.shape))
