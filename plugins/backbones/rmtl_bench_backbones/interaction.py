"""How the fields of a row meet before the network of the tasks: the plain case, and what the others fill in."""

from __future__ import annotations

from torch import Tensor, nn

from rmtl_bench.contracts import Batch, FieldEmbedding, Schema


class Interaction(nn.Module):
    """A feature interaction between the embedding and the network of a backbone; this one, ``mlp``, does nothing.

    The network gets the concatenated vectors of the fields as they are, as the multi-task papers have it: no
    parameter is created and no random number is drawn. Every interaction is built as ``Class(schema, embedding,
    cross_layers)``, the embedding being the backbone's.
    """

    def __init__(self, schema: Schema, embedding: FieldEmbedding, cross_layers: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Return what the network gets, float32 [B, W], from the fields' vectors side by side, float32 [B, W]."""
        return x

    def wide(self, x: Tensor, batch: Batch) -> Tensor | None:
        """Return what is added to the network's logits, float32 [B, K], from the fields' vectors; ``None``: nothing."""
        return None

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the dense parameters that every task's loss depends on; none here."""
        return []
