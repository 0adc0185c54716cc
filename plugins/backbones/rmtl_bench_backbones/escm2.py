"""ESCM2: ESMM whose conditional probabilities are also fitted where they can be seen, by inverse propensity."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from rmtl_bench.contracts import Batch, Schema
from rmtl_bench_backbones.esmm import ESMM


def conditional_logit(joint: Tensor, parent: Tensor) -> Tensor:
    """Return the logit of ``sigmoid(joint) / sigmoid(parent)``, for ``joint`` <= ``parent``: the product's inverse.

    The odds of the quotient are ``e^joint (1 + e^-parent) / (1 - e^(joint - parent))``. A conditional probability so
    near one that rounding hides the gap between the logits (in float32, a conditional logit above 10 or so) is taken
    for the largest that can be told from one.
    """
    gap = parent - joint
    floor = 16 * torch.finfo(gap.dtype).eps * parent.abs().clamp(min=1)
    gap = gap + (floor - gap).clamp(min=0).detach()
    return joint + F.softplus(-parent) - torch.log(-torch.expm1(-gap))


class ESCM2(ESMM):
    """Entire Space Counterfactual Multi-Task Model, ESCM2-IPS (Wang et al., SIGIR 2022, arXiv 2204.05125)::

        p_k, u_k          as in ESMM, u_k the logit of p_k / p_parent(k)
        penalty = w sum_k mean_rows( y_parent / max(p_parent, f) * bce(u_k, y_k) )

    The sum is over the tasks with a parent, the mean over all rows where both labels are known. Rows whose parent
    event happened stand for those where it did not, by the inverse of its predicted probability, through which no
    gradient flows. ``counterfactual_weight`` w is the paper's lambda_c, which it tunes; 0.5 is that of a widely used
    implementation. ``propensity_floor`` f bounds the factor by 100. The paper's lambda_g, and the weights of the other
    losses, are the affair of the weighting.

    The paper has one funnel of click and conversion; here every child adds its term. The term is computed from the
    joint logits alone, in a stable form.

    Where others differ: an implementation that much code follows divides each factor by the number of clicks in the
    batch and clips it at 15, so that the weight of a click depends on the batch. ESCM2-DR, which adds a network that
    predicts the loss, is not here. ESMM2 needs no model of its own, see :class:`ESMM`.
    """

    def __init__(
        self,
        schema: Schema,
        embedding_dim: int = 128,
        bottom: Sequence[int] = (512, 256),
        tower: Sequence[int] = (128, 64),
        dropout: float = 0.2,
        counterfactual_weight: float = 0.5,
        propensity_floor: float = 0.01,
        interaction: str = "mlp",
        cross_layers: int = 2,
    ) -> None:
        super().__init__(schema, embedding_dim, bottom, tower, dropout, interaction, cross_layers)
        self.counterfactual_weight = counterfactual_weight
        self.propensity_floor = propensity_floor

    def penalty(self, logits: Tensor, batch: Batch) -> Tensor | None:
        """Return the weighted sum of the counterfactual risks, a scalar; ``None`` where no task has a parent."""
        pairs = [(child, parent) for child, parent in enumerate(self.parents) if parent is not None]
        if not pairs:
            return None
        risks = [self._counterfactual_risk(child, parent, logits, batch) for child, parent in pairs]
        # Weighted before the sum: under vmap, torch converts a number that meets a single element on the CPU.
        return (self.counterfactual_weight * torch.stack(risks)).sum()

    def _counterfactual_risk(self, child: int, parent: int, logits: Tensor, batch: Batch) -> Tensor:
        conditional = conditional_logit(logits[:, child], logits[:, parent])
        propensity = logits[:, parent].detach().sigmoid().clamp(min=self.propensity_floor)
        losses = F.binary_cross_entropy_with_logits(conditional, batch.labels[:, child], reduction="none")
        weighted = losses * batch.labels[:, parent] / propensity
        if batch.label_mask is None:
            return weighted.mean()
        known = batch.label_mask[:, child] & batch.label_mask[:, parent]
        return (weighted * known).sum() / known.sum().clamp(min=1)
