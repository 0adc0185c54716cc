"""The session as a Markov decision process: a view on the rows, no environment loop, no replay copy.

State s_t: the features of row t. Action a_k: the predicted probability of task k, here as its logit.
Transition: row i to row i+1 unless the session ends at i. Reward, one a task, from the logged label y:

    r_k = y log a_k + (1 - y) log(1 - a_k)  <= 0

Logits are clipped to +-15 for the reward, which is therefore never below -15.00. Because the logged
transitions do not depend on the actions, the reward of *any* action is known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

INSIDE, END, CUT = 0, 1, 2
"""The values of ``session_end``: the next row continues the session, it ends here, a split boundary cuts it here."""
CLIP = 15.0
"""Bound of an action's logit in its reward."""


@dataclass(frozen=True)
class Transitions:
    """Where each of N rows leads: a view, made of the rows' ``session_end`` alone.

    ``following`` int64 [N], the next row of the session, the row itself where there is none; ``goes_on`` bool [N],
    whether there is one; ``known`` bool [N], False where a split boundary cuts the session: it did not end there, but
    what follows is not in this split.
    """

    following: Tensor
    goes_on: Tensor
    known: Tensor

    @classmethod
    def of(cls, session_end: Tensor) -> Transitions:
        """Return the transitions of rows in session order with ``session_end`` uint8 [N]."""
        goes_on = session_end == INSIDE
        return cls(
            following=torch.arange(len(session_end), device=session_end.device) + goes_on,
            goes_on=goes_on,
            known=session_end != CUT,
        )


def rewards(logits: Tensor, labels: Tensor, known: Tensor | None = None) -> Tensor:
    """Return r_k [.., K] of the actions sigmoid(logits) [.., K] for labels [.., K]; soft labels give expectations.

    Where labels are missing, not ``known`` bool [.., K], the reward is 0. ``logits`` may be those of several actors,
    with more dimensions in front.
    """
    clipped = logits.clamp(-CLIP, CLIP)
    reward = -F.binary_cross_entropy_with_logits(clipped, labels.expand_as(clipped), reduction="none")
    return reward if known is None else reward * known


def discounted_returns(reward: Tensor, session_end: Tensor, discount: float) -> tuple[Tensor, Tensor]:
    """Return the discounted sums of rewards [N, K] to the end of each row's session, and where they are exact.

    Computed by pointer doubling, in about log2(longest session) passes over the rows. ``session_end``
    uint8 [N]. The second value, bool [N], is False on the rows of a session that a split boundary cut:
    what followed is not known.
    """
    transitions = Transitions.of(session_end)
    following = transitions.following
    factor = discount * transitions.goes_on.to(reward.dtype).unsqueeze(1)
    total = reward.clone()
    while bool(factor.any()):
        total = total + factor * total[following]
        factor = factor * factor[following]
        following = following[following]
    return total, transitions.known[_last_rows(transitions)]


def positions_in_session(session_end: Tensor) -> Tensor:
    """Return how many rows of the same session and split stand before each row, int64 [N]."""
    rows = torch.arange(len(session_end), device=session_end.device)
    starts = torch.ones_like(session_end, dtype=torch.bool)
    starts[1:] = session_end[:-1] != INSIDE
    return rows - torch.where(starts, rows, 0).cummax(0).values


def _last_rows(transitions: Transitions) -> Tensor:
    last = transitions.following
    for _ in range(max(1, len(last).bit_length())):
        last = last[last]
    return last
