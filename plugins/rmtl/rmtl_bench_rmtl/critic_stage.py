"""The second stage: the critics learn by temporal differences while the actor is frozen."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from rmtl_bench.contracts import Batch, Evaluation, SplitRows, Stage, StageContext, StepReport
from rmtl_bench_rmtl.critics import Critics
from rmtl_bench_rmtl.sessions import CUT, INSIDE, discounted_returns, rewards


class ActedRows:
    """A split with what the frozen actor does on it: its actions and rewards are computed once.

    ``actor`` [N, K]: the actor's own logits; ``acted`` [N, K]: those the critics are trained on.
    """

    def __init__(self, rows: SplitRows, actor: Tensor, acted: Tensor, discount: float) -> None:
        self.rows = rows
        self.actor = actor
        self.acted = acted
        self.discount = discount
        self.reward = rewards(acted, rows.labels)
        if rows.label_mask is not None:
            self.reward = self.reward * rows.label_mask
        # Behind a cut the session goes on, but not in this split: neither its end nor its next state is known.
        known = (rows.session_end != CUT).unsqueeze(1).expand_as(acted)
        self.known = known if rows.label_mask is None else known & rows.label_mask

    def squared_td_errors(self, batch: Batch, critics: Critics, target: Critics) -> tuple[Tensor, Tensor]:
        """Return delta^2 [B, K] and where it is defined, with

        delta = r + gamma * (1 - done) * Q'(s', pi(s')) - Q(s, a), no gradient through the target.
        """
        positions = batch.rows
        goes_on = self.rows.session_end[positions] == INSIDE
        following = torch.where(goes_on, positions + 1, positions)
        with torch.no_grad():
            value = target(self.rows.batch(following), self.actor[following])
            value = self.reward[positions] + self.discount * goes_on.unsqueeze(1) * value
        delta = value - critics(batch, self.acted[positions])
        return delta.square(), self.known[positions]


class CriticStage(Stage):
    """Minimises the mean squared TD error of every task.

    Ends when Q comes no closer to the exact returns of the validation split, and keeps the closest Q. The TD error
    itself cannot tell: its target moves, and it was seen to rise while Q came closer to the returns. The exact
    returns are known without a simulator, since logged transitions do not depend on the actions.
    """

    def __init__(
        self,
        critics: Critics,
        context: StageContext,
        *,
        discount: float,
        soft_update: float,
        action_noise: float,
        **limits: Any,
    ) -> None:
        super().__init__("critics", critics, patience=1, **limits)
        self.critics = critics
        self.target = copy.deepcopy(critics).requires_grad_(False).eval()
        self.soft_update = soft_update
        self._batch_size = context.evaluation_batch_size
        actor = context.predict(context.train)
        acted = actor
        if action_noise:
            generator = torch.Generator().manual_seed(context.seed("action-noise"))
            acted = actor + action_noise * torch.randn(actor.shape, generator=generator).to(actor.device)
        self.train = ActedRows(context.train, actor, acted, discount)
        actor = context.predict(context.valid)
        self.valid = ActedRows(context.valid, actor, actor, discount)
        self.tasks = context.schema.task_names
        end = context.valid.session_end
        self._returns, ended = discounted_returns(self.valid.reward, end, discount)
        # A return is exact where no reward of the rest of its session is missing.
        missing, _ = discounted_returns((~self.valid.known).float(), end, 1.0)
        self._exact = ended.unsqueeze(1) & (missing == 0)

    def backward(self, batch: Batch) -> StepReport:
        """Backpropagate the TD errors of a batch of rows and their next rows."""
        squared, known = self.train.squared_td_errors(batch, self.critics, self.target)
        losses = _mean(squared, known)
        losses.sum().backward()
        return StepReport(losses.detach())

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the target: phi' = beta phi + (1 - beta) phi'."""
        for old, new in zip(self.target.parameters(), self.critics.parameters(), strict=True):
            old.lerp_(new, self.soft_update)

    @torch.no_grad()
    def evaluate(self) -> Evaluation:
        """Return minus the squared distance of Q from the exact returns of the validation split, and the TD error.

        Where every session is cut and no return is exact, the score is minus the TD error.
        """
        squared, known, values = [], [], []
        for batch in self.valid.rows.batches(self._batch_size):
            error, defined = self.valid.squared_td_errors(batch, self.critics, self.critics)
            squared.append(error)
            known.append(defined)
            values.append(self.critics(batch, self.valid.acted[batch.rows]))
        td_error = _mean(torch.cat(squared), torch.cat(known)).tolist()
        gap = (torch.cat(values) - self._returns).square()
        return_error = _mean(gap, self._exact).tolist()
        quantities: dict[tuple[str, str], float] = {}
        for task, td, distance in zip(self.tasks, td_error, return_error, strict=True):
            quantities[task, "td-error"] = td
            quantities[task, "return-error"] = distance
        judged = return_error if bool(self._exact.any()) else td_error
        return Evaluation(-sum(judged) / len(judged), quantities)


def _mean(values: Tensor, known: Tensor) -> Tensor:
    return (values * known).sum(0) / known.sum(0).clamp(min=1)
