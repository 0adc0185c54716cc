"""The weights of fine-tuning: omega [B, K] for each sample and task, constants to the gradient.

=========  ==========================================  ========================================================
critic     omega_k = 1 - lambda Q_k(s, a_k)            eq. 10 of the paper; a_k is the actor's current prediction
constant   omega_k = 1                                 the paper's CW, and the control of everything here
label      omega_k = 1 - lambda y_k Q_k(s, a_k)        the paper's WL: negatives keep a weight of 1
negative   omega_k = -Q_k(s, a_k)                      the paper's NLC, no linear combination
return     omega_k = 1 - lambda R_k                    no critic: R_k = r(a_k, y_k) + gamma R_k(s') of the logged
                                                       session, s' on under the pre-trained actor
shuffled   omega of another row of the batch           the critic's weights with their information taken away
=========  ==========================================  ========================================================

Weights are not normalised: Adam forgives a common factor, and all tasks share it nearly.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from rmtl_bench.contracts import Batch, LossWeighting, SplitRows, Task, TaskLosses, Weighted
from rmtl_bench_rmtl.critics import Critics
from rmtl_bench_rmtl.sessions import Transitions, discounted_returns, rewards


class SampleWeights(LossWeighting):
    """Weights the loss of each sample and task by a number that :meth:`weights` gives."""

    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        """Return sum_k mean(omega_k * BCE_k) and omega [B, K]."""
        with torch.no_grad():
            weights = self.weights(logits.detach(), batch)
        return Weighted(losses.mean(weights).sum(), weights)

    @abstractmethod
    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return omega [B, K] for the actor's current logits [B, K]."""


class ConstantWeights(LossWeighting):
    """Every weight is 1."""

    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        """Return the sum of the mean losses."""
        mean = losses.mean()
        return Weighted(mean.sum(), torch.ones_like(mean))


class CriticWeights(SampleWeights):
    """omega_k = 1 - lambda Q_k(s, a_k), the critics frozen and in evaluation mode."""

    def __init__(self, tasks: Sequence[Task], critics: Critics, lambda_q: float) -> None:
        super().__init__(tasks)
        # In a tuple, hence no submodule: training mode would switch the critics' dropout on again.
        self._critics = (critics.requires_grad_(False).eval(),)
        self.lambda_q = lambda_q

    def values(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return Q [B, K]."""
        values: Tensor = self._critics[0](batch, logits)
        return values

    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return 1 - lambda Q."""
        return 1 - self.lambda_q * self.values(logits, batch)


class LabelWeights(CriticWeights):
    """omega_k = 1 - lambda y_k Q_k(s, a_k)."""

    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return 1 - lambda y Q."""
        return 1 - self.lambda_q * batch.labels * self.values(logits, batch)


class NegativeValueWeights(CriticWeights):
    """omega_k = -Q_k(s, a_k): lambda plays no part."""

    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return -Q."""
        return -self.values(logits, batch)


class ShuffledWeights(CriticWeights):
    """The weights of :class:`CriticWeights`, permuted over the rows of the batch, all tasks alike."""

    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return 1 - lambda Q of other rows."""
        order = torch.randperm(len(batch), generator=self.generator)
        return super().weights(logits, batch)[order.to(logits.device)]


class ReturnWeights(SampleWeights):
    """omega_k = 1 - lambda (r(a_k, y_k) + gamma R_k(s')), exact: no critic, and labels of later rows known.

    ``policy`` [N, K]: the logits of the frozen actor on ``rows``, which batches are drawn from. Where a split boundary
    cuts a session, its return ends: the sum lacks what followed, which only makes the weight smaller.
    """

    def __init__(
        self, tasks: Sequence[Task], rows: SplitRows, policy: Tensor, lambda_q: float, discount: float
    ) -> None:
        super().__init__(tasks)
        reward = rewards(policy, rows.labels)
        if rows.label_mask is not None:
            reward = reward * rows.label_mask
        returns, _ = discounted_returns(reward, rows.session_end, discount)
        transitions = Transitions.of(rows.session_end)
        self.lambda_q = lambda_q
        self.later = discount * transitions.goes_on.unsqueeze(1) * returns[transitions.following]

    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return 1 - lambda R."""
        reward = rewards(logits, batch.labels)
        if batch.label_mask is not None:
            reward = reward * batch.label_mask
        return 1 - self.lambda_q * (reward + self.later[batch.rows])


OF_CRITICS: dict[str, type[CriticWeights]] = {
    "critic": CriticWeights,
    "label": LabelWeights,
    "negative": NegativeValueWeights,
    "shuffled": ShuffledWeights,
}
"""The weights that need critics, by the name that the parameter ``weights`` gives them."""
