"""Cross-stitch networks: the tasks' networks exchange their activations after every layer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import ParallelMLP, Schema
from rmtl_bench_backbones.embedding_backbone import EmbeddingBackbone
from rmtl_bench_backbones.parts import logits_of, need_widths


class Stitch(nn.Module):
    """One cross-stitch unit: a matrix [K, K] whose row k says what task k takes from each task.

    Starts as ``same`` on the diagonal and (1 - same) / (K - 1) elsewhere; for a single task, as 1.
    """

    def __init__(self, tasks: int, same: float) -> None:
        super().__init__()
        matrix = torch.full((tasks, tasks), (1 - same) / max(tasks - 1, 1))
        self.matrix = nn.Parameter(matrix.fill_diagonal_(same if tasks > 1 else 1.0))

    def forward(self, activations: Tensor) -> Tensor:
        """Return the mixed activations [K, B, H] of activations [K, B, H]."""
        return torch.einsum("kj,jbh->kbh", self.matrix, activations)


class CrossStitch(EmbeddingBackbone):
    """Cross-stitch networks (Misra et al., CVPR 2016), h_k = embedding(x) at the start::

        a_k = layer_k(h_k)                   after each width in ``bottom``:
        h_k <- sum_j A_kj a_j                A: K x K, one per width, learned
        z_k = tower_k(h_k)

    The embedding is shared, so that the networks part only after it. A starts with ``same`` (0.9, the paper's best) on
    the diagonal and the rest evenly elsewhere, so that rows sum to 1; nothing keeps them there. ReLU and dropout come
    before the mixing; no batch normalisation.

    Where others differ: the paper stitches two image networks, trained one by one before, after their pooling and
    fully connected layers, can have one matrix per channel, and gives the matrices a learning rate 100 to 1000 times
    as high. Here there is one matrix for a whole layer, nothing is trained before, and one learning rate.

    ``shared_parameters`` are the layers of all networks, which every task's last stitch mixes, and all stitches but the
    last, whose rows belong to one task each. The shared representation is a [K, B, H] at the last layer.
    """

    def __init__(
        self,
        schema: Schema,
        embedding_dim: int = 128,
        bottom: Sequence[int] = (512, 256),
        tower: Sequence[int] = (128, 64),
        dropout: float = 0.2,
        same: float = 0.9,
        interaction: str = "mlp",
        cross_layers: int = 2,
    ) -> None:
        super().__init__(schema, embedding_dim, interaction, cross_layers)
        need_widths("cross-stitch", bottom)
        tasks = len(schema.tasks)
        widths = (self.embedding.width, *bottom)
        self.layers = nn.ModuleList(ParallelMLP(tasks, i, (o,), dropout=dropout) for i, o in pairwise(widths))
        self.stitches = nn.ModuleList(Stitch(tasks, same) for _ in bottom)
        self.towers = ParallelMLP(tasks, bottom[-1], tower, dropout=dropout, output=1)

    def network(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [B, K] and the last activations before they are mixed [K, B, H]."""
        activations = mixed = x
        for layer, stitch in zip(self.layers, self.stitches, strict=True):
            activations = layer(mixed)
            mixed = stitch(activations)
        return logits_of(self.towers, mixed), activations

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the interaction, of all layers and of all stitches but the last."""
        return [*super().shared_parameters(), *self.layers.parameters(), *self.stitches[:-1].parameters()]
