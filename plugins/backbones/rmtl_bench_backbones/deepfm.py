"""DeepFM: a factorization machine beside the network, on the same vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import Batch, FieldEmbedding, Schema
from rmtl_bench_backbones.interaction import Interaction


class FactorizationMachine(Interaction):
    """The wide part of DeepFM (Guo et al., IJCAI 2017, arXiv 1703.04247), e_f [D] the vectors of the row's fields::

        v   = 1/2 ((sum_f e_f)^2 - sum_f e_f^2)        [D]: the products of all pairs of fields, by element
        z_k = network_k(e) + sum_f w_k[f] + r_k . v

    w_k[f] is the first-order weight of the row's value of field f, one a task; e_f are the vectors the network gets
    too. The numerical columns count as one more field: they have one vector together, and a linear layer in place of
    first-order weights.

    The paper has one task and adds the sum over v. Here the tasks share the vectors, and so v; each reads it with
    weights r_k [D] of its own, which start at one and so give the paper's sum. One field alone has no
    pairs, and v is 0.

    The first-order weights are a :class:`FieldEmbedding` and count as embeddings; the weights r_k do not. The global
    bias is left to the towers.
    Where others differ: many give numerical columns a vector each, times the value.
    """

    def __init__(self, schema: Schema, embedding: FieldEmbedding, cross_layers: int) -> None:
        super().__init__(schema, embedding, cross_layers)
        fields = len(schema.categorical) + (1 if schema.numerical else 0)
        self.first_order = FieldEmbedding(schema, len(schema.tasks))
        self.readout = nn.Parameter(torch.ones(len(schema.tasks), embedding.width // fields))

    def wide(self, x: Tensor, batch: Batch) -> Tensor | None:
        """Return the first-order and the second-order terms of each task, float32 [B, K]."""
        tasks, embedding_dim = self.readout.shape
        fields = x.unflatten(1, (-1, embedding_dim))
        pairs = (fields.sum(1).square() - fields.square().sum(1)) / 2
        first_order = self.first_order(batch).unflatten(1, (-1, tasks)).sum(1)
        return torch.addmm(first_order, pairs, self.readout.T)
