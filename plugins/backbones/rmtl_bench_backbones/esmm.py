"""ESMM: probabilities multiplied along the funnel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rmtl_bench.contracts import ParallelMLP, Schema
from rmtl_bench_backbones.embedding_backbone import EmbeddingBackbone
from rmtl_bench_backbones.parts import logits_of


def logit_of_product(a: Tensor, b: Tensor) -> Tensor:
    """Return the logit of ``sigmoid(a) * sigmoid(b)``, exact and stable, and never above ``a`` or ``b``.

    The odds against both events are (1 + e^-a)(1 + e^-b) - 1, hence ``-logsumexp(-a, -b, -a - b)``.
    """
    return -torch.logsumexp(torch.stack((-a, -b, -a - b)), dim=0)


class ESMM(EmbeddingBackbone):
    """Entire Space Multi-Task Model (Ma et al., SIGIR 2018, arXiv 1804.07931) for any funnel of tasks::

        u_k = tower_k(bottom_k(embedding(x)))
        p_k = sigmoid(u_k)                  for a task without a parent
        p_k = p_parent(k) * sigmoid(u_k)    for a task with one

    Only embeddings are shared. The forward pass returns logits of p_k, so that p_child <= p_parent always.
    ReLU, no batch normalisation. Several roots and chains of any length are allowed; the paper has two tasks.

    ESMM2 (Wen et al., SIGIR 2020, arXiv 1910.07099) is this model on a chain of three tasks, click, action and buy.
    It decomposes what follows a click into p(action | click) p(buy | action) + p(no action | click) p(buy | no
    action), and its losses are the cross-entropies of the three joint events. Labels of a schema with parents are
    nested: nobody buys without the action, the second term is 0, and the product along the chain is left.

    Where others differ: RMTL's code, among others, takes the cross-entropy of the product itself, which has no
    gradient where a factor underflows.

    The wide part of ``deepfm`` is added to u_k, before the product. The network of a root is part of its descendants'
    losses, but it is the root's own model and not a trunk, and with several roots none is part of every loss:
    ``shared_parameters`` are those of the interaction, none by default. The shared representation is what the networks
    get, x [B, W].
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
        self.parents = [schema.parent_index(k) for k in range(len(schema.tasks))]
        widths = (*bottom, *tower)
        self.networks = ParallelMLP(len(schema.tasks), self.embedding.width, widths, dropout=dropout, output=1)

    def network(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of the conditional probabilities [B, K], and x [B, W]."""
        return logits_of(self.networks, x), x

    def combine(self, logits: Tensor) -> Tensor:
        """Return the logits of the joint probabilities [B, K] from the conditional ones [B, K]."""
        joint: list[Tensor] = []
        for parent, logit in zip(self.parents, logits.unbind(1), strict=True):
            joint.append(logit if parent is None else logit_of_product(joint[parent], logit))
        return torch.stack(joint, dim=1)
