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
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

from rmtl_bench.contracts import (
    Batch,
    LossWeighting,
    ModuleStack,
    SplitRows,
    Task,
    TaskLosses,
    Weighted,
    map_stacked,
)
from rmtl_bench_rmtl.critics import Critics
from rmtl_bench_rmtl.sessions import Transitions, discounted_returns, rewards

Made = TypeVar("Made")


class SampleWeights(LossWeighting):
    """Weights the loss of each sample and task by a number that :meth:`weights` gives."""

    _of_several: tuple[Sequence[LossWeighting], Any] | None = None

    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        """Return sum_k mean(omega_k * BCE_k) and omega [B, K]."""
        with torch.no_grad():
            weights = self.weights(logits.detach(), batch)
        return Weighted(losses.mean(weights).sum(), weights)

    @classmethod
    def combine_side_by_side(
        cls, weightings: Sequence[Self], losses: TaskLosses, logits: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        """Return the scalars [S] of several seeds, and omega [S, B, K]."""
        with torch.no_grad():
            weights = cls.weights_side_by_side(weightings, logits.detach(), batch)
        return losses.mean(weights).sum(1), weights

    @abstractmethod
    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return omega [B, K] for the actor's current logits [B, K]."""

    @classmethod
    def weights_side_by_side(cls, weightings: Sequence[Self], logits: Tensor, batch: Batch) -> Tensor:
        """Return omega [S, B, K] of several seeds, whose logits are stacked as the batch is: by default, one by one."""
        return torch.stack([own.weights(logits[place], batch.replica(place)) for place, own in enumerate(weightings)])

    @classmethod
    def made_once(cls, weightings: Sequence[Self], make: Callable[[], Made]) -> Made:
        """Return what ``make`` makes of several seeds' weightings, made anew only when a seed has left the pass."""
        first, *others = weightings
        held = first._of_several
        # The first itself is not held: it would hold itself, and all that was made, in memory.
        if held is None or list(map(id, held[0])) != list(map(id, others)):
            held = first._of_several = others, make()
        made: Made = held[1]
        return made


class ConstantWeights(LossWeighting):
    """Every weight is 1."""

    capturable = True

    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        """Return the sum of the mean losses."""
        mean = losses.mean()
        return Weighted(mean.sum(), torch.ones_like(mean))

    @classmethod
    def combine_side_by_side(
        cls, weightings: Sequence[Self], losses: TaskLosses, logits: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        """Return the sums [S] of several seeds' mean losses, and ones [S, K]."""
        mean = losses.mean()
        return mean.sum(1), torch.ones_like(mean)


class CriticWeights(SampleWeights):
    """omega_k = 1 - lambda Q_k(s, a_k), the critics frozen and in evaluation mode."""

    capturable = True

    def __init__(self, tasks: Sequence[Task], critics: Critics, lambda_q: float) -> None:
        super().__init__(tasks)
        # In a tuple, hence no submodule: training mode would switch the critics' dropout on again.
        self._critics = (critics.requires_grad_(False).eval(),)
        self.lambda_q = lambda_q

    def values(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return Q [B, K]."""
        values: Tensor = self._critics[0](batch, logits)
        return values

    @classmethod
    def values_side_by_side(cls, weightings: Sequence[Self], logits: Tensor, batch: Batch) -> Tensor:
        """Return Q [S, B, K] of several seeds."""
        stack = cls.made_once(weightings, lambda: _frozen(weightings))
        values: Tensor = map_stacked(_values, [stack], batch, logits)
        return values

    def omega(self, values: Tensor, batch: Batch) -> Tensor:
        """Return 1 - lambda Q, of values [.., B, K]."""
        return 1 - self.lambda_q * values

    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return omega [B, K] of the current predictions."""
        return self.omega(self.values(logits, batch), batch)

    @classmethod
    def weights_side_by_side(cls, weightings: Sequence[Self], logits: Tensor, batch: Batch) -> Tensor:
        """Return omega [S, B, K] of several seeds."""
        return weightings[0].omega(cls.values_side_by_side(weightings, logits, batch), batch)


def _frozen(weightings: Sequence[CriticWeights]) -> ModuleStack:
    """Return a copy of the seeds' critics as a stack: they learn no more, and need not be views of it."""
    stack = ModuleStack([own._critics[0] for own in weightings])
    stack.dissolve()
    return stack


def _values(critics: Critics, batch: Batch, logits: Tensor) -> Tensor:
    values: Tensor = critics(batch, logits)
    return values


class LabelWeights(CriticWeights):
    """omega_k = 1 - lambda y_k Q_k(s, a_k)."""

    def omega(self, values: Tensor, batch: Batch) -> Tensor:
        """Return 1 - lambda y Q, of values [.., B, K]."""
        return 1 - self.lambda_q * batch.labels * values


class NegativeValueWeights(CriticWeights):
    """omega_k = -Q_k(s, a_k): lambda plays no part."""

    def omega(self, values: Tensor, batch: Batch) -> Tensor:
        """Return -Q, of values [.., B, K]."""
        return -values


class ShuffledWeights(CriticWeights):
    """The weights of :class:`CriticWeights`, permuted over the rows of the batch, all tasks alike."""

    # The order is drawn on the CPU.
    capturable = False

    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return 1 - lambda Q of other rows."""
        return super().weights(logits, batch)[self._order(len(batch)).to(logits.device)]

    @classmethod
    def weights_side_by_side(cls, weightings: Sequence[Self], logits: Tensor, batch: Batch) -> Tensor:
        """Return 1 - lambda Q of other rows, in an order of each seed's own."""
        orders = torch.stack([own._order(logits.shape[1]) for own in weightings]).to(logits.device)
        weights = super().weights_side_by_side(weightings, logits, batch)
        return weights.gather(1, orders.unsqueeze(2).expand_as(weights))

    def _order(self, rows: int) -> Tensor:
        return torch.randperm(rows, generator=self.generator)


class ReturnWeights(SampleWeights):
    """omega_k = 1 - lambda (r(a_k, y_k) + gamma R_k(s')), exact: no critic, and labels of later rows known.

    ``policy`` [N, K]: the logits of the frozen actor on ``rows``, which batches are drawn from. Where a split boundary
    cuts a session, its return ends: the sum lacks what followed, which only makes the weight smaller.
    """

    capturable = True

    def __init__(
        self, tasks: Sequence[Task], rows: SplitRows, policy: Tensor, lambda_q: float, discount: float
    ) -> None:
        super().__init__(tasks)
        reward = rewards(policy, rows.labels, rows.label_mask)
        returns, _ = discounted_returns(reward, rows.session_end, discount)
        transitions = Transitions.of(rows.session_end)
        self.lambda_q = lambda_q
        self.later = discount * transitions.goes_on.unsqueeze(1) * returns[transitions.following]

    def weights(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return 1 - lambda R."""
        return self._omega(logits, batch, self.later[batch.rows])

    @classmethod
    def weights_side_by_side(cls, weightings: Sequence[Self], logits: Tensor, batch: Batch) -> Tensor:
        """Return 1 - lambda R of several seeds."""
        later, places = cls.made_once(weightings, lambda: _later(weightings))
        return weightings[0]._omega(logits, batch, later[places, batch.rows])

    def _omega(self, logits: Tensor, batch: Batch, later: Tensor) -> Tensor:
        return 1 - self.lambda_q * (rewards(logits, batch.labels, batch.label_mask) + later)


def _later(weightings: Sequence[ReturnWeights]) -> tuple[Tensor, Tensor]:
    """Return what follows each row for several seeds [S, N, K], and the seeds' places [S, 1] to look it up by."""
    later = torch.stack([own.later for own in weightings])
    # The weightings go on with views: the rows of a split are many.
    for own, of_seed in zip(weightings, later, strict=True):
        own.later = of_seed
    return later, torch.arange(len(weightings), device=later.device).unsqueeze(1)


OF_CRITICS: dict[str, type[CriticWeights]] = {
    "critic": CriticWeights,
    "label": LabelWeights,
    "negative": NegativeValueWeights,
    "shuffled": ShuffledWeights,
}
"""The weights that need critics, by the name that the parameter ``weights`` gives them."""
