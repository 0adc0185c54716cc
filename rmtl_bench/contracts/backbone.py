"""The contract of a backbone: a multi-task model that returns one logit a task."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.layers import FieldEmbedding
from rmtl_bench.contracts.schema import Schema


class Backbone(nn.Module, ABC):
    """A multi-task model for any number of tasks.

    Losses are binary cross-entropies of logits; a model that multiplies probabilities (ESMM) returns the
    logit of the product. All randomness comes from torch's default generator, which the trainer seeds.
    """

    capturable: bool = False
    """Whether a forward pass and its backward pass are the same operations on the device each time (see
    ``Stage.capturable``); training on a GPU is then several times as fast."""

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.schema = schema

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Return float32 logits [B, K], in the order of ``schema.tasks``."""

    def represent(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the logits [B, K] and the shared representation they were made from, of any shape, in one graph.

        The representation is what a gradient weighting of scope ``representation`` looks at: the output of the last
        part that every task uses. ``None`` for a model that has none; else its description provides
        ``shared-representation``. A model that has one makes it here, and ``forward`` returns the logits alone.
        """
        return self(batch), None

    def penalty(self, logits: Tensor, batch: Batch) -> Tensor | None:
        """Return a scalar to be minimised beside what the weighting makes of the losses; ``None``: nothing.

        For models whose paper adds a term to the losses. It is not weighted, no part of a reported loss, and asked in
        training only. ``logits`` [B, K] are those of the same batch, with their gradient.
        """
        return None

    def embedding_parameters(self) -> list[nn.Parameter]:
        """Return the embedding tables: by default, those of every :class:`FieldEmbedding` inside."""
        return [
            parameter
            for module in self.modules()
            if isinstance(module, FieldEmbedding)
            for parameter in module.parameters()
        ]

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the dense parameters that every task's loss depends on, embeddings left out.

        They are what a gradient weighting looks at. Empty for a model that shares nothing; its description
        then does not provide ``shared-parameters``.
        """
        return []
