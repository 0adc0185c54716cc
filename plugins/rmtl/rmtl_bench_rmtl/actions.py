"""The actions that critics are trained on. The reward of any action is known, so which ones is a choice.

a = sigmoid(l),  l = logit of the actor's own prediction + noise * N(0, 1); in a share of the rows a ~ U(0, 1) instead.

The paper's critics see the actor's actions alone, one in each state, and nothing tells them what another action would
be worth: without noise, the best action by Q was found to say nothing of the true probability. The published code's
are uniform, and Q is an extrapolation at the small probabilities that actors predict. Wide noise covers both.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        return self.around(actor, [each[0] for each in self.numbers(actor, [generator])])

    def draw_side_by_side(self, actors: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return what :meth:`draw` makes of each seed's logits, stacked [S, B, K], with the generator of the seed."""
        return self.around(actors, self.numbers(actors, generators))

    def numbers(self, like: Tensor, generators: Sequence[torch.Generator]) -> list[Tensor]:
        """Return the random numbers of one draw of S seeds, each from its own generator, stacked in front [S, ...].

        They are for logits whose last dimensions and device are those of ``like`` [.., B, K]: :attr:`drawn` tensors.
        """
        rows, tasks = like.shape[-2:]
        wanted = [(torch.Tensor.normal_, tasks)] if self.noise else []
        if self.uniform:
            wanted += [(torch.Tensor.uniform_, tasks), (torch.Tensor.uniform_, 1)]
        numbers = [torch.empty(len(generators), rows, width) for _, width in wanted]
        # Seed by seed, in the order in which a seed alone draws them: the noise, where, whether.
        for place, generator in enumerate(generators):
            for (fill, _), of_all in zip(wanted, numbers, strict=True):
                fill(of_all[place], generator=generator)
        return [of_all.to(like.device) for of_all in numbers]

    @property
    def drawn(self) -> int:
        """How many tensors of random numbers a draw takes."""
        return bool(self.noise) + 2 * bool(self.uniform)

    def around(self, actor: Tensor, numbers: Sequence[Tensor]) -> Tensor:
        """Return the logits of the actions [.., B, K] that :meth:`numbers` give around the actor's [.., B, K]."""
        logits = actor
        if self.noise:
            logits = logits + self.noise * numbers[0]
        if self.uniform:
            anywhere, chance = numbers[-2:]
            anywhere = anywhere.clamp(_SMALLEST, 1 - _SMALLEST).logit()
            logits = torch.where(chance < self.uniform, anywhere, logits)
        return logits
