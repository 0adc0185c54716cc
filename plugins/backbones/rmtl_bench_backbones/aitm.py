"""AITM: what a task has learned is handed to the next step of the funnel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import Batch, ParallelMLP, Schema
from rmtl_bench_backbones.embedding_backbone import EmbeddingBackbone
from rmtl_bench_backbones.parts import logits_of


class Transfer(nn.Module):
    """The adaptive information transfer from parents to ``children``: one information network each, one attention.

    Inputs: a child, its parent's z and its own q, float32 [B, H] each. Output: the child's z [B, H].
    """

    def __init__(self, children: Sequence[int], width: int, dropout: float) -> None:
        super().__init__()
        self.information = nn.ModuleDict(
            {str(child): ParallelMLP(1, width, (width,), dropout=dropout) for child in children}
        )
        self.value = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.query = nn.Linear(width, width, bias=False)
        self.scale = 1 / math.sqrt(width)

    def forward(self, child: int, parent: Tensor, own: Tensor) -> Tensor:
        """Return z of the child [B, H]."""
        both = torch.stack((self.information[str(child)](parent).squeeze(0), own))
        weights = (self.scale * (self.key(both) * self.query(both)).sum(2)).softmax(0)
        return torch.einsum("ub,ubh->bh", weights, self.value(both))


class AITM(EmbeddingBackbone):
    """Adaptive Information Transfer Multi-task (Xi et al., KDD 2021), from a task to its children::

        q_k = bottom_k(x)                                              x = embedding(input)
        z_k = q_k                                                      for a task without a parent
        z_k = sum_u w_u h1(u),  u over p_k = g_k(z_parent(k)) and q_k  for a task with one
        w   = softmax over u of <h2(u), h3(u)> / sqrt(width)
        logit of k = tower_k(z_k)
        penalty    = calibrator * sum over children k of mean over rows of max(y_k - y_parent(k), 0)

    with y the predicted probabilities; the penalty is the paper's behavioural expectation calibrator (weight 0.6). It
    looks at all rows, whether their labels are known or not. As in the authors' code, g is one layer with ReLU and
    dropout, one for each child; h1 to h3 are linear without bias, and all pairs of parent and child share them. The
    paper has one chain of tasks, bottoms of widths 128, 64 and 32 and a linear tower; here a task may have several
    children, and tasks without parent or child are separate networks on shared embeddings.

    Where others differ: the authors' later code, for any number of tasks, has batch normalisation in g and the bottoms
    and weighs the calibrator with 0.3. MTReclib's g is linear, and its h1 to h3 have a bias. In torch-rechub, each pair
    has its own h1 to h3.

    Only embeddings are shared. The bottom of a root is part of its descendants' losses, but it is the root's own model
    and not a trunk, and with several roots none is part of every loss: ``shared_parameters`` are those of the
    interaction, none by default. The shared representation is what the bottoms get, x [B, W].
    """

    def __init__(
        self,
        schema: Schema,
        embedding_dim: int = 128,
        bottom: Sequence[int] = (512, 256),
        tower: Sequence[int] = (128, 64),
        dropout: float = 0.2,
        calibrator: float = 0.6,
        interaction: str = "mlp",
        cross_layers: int = 2,
    ) -> None:
        super().__init__(schema, embedding_dim, interaction, cross_layers)
        tasks = len(schema.tasks)
        self.parents = [schema.parent_index(k) for k in range(tasks)]
        self.calibrator = calibrator
        self.bottoms = ParallelMLP(tasks, self.embedding.width, bottom, dropout=dropout)
        children = [k for k, parent in enumerate(self.parents) if parent is not None]
        self.transfer = Transfer(children, self.bottoms.width, dropout) if children else None
        self.towers = ParallelMLP(tasks, self.bottoms.width, tower, dropout=dropout, output=1)

    def network(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [B, K], and x [B, W]."""
        z: list[Tensor] = []
        for task, (parent, own) in enumerate(zip(self.parents, self.bottoms(x), strict=True)):
            z.append(own if self.transfer is None or parent is None else self.transfer(task, z[parent], own))
        return logits_of(self.towers, torch.stack(z)), x

    def penalty(self, logits: Tensor, batch: Batch) -> Tensor | None:
        """Return the calibrator of logits [B, K], a scalar; ``None`` if no task has a parent or its weight is 0."""
        pairs = [(task, parent) for task, parent in enumerate(self.parents) if parent is not None]
        if not pairs or not self.calibrator:
            return None
        probabilities = logits.sigmoid().unbind(1)
        excess = [(probabilities[task] - probabilities[parent]).relu().mean() for task, parent in pairs]
        # Weighted before the sum: under vmap, torch converts a number that meets a single element on the CPU.
        return (self.calibrator * torch.stack(excess)).sum()
