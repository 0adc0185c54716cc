"""The second stage: the critics learn by temporal differences while the actor is frozen. Of one seed, or several."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rmtl_bench.contracts import (
    Batch,
    DataError,
    DivergedError,
    Evaluation,
    ModuleStack,
    SplitRows,
    Stage,
    StageContext,
    StageGroup,
    StepReport,
    map_stacked,
    span,
)
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

    def following(self, batch: Batch) -> tuple[Batch, Tensor]:
        """Return the next rows of a batch's rows, and whether there are any, bool [.., B, 1]."""
        following = self.rows.batch(self.transitions.following[batch.rows])
        return following, self.transitions.goes_on[batch.rows].unsqueeze(-1)

    def returns(self, discount: float) -> tuple[Tensor, Tensor]:
        """Return the actor's discounted returns [N, K], and where they are exact [N, K]."""
        reward = rewards(self.actor, self.rows.labels, self.rows.label_mask)
        returns, ended = discounted_returns(reward, self.rows.session_end, discount)
        # A return is exact where no reward of the rest of its session is missing.
        missing, _ = discounted_returns((~self.known).float(), self.rows.session_end, 1.0)
        return returns, ended.unsqueeze(1) & (missing == 0)


class CriticStage(Stage):
    """Minimises the mean squared TD error of every task,

        delta = r(s, a) + gamma (1 - done) Q'(s', pi(s')) - Q(s, a),    no gradient through the target,

    over the training actions a (:mod:`~rmtl_bench_rmtl.actions`), with pi the frozen actor and Q' the target
    network, in evaluation mode: phi' <- beta phi + (1 - beta) phi' after every step, or every ``target_every``
    steps. With twins, Q' is the smaller.

    Ends when Q comes no closer to the exact returns of the validation split under a fixed draw of training actions,
    and keeps the closest Q. The TD error itself cannot tell: its target moves, and it was seen to rise while Q came
    closer. The exact return, r(s, a) + gamma R(s'), is known without a simulator, since logged transitions do not
    depend on actions. Where every session is cut and no return is exact, the TD error decides.

    What a variant overrides: ``next_values`` is asked with one seed's tensors, and ``critics`` are that seed's; the
    others are asked with those of a batch [B, ...] or of several seeds' batches [S, B, ...] at once.
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
        target_every: int = 1,
        **limits: Any,
    ) -> None:
        super().__init__("critics", critics, **limits)
        self.critics = critics
        self.target = copy.deepcopy(critics).requires_grad_(False).eval()
        self.discount = discount
        self.soft_update = soft_update
        self.target_every = target_every
        self.actions = actions
        self.importance = importance
        self.tasks = context.schema.task_names
        self.train = ActedRows(context.train, context.predict(context.train), self.tasks)
        self.valid = ActedRows(context.valid, context.predict(context.valid), self.tasks)
        self.generator = torch.Generator().manual_seed(context.seed("actions", paired=True))
        judged = torch.Generator().manual_seed(context.seed("validation-actions", paired=True))
        self.judged = actions.draw(self.valid.actor, judged)
        self._batch_size = context.evaluation_batch_size
        self.steps = 0
        self._own_returns, self._exact = self.valid.returns(discount)
        mask = context.valid.label_mask
        own, other = (rewards(logits, context.valid.labels, mask) for logits in (self.valid.actor, self.judged))
        self._returns = self._own_returns + (other - own)

    def backward(self, batch: Batch) -> StepReport:
        """Backpropagate the TD errors of a batch of rows and their next rows."""
        acted = self.actions.draw(self.train.actor[batch.rows], self.generator)
        following, goes_on = self.train.following(batch)
        ahead = self.train.actor[following.rows]
        with span("forward"):
            asked = self.values(self.critics, self.target, self.view(batch), self.view(following), acted, ahead)
            losses = self.losses(batch, acted, goes_on, *asked)
        with span("backward"):
            losses.sum().backward()
        return StepReport(losses.detach())

    def values(
        self, critics: Critics, target: Critics, seen: Batch, following: Batch, acted: Tensor, ahead: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return Q [T, B, K] of the actions ``acted``, and Q' [B, K] of the actor's, ``ahead``, in the next states."""
        with torch.no_grad():
            later = self.next_values(target, following, ahead)
        return critics.all_values(critics.states(seen), acted), later

    def losses(self, batch: Batch, acted: Tensor, goes_on: Tensor, values: Tensor, later: Tensor) -> Tensor:
        """Return the loss of each task, [K] or of several seeds [S, K], from what :meth:`values` returns."""
        squared = self.squared_td_errors(batch, acted, goes_on, values, later)
        known = self.train.known[batch.rows]
        return mean_of_known(squared, known, self.importance_weights(batch) if self.importance else None)

    def squared_td_errors(self, batch: Batch, acted: Tensor, goes_on: Tensor, values: Tensor, later: Tensor) -> Tensor:
        """Return delta^2 [.., B, K]; with twins, their sum. Undefined where nothing is known."""
        target = self.reward(batch, acted) + self.discount * goes_on * later
        return (target.unsqueeze(-3) - values).square().sum(-3)

    def view(self, batch: Batch) -> Batch:
        """Return the rows as the critics see them in this stage."""
        return batch

    def reward(self, batch: Batch, acted: Tensor) -> Tensor:
        """Return the rewards [.., B, K] of the actions ``acted``, 0 where the label is missing."""
        return rewards(acted, batch.labels, batch.label_mask)

    def next_values(self, target: Critics, following: Batch, logits: Tensor) -> Tensor:
        """Return the values [B, K] of the actor's actions in the following states."""
        return target.pessimistic(following, logits)

    def importance_weights(self, batch: Batch) -> Tensor:
        """Return weights [.., B, K] under which a batch's positives and negatives count the same.

        w = y (B + 2) / (2 (P + 1)) + (1 - y) (B + 2) / (2 (B - P + 1)), P positives of B known labels.
        """
        labels = batch.labels
        positives = labels.sum(-2, keepdim=True)
        rows = labels.shape[-2] if batch.label_mask is None else batch.label_mask.sum(-2, keepdim=True)
        positive = (rows + 2) / (2 * (positives + 1))
        negative = (rows + 2) / (2 * (rows - positives + 1))
        return torch.where(labels > 0.5, positive, negative)

    def after_step(self) -> None:
        """Move the target, in the steps in which it moves."""
        self.steps += 1
        if self.steps % self.target_every == 0:
            soft_update(self.target, self.critics, self.soft_update)

    def get_extra_state(self) -> dict[str, Any]:
        """Return the target network, where the generator of the actions stands, and the number of steps."""
        return {"target": self.target.state_dict(), "actions": self.generator.get_state(), "steps": self.steps}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that :meth:`get_extra_state` gave."""
        self.target.load_state_dict(state["target"])
        self.generator.set_state(state["actions"])
        self.steps = state["steps"]

    @torch.no_grad()
    def evaluate(self) -> Evaluation:
        """Return minus the squared distance of Q from the exact returns, and by task that, their correlation under
        the actor's own actions, and the TD error.
        """
        ask = partial(self.values_to_judge, self.critics)
        return self.judge(*self.on_validation(ask, self.valid.actor, self.judged, self.rows_at_once(1)))

    def rows_at_once(self, seeds: int) -> int:
        """Return how many rows a forward pass of so many seeds takes in validation."""
        return max(1, self._batch_size // seeds)

    def values_to_judge(
        self, critics: Critics, seen: Batch, following: Batch, acted: Tensor, own: Tensor, ahead: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what :meth:`values` does of critics that are their own target, and Q [B, K] of the actor's ``own``."""
        states = critics.states(seen)
        later = self.next_values(critics, following, ahead)
        return critics.all_values(states, acted), later, critics.all_values(states, own)[0]

    def on_validation(
        self, ask: Callable[..., tuple[Tensor, Tensor, Tensor]], actor: Tensor, judged: Tensor, size: int
    ) -> list[Tensor]:
        """Return what :meth:`judge` is given, from the actor's logits and the judged actions, ``size`` rows at a time.

        Of one seed all are [N, K]; of several [S, N, K]. ``ask`` is :meth:`values_to_judge` of their critics.
        """
        found = []
        for batch in self.valid.rows.batches(size):
            following, goes_on = self.valid.following(batch)
            acted, own, ahead = judged[..., batch.rows, :], actor[..., batch.rows, :], actor[..., following.rows, :]
            values, later, of_own = ask(self.view(batch), self.view(following), acted, own, ahead)
            td_errors = self.squared_td_errors(batch, acted, goes_on, values, later) / self.critics.twins
            found.append((td_errors, values[..., 0, :, :], of_own))
        return [torch.cat(column, -2) for column in zip(*found, strict=True)]

    def judge(self, td_errors: Tensor, values: Tensor, own: Tensor) -> Evaluation:
        """Return the validation result from squared TD errors, Q of the judged and of the actor's actions [N, K]."""
        td_error = mean_of_known(td_errors, self.valid.known).tolist()
        return_error = mean_of_known((values - self._returns).square(), self._exact).tolist()
        correlation = correlations(own, self._own_returns, self._exact)
        quantities: dict[tuple[str, str], float] = {}
        for task, td, distance, related in zip(self.tasks, td_error, return_error, correlation, strict=True):
            quantities[task, "td-error"] = td
            quantities[task, "return-error"] = distance
            quantities[task, "return-correlation"] = related
        judged = return_error if bool(self._exact.any()) else td_error
        return Evaluation(-sum(judged) / len(judged), quantities)

    @classmethod
    def side_by_side(cls, stages: Sequence[CriticStage]) -> StageGroup[CriticStage]:
        """Return the stages of several seeds, to be trained in one pass."""
        return CriticStages(stages)


class CriticStages(StageGroup[CriticStage]):
    """Critics and targets stacked, the actions drawn seed by seed; what is computed is what the first stage says."""

    def __init__(self, stages: Sequence[CriticStage]) -> None:
        super().__init__(stages)
        self.critics = ModuleStack([stage.critics for stage in stages])
        self.targets = ModuleStack([stage.target for stage in stages])
        self._gather_actors()

    def _gather_actors(self) -> None:
        """Stack what each seed's actor does on all rows [S, N, K]: a batch of all seeds is then one look-up."""
        self._actors = torch.stack([stage.train.actor for stage in self.stages])
        # The stages go on with views: the rows of a split are many.
        for stage, actor in zip(self.stages, self._actors, strict=True):
            stage.train.actor = actor
        self._places = torch.arange(len(self), device=self._actors.device).unsqueeze(1)

    def backward(self, batch: Batch) -> StepReport:
        """Backpropagate the TD errors of every seed's batch."""
        first = self.stages[0]
        generators = [stage.generator for stage in self.stages]
        acted = first.actions.draw_side_by_side(self._actors[self._places, batch.rows], generators)
        following, goes_on = first.train.following(batch)
        ahead = self._actors[self._places, following.rows]
        given = first.view(batch), first.view(following), acted, ahead
        with span("forward"):
            asked = map_stacked(first.values, [self.critics, self.targets], *given)
            losses = first.losses(batch, acted, goes_on, *asked)
        with span("backward"):
            losses.sum().backward()
        return StepReport(losses.detach())

    def after_step(self) -> None:
        """Move the targets, in the steps in which they move."""
        for stage in self.stages:
            stage.steps += 1
        if self.stages[0].steps % self.stages[0].target_every == 0:
            soft_update_stacked(self.targets, self.critics, self.stages[0].soft_update)

    @torch.no_grad()
    def evaluate(self) -> Sequence[Evaluation | DivergedError]:
        """Return the validation result of every seed."""
        first = self.stages[0]
        actors = torch.stack([stage.valid.actor for stage in self.stages])
        judged = torch.stack([stage.judged for stage in self.stages])
        ask = partial(map_stacked, first.values_to_judge, [self.critics], shared=2)
        found = first.on_validation(ask, actors, judged, first.rows_at_once(len(self)))
        return [stage.judge(*own) for stage, own in zip(self.stages, zip(*found, strict=True), strict=True)]

    def keep(self, places: Sequence[int], optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Go on with the stages at these places alone."""
        super().keep(places, optimizers)
        self._gather_actors()


def soft_update(target: torch.nn.Module, source: torch.nn.Module, beta: float) -> None:
    """Move ``target`` a share ``beta`` of the way to ``source``, phi' <- beta phi + (1 - beta) phi'; copy buffers."""
    _move(target.parameters(), source.parameters(), beta)
    _copy(target.buffers(), source.buffers())


def soft_update_stacked(targets: ModuleStack, sources: ModuleStack, beta: float) -> None:
    """Move all modules of a stack as :func:`soft_update` moves one."""
    _move(targets.parameters.values(), sources.parameters.values(), beta)
    _copy(targets.buffers.values(), sources.buffers.values())
    _copy(targets.shared_buffers.values(), sources.shared_buffers.values())


@torch.no_grad()
def _move(targets: Iterable[Tensor], sources: Iterable[Tensor], beta: float) -> None:
    for old, new in zip(targets, sources, strict=True):
        old.lerp_(new, beta)


@torch.no_grad()
def _copy(targets: Iterable[Tensor], sources: Iterable[Tensor]) -> None:
    for old, new in zip(targets, sources, strict=True):
        old.copy_(new)


def mean_of_known(values: Tensor, known: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean of values [.., B, K] over the rows that are ``known`` bool [.., B, K], 0 where none is.

    Where ``weights`` are given, each value counts so many times; the mean is still over the number of rows.
    """
    counted = values * (known if weights is None else known * weights)
    return counted.sum(-2) / known.sum(-2).clamp(min=1)


def correlations(values: Tensor, others: Tensor, where: Tensor) -> list[float]:
    """Return Pearson's correlation of each column of two [N, K] over the rows of ``where`` [N, K]; NaN if undefined."""
    found = []
    for k in range(values.shape[1]):
        chosen = where[:, k]
        pair = torch.stack([values[chosen, k], others[chosen, k]]).double()
        defined = pair.shape[1] > 1 and bool((pair.std(1) > 0).all())
        found.append(float(torch.corrcoef(pair)[0, 1]) if defined else float("nan"))
    return found


def _refuse_undefined(reward: Tensor, tasks: Sequence[str]) -> None:
    bad = (~torch.isfinite(reward)).nonzero()
    if len(bad):
        row, task = bad[0].tolist()
        raise DataError(
            f"the reward of task {tasks[task]!r} is {reward[row, task]:g} in row {row} of a split; "
            "labels have to be 0 or 1, and the actor's predictions finite"
        )
