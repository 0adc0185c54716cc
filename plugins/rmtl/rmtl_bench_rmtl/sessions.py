"""The session as a Markov decision process: a view on the rows, no environment loop, no replay copy.

State s_t: the features of row t. Action a_k: the predicted probability of task k, here as its logit.
Transition: row i to row i+1 unless the session ends at i. Reward, one a task, from the logged label y:

    r_k = y log a_k + (1 - y) log(1 - a_k)  <= 0

Logits are clipped to +-15 for the reward, which is therefore never below -15.00. Because the logged
transitions do not depend on the actions, the reward of *any* action is known exactly.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

INSIDE, END, CUT = 0, 1, 2
_CLIP = 15.0


def rewards(logits: Tensor, labels: Tensor) -> Tensor:
    """Return r_k [.., K] of the actions sigmoid(logits) [.., K] for labels [.., K]."""
    return -F.binary_cross_entropy_with_logits(logits.clamp(-_CLIP, _CLIP), labels, reduction="none")


def discounted_returns(reward: Tensor, session_end: Tensor, discount: float) -> tuple[Tensor, Tensor]:
    """Return the discounted sums of rewards [N, K] to the end of each row's session, and where they are exact.

    Computed by pointer doubling, in about log2(longest session) passes over the rows. ``session_end``
    uint8 [N]. The second value, bool [N], is False on the rows of a session that a split boundary cut:
    what followed is not known.
    """
    n = len(reward)
    goes_on = session_end == INSIDE
    following = torch.arange(n, device=reward.device) + goes_on.long()
    factor = discount * goes_on.to(reward.dtype).unsqueeze(1)
    total = reward.clone()
    while bool(factor.any()):
        total = total + factor * total[following]
        factor = factor * factor[following]
        following = following[following]
    last = torch.arange(n, device=reward.device) + goes_on.long()
    for _ in range(max(1, n.bit_length())):
        last = last[last]
    return total, session_end[last] == END
