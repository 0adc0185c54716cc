"""The second stage: the critics learn by temporal differences while the actor is frozen."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rmtl_bench.contracts import Batch, DataError, Evaluation, SplitRows, Stage, StageContext, StepReport
from rmtl_bench_rmtl.actions import TrainingActions
from rmtl_bench_rmtl.critics import Critics
from rmtl_bench_rmtl.sessions import Transitions, discounted_returns, rewards


class ActedRows:
    """A split with what the frozen actor does on it, computed once: its logits [N, K], and where they lead."""

    def __init__(self, rows: SplitRows, actor: Tensor, tasks: Sequence[str]) -> None:
        self.rows = rows
        self.actor = actor
        self.transitions = Transitions.of(rows.session_end)
        # Behind a cut the session goes on, but not in this split: neither its end nor its next state is known.
        known = self.transitions.known.unsqueeze(1).expand_as(actor)
        self.known = known if rows.label_mask is None else known & rows.label_mask
        _refuse_undefined(rewards(actor, rows.labels), tasks)

    def reward(self, batch: Batch, logits: Tensor) -> Tensor:
        """Return the rewards [B, K] of the actions sigmoid(logits), 0 where the label is missing."""
        reward = rewards(logits, batch.labels)
        return reward if batch.label_mask is None else reward * batch.label_mask

    def returns(self, discount: float) -> tuple[Tensor, Tensor]:
        """Return the actor's discounted returns [N, K], and where they are exact [N, K]."""
        reward = rewards(self.actor, self.rows.labels)
        if self.rows.label_mask is not None:
            reward = reward * self.rows.label_mask
        returns, ended = discounted_returns(reward, self.rows.session_end, discount)
        # A return is exact where no reward of the rest of its session is missing.
        missing, _ = discounted_returns((~self.known).float(), self.rows.session_end, 1.0)
        return returns, ended.unsqueeze(1) & (missing == 0)


class CriticStage(Stage):
    """Minimises the mean squared TD error of every task,

        delta = r(s, a) + gamma (1 - done) Q'(s', pi(s')) - Q(s, a),    no gradient through the target,

    over the training actions a (:mod:`~rmtl_bench_rmtl.actions`), with pi the frozen actor and Q' the target
    network, in evaluation mode: phi' <- beta phi + (1 - beta) phi' after every step. With twins, Q' is the smaller.

    Ends when Q comes no closer to the exact returns of the validation split under a fixed draw of training actions,
    and keeps the closest Q. The TD error itself cannot tell: its target moves, and it was seen to rise while Q came
    closer. The exact return, r(s, a) + gamma R(s'), is known without a simulator, since logged transitions do not
    depend on actions. Where every session is cut and no return is exact, the TD error decides.
    """

    def __init__(
        self,
        critics: Critics,
        context: StageContext,
        *,
        discount: float,
        soft_update: float,
        actions: TrainingActions,
        importance: bool = False,
        **limits: Any,
    ) -> None:
        super().__init__("critics", critics, **limits)
        self.critics = critics
        self.target = copy.deepcopy(critics).requires_grad_(False).eval()
        self.discount = discount
        self.soft_update = soft_update
        self.actions = actions
        self.importance = importance
        self.tasks = context.schema.task_names
        self.train = ActedRows(context.train, context.predict(context.train), self.tasks)
        self.valid = ActedRows(context.valid, context.predict(context.valid), self.tasks)
        self._batch_size = context.evaluation_batch_size
        self._generator = torch.Generator().manual_seed(context.seed("actions", paired=True))
        judged = torch.Generator().manual_seed(context.seed("validation-actions", paired=True))
        self._judged = actions.draw(self.valid.actor, judged)
        self._own_returns, self._exact = self.valid.returns(discount)
        own, other = (rewards(logits, context.valid.labels) for logits in (self.valid.actor, self._judged))
        difference = other - own
        if context.valid.label_mask is not None:
            difference = difference * context.valid.label_mask
        self._returns = self._own_returns + difference

    def backward(self, batch: Batch) -> StepReport:
        """Backpropagate the TD errors of a batch of rows and their next rows."""
        acted = self.actions.draw(self.train.actor[batch.rows], self._generator)
        squared = self._squared_td_errors(self.train, batch, acted, self.target)
        known = self.train.known[batch.rows]
        weights = known if not self.importance else known * self.importance_weights(batch)
        losses = (squared * weights).sum(0) / known.sum(0).clamp(min=1)
        losses.sum().backward()
        return StepReport(losses.detach())

    def _squared_td_errors(self, split: ActedRows, batch: Batch, acted: Tensor, target: Critics) -> Tensor:
        """Return delta^2 [B, K] of the actions ``acted``; with twins, their sum. Undefined where nothing is known."""
        following = split.transitions.following[batch.rows]
        goes_on = split.transitions.goes_on[batch.rows].unsqueeze(1)
        with torch.no_grad():
            value = self.next_values(target, self.view(split.rows.batch(following)), split.actor[following])
            value = self.reward(split, batch, acted) + self.discount * goes_on * value
        seen = self.view(batch)
        return (value - self.critics.all_values(self.critics.states(seen), acted)).square().sum(0)

    def view(self, batch: Batch) -> Batch:
        """Return the rows as the critics see them in this stage."""
        return batch

    def reward(self, split: ActedRows, batch: Batch, acted: Tensor) -> Tensor:
        """Return the rewards [B, K] of the actions ``acted``."""
        return split.reward(batch, acted)

    def next_values(self, target: Critics, following: Batch, logits: Tensor) -> Tensor:
        """Return the values [B, K] of the actor's actions in the following states."""
        return target.pessimistic(following, logits)

    def importance_weights(self, batch: Batch) -> Tensor:
        """Return weights [B, K] under which a batch's positives and negatives count the same.

        w = y (B + 2) / (2 (P + 1)) + (1 - y) (B + 2) / (2 (B - P + 1)), P positives of B known labels.
        """
        positives = batch.labels.sum(0)
        rows = len(batch) if batch.label_mask is None else batch.label_mask.sum(0)
        positive = (rows + 2) / (2 * (positives + 1))
        negative = (rows + 2) / (2 * (rows - positives + 1))
        return torch.where(batch.labels > 0.5, positive, negative)

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the target."""
        soft_update(self.target, self.critics, self.soft_update)

    @torch.no_grad()
    def evaluate(self) -> Evaluation:
        """Return minus the squared distance of Q from the exact returns, and by task that, their correlation under
        the actor's own actions, and the TD error.
        """
        td_errors, values, own = [], [], []
        for batch in self.valid.rows.batches(self._batch_size):
            acted = self._judged[batch.rows]
            td_errors.append(self._squared_td_errors(self.valid, batch, acted, self.critics) / self.critics.twins)
            values.append(self.critics(self.view(batch), acted))
            own.append(self.critics(self.view(batch), self.valid.actor[batch.rows]))
        td_error = _mean(torch.cat(td_errors), self.valid.known).tolist()
        return_error = _mean((torch.cat(values) - self._returns).square(), self._exact).tolist()
        correlation = correlations(torch.cat(own), self._own_returns, self._exact)
        quantities: dict[tuple[str, str], float] = {}
        for task, td, distance, related in zip(self.tasks, td_error, return_error, correlation, strict=True):
            quantities[task, "td-error"] = td
            quantities[task, "return-error"] = distance
            quantities[task, "return-correlation"] = related
        judged = return_error if bool(self._exact.any()) else td_error
        return Evaluation(-sum(judged) / len(judged), quantities)


@torch.no_grad()
def soft_update(target: torch.nn.Module, source: torch.nn.Module, beta: float) -> None:
    """Move ``target`` a share ``beta`` of the way to ``source``, phi' <- beta phi + (1 - beta) phi'; copy buffers."""
    for old, new in zip(target.parameters(), source.parameters(), strict=True):
        old.lerp_(new, beta)
    for old, new in zip(target.buffers(), source.buffers(), strict=True):
        old.copy_(new)


def correlations(values: Tensor, others: Tensor, where: Tensor) -> list[float]:
    """Return Pearson's correlation of each column of two [N, K] over the rows of ``where`` [N, K]; NaN if undefined."""
    found = []
    for k in range(values.shape[1]):
        chosen = where[:, k]
        pair = torch.stack([values[chosen, k], others[chosen, k]]).double()
        defined = pair.shape[1] > 1 and bool((pair.std(1) > 0).all())
        found.append(float(torch.corrcoef(pair)[0, 1]) if defined else float("nan"))
    return found


def _mean(values: Tensor, known: Tensor) -> Tensor:
    return (values * known).sum(0) / known.sum(0).clamp(min=1)


def _refuse_undefined(reward: Tensor, tasks: Sequence[str]) -> None:
    bad = (~torch.isfinite(reward)).nonzero()
    if len(bad):
        row, task = bad[0].tolist()
        raise DataError(
            f"the reward of task {tasks[task]!r} is {reward[row, task]:g} in row {row} of a split; "
            "labels have to be 0 or 1, and the actor's predictions finite"
        )
