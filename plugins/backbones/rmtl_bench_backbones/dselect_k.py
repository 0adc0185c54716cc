"""DSelect-k: gates that select k of the experts, differentiably."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import Batch, ParallelMLP, Schema, UsageError
from rmtl_bench_backbones.embedding_backbone import EmbeddingBackbone
from rmtl_bench_backbones.parts import logits_of, need_widths

_SMALLEST = 1e-6


def smooth_step(t: Tensor, gamma: float) -> Tensor:
    """Return the cubic that goes from exactly 0 at -gamma/2 to exactly 1 at gamma/2, flat outside, of any shape."""
    s = (t / gamma + 0.5).clamp(0, 1)
    return s * s * (3 - 2 * s)


class SelectionGates(nn.Module):
    """``count`` gates, each a mixture of ``selected`` single-expert selectors.

    A selector chooses by the m bits of an expert's number, most significant bit first; 2^m >= experts. Input:
    float32 [B, I] where the gates look at the row, else [1, 1], the constant one: a static gate.
    """

    def __init__(self, count: int, width: int, experts: int, selected: int, gamma: float) -> None:
        super().__init__()
        self.experts, self.selected, self.gamma = experts, selected, gamma
        self.bits = (experts - 1).bit_length()
        self.codes = nn.Parameter(torch.empty(count, width, selected * self.bits))
        self.mixture = nn.Parameter(torch.empty(count, width, selected))
        nn.init.uniform_(self.codes, -gamma / 100, gamma / 100)
        nn.init.uniform_(self.mixture, -0.05, 0.05)

    def selectors(self, x: Tensor) -> Tensor:
        """Return the weights that each selector gives to the experts, [count, B, selected, experts]."""
        bits = smooth_step(torch.matmul(x, self.codes), self.gamma).unflatten(2, (self.selected, self.bits))
        weights: Tensor = bits.new_ones(*bits.shape[:3], 1)
        for bit in bits.unbind(3):
            weights = (weights.unsqueeze(4) * torch.stack((1 - bit, bit), 3).unsqueeze(3)).flatten(3)
        return weights[..., : self.experts]

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixing weights [count, B, experts]."""
        mixture = torch.matmul(x, self.mixture).softmax(dim=2)
        return torch.einsum("kbl,kble->kbe", mixture, self.selectors(x))


class DSelectK(EmbeddingBackbone):
    """DSelect-k (Hazimeh et al., NeurIPS 2021, arXiv 2106.03760): a mixture of n experts, at most k of them a task::

        x = embedding(input)
        S(t) = 0 below -gamma/2, 1 above gamma/2, -2 t^3 / gamma^3 + 3 t / (2 gamma) + 1/2 between
        r_l,e = prod over the bits i of e: S(z_l,i) where the bit is 1, 1 - S(z_l,i) where it is 0
        q = sum_l softmax(a)_l r_l               k selectors l of one expert each; z and a belong to the task
        h = sum_e q_e expert_e(x)                the experts are the same for all tasks
        z_task = tower(h)
        penalty = entropy sum_{task, l} H(r_l) + sum_{task, l} 1 / sum_e r_l,e

    Once every bit is 0 or 1, an expert that is not selected has the weight 0 exactly; a bit that stops just short of
    its end leaves it a tiny weight. The penalty on the entropy H, whose weight the paper tunes, drives the bits there.
    The last term, with weight one, is there only if n is no power of two: some codes then name no expert, and it keeps
    the selectors from them. A selector that has gone there all the same gives no weight, and the weights of the others
    stay as they are.

    Static gates by default, one z and a for all rows; with ``per_example`` both are linear in x, without bias, and
    the penalty is a mean over rows. Eight experts of the widths ``bottom``, two selected, gamma 1. ReLU, no batch
    normalisation. z starts within gamma/100 of 0, a within 0.05.

    Where others differ: the authors' code gives the linear layers a bias, and sums the penalty over the rows of a
    batch. Many choose the k largest of a softmax instead, which is not continuous.

    Gates belong to their task, so ``shared_parameters`` are those of the interaction and of the experts. The shared
    representation is what the experts return, [E, B, H]. Raises :class:`UsageError` if k exceeds n.
    """

    def __init__(
        self,
        schema: Schema,
        embedding_dim: int = 128,
        bottom: Sequence[int] = (512, 256),
        tower: Sequence[int] = (128, 64),
        dropout: float = 0.2,
        experts: int = 8,
        selected: int = 2,
        gamma: float = 1.0,
        per_example: bool = False,
        entropy: float = 0.01,
        interaction: str = "mlp",
        cross_layers: int = 2,
    ) -> None:
        super().__init__(schema, embedding_dim, interaction, cross_layers)
        need_widths("dselect-k", bottom)
        if selected > experts:
            raise UsageError(
                f"backbone 'dselect-k': parameter 'selected' is {selected}; it takes at most 'experts', {experts}"
            )
        tasks, width = len(schema.tasks), self.embedding.width
        self.per_example, self.entropy = per_example, entropy
        self.experts = ParallelMLP(experts, width, bottom, dropout=dropout)
        self.gates = SelectionGates(tasks, width if per_example else 1, experts, selected, gamma)
        self.towers = ParallelMLP(tasks, self.experts.width, tower, dropout=dropout, output=1)

    def network(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [B, K] and the experts' outputs [E, B, H]."""
        experts = self.experts(x)
        weights = self.gates(self._seen(x)).expand(-1, len(x), -1)
        return logits_of(self.towers, torch.einsum("kbe,ebh->kbh", weights, experts)), experts

    def penalty(self, logits: Tensor, batch: Batch) -> Tensor | None:
        """Return the regulariser of the gates, a scalar, from the batch's fields alone; ``None`` if there is none."""
        incomplete = self.gates.experts < 2**self.gates.bits
        if not self.entropy and not incomplete:
            return None
        x = self.interaction(self.embedding(batch)) if self.per_example else logits
        weights = self.gates.selectors(self._seen(x))
        # The logarithm of zero is kept finite: its gradient meets the smooth step's, which is 0 there.
        penalty = -self.entropy * (weights * (weights + _SMALLEST).log()).sum(3)
        if incomplete:
            penalty = penalty + 1 / weights.sum(3).clamp(min=_SMALLEST)
        return penalty.mean(1).sum()

    def _seen(self, x: Tensor) -> Tensor:
        return x if self.per_example else x.new_ones(1, 1)

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the interaction and of the experts."""
        return [*super().shared_parameters(), *self.experts.parameters()]
