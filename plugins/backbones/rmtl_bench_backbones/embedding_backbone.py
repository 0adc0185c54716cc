"""The base of the backbones that embed all fields once, whatever their tasks do with the vectors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from rmtl_bench.contracts import Backbone, Batch, FieldEmbedding, Schema, UsageError
from rmtl_bench_backbones.dcn_v2 import CrossLayers
from rmtl_bench_backbones.deepfm import FactorizationMachine
from rmtl_bench_backbones.interaction import Interaction

INTERACTIONS: Mapping[str, type[Interaction]] = {
    "mlp": Interaction,
    "dcn-v2": CrossLayers,
    "deepfm": FactorizationMachine,
}
"""The values of the parameter ``interaction``."""


class EmbeddingBackbone(Backbone):
    """A backbone whose tasks start from one vector per field, after a feature interaction of choice::

        x    = interaction(embedding(batch))
        z, r = network(x)                            logits and shared representation
        out  = combine(z + wide(batch))              wide: nothing, but for ``deepfm``

    ``interaction``: ``mlp``, the vectors as they are; ``dcn-v2``, ``cross_layers`` cross layers between the embedding
    and the network; ``deepfm``, a factorization machine beside the network. With ``mlp``, the model is the same, to
    the bit, as one that had no interaction.

    A subclass calls this constructor first, builds its parts for an input of width ``self.embedding.width``, which no
    interaction changes, and implements :meth:`network`. Its ``shared_parameters`` are those returned here and its own.
    Raises :class:`UsageError` for an unknown interaction.
    """

    capturable = True

    def __init__(self, schema: Schema, embedding_dim: int, interaction: str = "mlp", cross_layers: int = 2) -> None:
        super().__init__(schema)
        if interaction not in INTERACTIONS:
            raise UsageError(f"interaction {interaction!r} is none of {', '.join(INTERACTIONS)}")
        self.embedding = FieldEmbedding(schema, embedding_dim)
        self.interaction = INTERACTIONS[interaction](schema, self.embedding, cross_layers)

    @abstractmethod
    def network(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the logits, float32 [B, K], and the shared representation or ``None``, from x, float32 [B, W]."""

    def combine(self, logits: Tensor) -> Tensor:
        """Return the model's logits [B, K] from each task's own [B, K]: the same, but for models of a funnel."""
        return logits

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits, float32 [B, K]."""
        return self.represent(batch)[0]

    def represent(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the logits, float32 [B, K], and the shared representation, as :meth:`network` makes it."""
        vectors = self.embedding(batch)
        logits, representation = self.network(self.interaction(vectors))
        wide = self.interaction.wide(vectors, batch)
        return self.combine(logits if wide is None else logits + wide), representation

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the dense parameters of the interaction that every task's loss depends on."""
        return self.interaction.shared_parameters()
