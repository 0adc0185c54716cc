"""The actions that critics are trained on. The reward of any action is known, so which ones is a choice.

a = sigmoid(l),  l = logit of the actor's own prediction + noise * N(0, 1); in a share of the rows a ~ U(0, 1) instead.

The paper's critics see the actor's actions alone, one in each state, and nothing tells them what another action would
be worth: without noise, the best action by Q was found to say nothing of the true probability. The published code's
are uniform, and Q is an extrapolation at the small probabilities that actors predict. Wide noise covers both.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_SMALLEST = 1e-4


@dataclass(frozen=True)
class TrainingActions:
    """``noise``: standard deviation on the logit scale; ``uniform``: share of rows whose actions are uniform."""

    noise: float
    uniform: float

    def draw(self, actor: Tensor, generator: torch.Generator) -> Tensor:
        """Return the logits of the actions [B, K] for the actor's logits [B, K]; ``generator`` is on the CPU."""
        logits = actor
        if self.noise:
            logits = logits + self.noise * torch.randn(actor.shape, generator=generator).to(actor.device)
        if self.uniform:
            anywhere = torch.rand(actor.shape, generator=generator).clamp(_SMALLEST, 1 - _SMALLEST).logit()
            taken = torch.rand(len(actor), 1, generator=generator) < self.uniform
            logits = torch.where(taken.to(actor.device), anywhere.to(actor.device), logits)
        return logits
