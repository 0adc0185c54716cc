"""Actors trained by their critics' gradient: DDPG, the paper's RL baseline on PLE ("D-PLE"), and TD3+BC.

DDPG, Lillicrap et al., ICLR 2016, arXiv:1509.02971. Actor (any backbone) and critics learn in the same steps:

    critics:  minimise  (r + gamma (1 - done) Q'(s', pi'(s')) - Q(s, a))^2      a: the actor's action with noise
    actor:    minimise  - sum_k mean Q_k(s, pi_k(s))                            through the action only

with target networks pi' and Q' that follow by beta after every step. A critics' stage with the actor's initial state
comes first. No label enters the actor's loss but through
the rewards that the critics have seen.

TD3+BC, Fujimoto and Gu, NeurIPS 2021, arXiv:2106.06860: twin critics with the smaller value in the target, noise on
the target's action, the actor's step every second time, and a term that keeps the actor near the data,

    actor:    minimise  - alpha sum_k mean Q_k(s, pi_k(s)) / mean |Q_k|  +  sum_k mean BCE(pi_k(s), y_k).

The paper's term is the squared distance from the logged action; here the log holds no action, and the label, the best
action in hindsight, takes its place under the field's own loss. On the data of a recommender every action's reward is
known from its label, so the term is not needed against extrapolation: it is the supervised loss itself.

Where others differ: RMTL's published code computes an actor's loss of this kind and never steps on it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtl_bench.contracts import (
    Backbone,
    Batch,
    Diagnostic,
    Evaluation,
    ModuleStack,
    SplitRows,
    Stage,
    StageContext,
    StagedWeighting,
    StageGroup,
    StepReport,
    Task,
    TaskLosses,
    map_stacked,
    span,
)
from rmtl_bench_rmtl.actions import TrainingActions
from rmtl_bench_rmtl.critic_stage import CriticStage, mean_of_known, soft_update, soft_update_stacked
from rmtl_bench_rmtl.critics import Critics
from rmtl_bench_rmtl.diagnostics import critic_diagnostics
from rmtl_bench_rmtl.sessions import Transitions, rewards
from rmtl_bench_rmtl.weights import ConstantWeights


class Asked(NamedTuple):
    """What a step asks the networks of one seed, or, stacked in front, of several.

    ``logits`` [B, K] of the actor; ``acted`` [B, K], the training actions around them; ``values`` [T, B, K] of these,
    from each twin; ``later`` [B, K], the target's values of the next states; ``own``, the values [B, K] of the actor's
    actions, through which it learns: none in a step in which it does not.
    """

    logits: Tensor
    acted: Tensor
    values: Tensor
    later: Tensor
    own: tuple[Tensor, ...] = ()


class ActorCriticStage(Stage):
    """Trains actor and critics in the same steps; its score is the actor's mean validation AUC."""

    def __init__(self, critics: Critics, context: StageContext, method: ActorCritic, **limits: Any) -> None:
        actor = context.backbone
        super().__init__("actor-critic", nn.ModuleList([actor, critics]), order="train", **limits)
        self.actor, self.critics, self.context, self.method = actor, critics, context, method
        self.target_actor = copy.deepcopy(actor).requires_grad_(False).eval()
        self.target_critics = copy.deepcopy(critics).requires_grad_(False).eval()
        self.transitions = Transitions.of(context.train.session_end)
        self.generator = torch.Generator().manual_seed(context.seed("actions", paired=True))
        self._actor_parameters = [p for p in actor.parameters() if p.requires_grad]
        self._critic_parameters = list(critics.parameters())
        self.steps = 0

    def parameter_groups(self) -> Iterable[dict[str, Any]]:
        """Return the actor's parameters, and the critics' with a step size of their own."""
        critics = {"params": self._critic_parameters, "lr": self.method.critic_learning_rate}
        return [{"params": self._actor_parameters}, critics]

    def backward(self, batch: Batch) -> StepReport:
        """Backpropagate the TD errors into the critics, and their values into the actor."""
        self.steps += 1
        numbers = [own[0] for own in self.numbers(batch, [self.generator])]
        networks = self.actor, self.critics, self.target_actor, self.target_critics
        learns = self.actor_learns(self.steps)
        with span("forward"):
            asked = self.ask(*networks, batch, self.following(batch), *numbers, actor_learns=learns)
        return self.learn(batch, asked, self._actor_parameters, self._critic_parameters)

    def actor_learns(self, step: int) -> bool:
        """Return whether the actor learns in a step, counted from 1."""
        return step % self.method.actor_every == 0

    def following(self, batch: Batch) -> Batch:
        """Return the next rows of a batch's rows."""
        return self.context.train.batch(self.transitions.following[batch.rows])

    def numbers(self, batch: Batch, generators: Sequence[torch.Generator]) -> list[Tensor]:
        """Return the random numbers of a step of S seeds, stacked [S, ...]: of the actions, and of the target's."""
        method, like = self.method, batch.labels
        return [*method.actions.numbers(like, generators), *method.target_actions.numbers(like, generators)]

    def ask(
        self,
        actor: Backbone,
        critics: Critics,
        target_actor: Backbone,
        target_critics: Critics,
        batch: Batch,
        following: Batch,
        *numbers: Tensor,
        actor_learns: bool,
    ) -> Asked:
        """Return what one seed's networks say of a batch and its next rows."""
        method = self.method
        logits = actor(batch)
        acted = method.actions.around(logits.detach(), numbers[: method.actions.drawn])
        with torch.no_grad():
            action = method.target_actions.around(target_actor(following), numbers[method.actions.drawn :])
            later = target_critics.pessimistic(following, action)
        values = critics.all_values(critics.states(batch), acted)
        if not actor_learns:
            return Asked(logits, acted, values, later)
        training = critics.training
        own = critics.eval()(batch, logits)
        critics.train(training)
        return Asked(logits, acted, values, later, (own,))

    def learn(
        self, batch: Batch, asked: Asked, actor: Sequence[nn.Parameter], critics: Sequence[nn.Parameter]
    ) -> StepReport:
        """Backpropagate into the parameters of actor and critics: of one seed, or of several stacked."""
        with span("backward"):
            torch.autograd.backward(self._critics_loss(batch, asked), inputs=critics)
        losses = F.binary_cross_entropy_with_logits(asked.logits, batch.labels, reduction="none")
        known = TaskLosses(losses if batch.label_mask is None else losses * batch.label_mask, batch.label_mask)
        for values in asked.own:
            with span("backward"):
                torch.autograd.backward(self._actor_loss(values, known), inputs=actor)
        return StepReport(known.mean().detach())

    def _critics_loss(self, batch: Batch, asked: Asked) -> Tensor:
        goes_on = self.transitions.goes_on[batch.rows].unsqueeze(-1)
        target = rewards(asked.acted, batch.labels, batch.label_mask) + self.method.discount * goes_on * asked.later
        squared = (target.unsqueeze(-3) - asked.values).square().sum(-3)
        known = self.transitions.known[batch.rows].unsqueeze(-1).expand_as(squared)
        return mean_of_known(squared, known if batch.label_mask is None else known & batch.label_mask).sum()

    def _actor_loss(self, values: Tensor, losses: TaskLosses) -> Tensor:
        mean = values.mean(-2)
        if not self.method.alpha:
            return -mean.sum()
        scale = values.detach().abs().mean(-2).clamp(min=1e-6)
        return losses.mean().sum() - self.method.alpha * (mean / scale).sum()

    def after_step(self) -> None:
        """Move both targets."""
        soft_update(self.target_critics, self.critics, self.method.soft_update)
        soft_update(self.target_actor, self.actor, self.method.soft_update)

    def evaluate(self) -> Evaluation:
        """Return the actor's mean validation AUC as score, with AUC and logloss by task."""
        return self.context.validate()

    def get_extra_state(self) -> dict[str, Any]:
        """Return both target networks, where the generator of the actions stands, and the number of steps."""
        targets = [self.target_actor.state_dict(), self.target_critics.state_dict()]
        return {"targets": targets, "actions": self.generator.get_state(), "steps": self.steps}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that :meth:`get_extra_state` gave."""
        for target, own in zip((self.target_actor, self.target_critics), state["targets"], strict=True):
            target.load_state_dict(own)
        self.generator.set_state(state["actions"])
        self.steps = state["steps"]

    @classmethod
    def side_by_side(cls, stages: Sequence[ActorCriticStage]) -> StageGroup[ActorCriticStage]:
        """Return the stages of several seeds, to be trained in one pass."""
        return ActorCriticStages(stages)


class ActorCriticStages(StageGroup[ActorCriticStage]):
    """Actors, critics and their targets stacked, the actions drawn seed by seed."""

    def __init__(self, stages: Sequence[ActorCriticStage]) -> None:
        super().__init__(stages)
        self.actors = ModuleStack([stage.actor for stage in stages])
        self.critics = ModuleStack([stage.critics for stage in stages])
        self.target_actors = ModuleStack([stage.target_actor for stage in stages])
        self.target_critics = ModuleStack([stage.target_critics for stage in stages])

    def backward(self, batch: Batch) -> StepReport:
        """Backpropagate the TD errors into the critics of every seed, and their values into the actors."""
        for stage in self.stages:
            stage.steps += 1
        first = self.stages[0]
        numbers = first.numbers(batch, [stage.generator for stage in self.stages])
        ask = partial(first.ask, actor_learns=first.actor_learns(first.steps))
        stacks = [self.actors, self.critics, self.target_actors, self.target_critics]
        with span("forward"):
            asked = map_stacked(ask, stacks, batch, first.following(batch), *numbers)
        actors = [leaf for leaf in self.actors.parameters.values() if leaf.requires_grad]
        return first.learn(batch, asked, actors, list(self.critics.parameters.values()))

    def after_step(self) -> None:
        """Move all targets."""
        beta = self.stages[0].method.soft_update
        soft_update_stacked(self.target_critics, self.critics, beta)
        soft_update_stacked(self.target_actors, self.actors, beta)


class ActorCritic(StagedWeighting):
    """DDPG; with ``alpha``, ``twin_critics``, ``target_noise`` and ``actor_every``, TD3+BC.

    The critics learn first, until they have converged, while the actor stands still: an actor that follows critics
    from their first step runs away to actions of which they know nothing. ``alpha`` 0: no supervised term.
    ``pre_train``: begin with a training of the actor under equal weights.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        discount: float = 0.95,
        soft_update: float = 0.2,
        action_noise: float = 3.0,
        uniform_actions: float = 0.1,
        target_noise: float = 0.0,
        actor_every: int = 1,
        alpha: float = 0.0,
        pre_train: bool = False,
        shared_bottom: bool = True,
        twin_critics: bool = False,
        embedding_dim: int = 128,
        bottom: Sequence[int] = (512, 256),
        tower: Sequence[int] = (128, 64),
        dropout: float = 0.2,
        critic_learning_rate: float = 1e-3,
        critic_epochs: int = 50,
        critic_patience: int = 5,
        critic_tolerance: float = 0.002,
        epochs: int = 50,
        patience: int = 5,
    ) -> None:
        super().__init__(tasks)
        self.discount = discount
        self.soft_update = soft_update
        self.actions = TrainingActions(action_noise, uniform_actions)
        self.target_actions = TrainingActions(target_noise, 0.0)
        self.actor_every = actor_every
        self.alpha = alpha
        self.pre_train = pre_train
        self.architecture: dict[str, Any] = {
            "shared_bottom": shared_bottom,
            "twin": twin_critics,
            "embedding_dim": embedding_dim,
            "bottom": bottom,
            "tower": tower,
            "dropout": dropout,
        }
        self.critic_learning_rate = critic_learning_rate
        self.critic_limits: dict[str, Any] = {
            "learning_rate": critic_learning_rate,
            "max_epochs": critic_epochs,
            "patience": critic_patience,
            "tolerance": critic_tolerance,
        }
        self.limits = {"max_epochs": epochs, "patience": patience}
        self._critics: list[Critics] = []

    def stages(self, context: StageContext) -> Iterator[Stage]:
        """Yield pre-training if asked for, and the joint training of actor and critics."""
        if self.pre_train:
            yield context.backbone_stage("pre-train", ConstantWeights(self.tasks), order="train")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed("critics", paired=True))
            critics = Critics(context.schema, **self.architecture)
        self._critics = [critics.to(context.device)]
        yield CriticStage(
            self._critics[0],
            context,
            discount=self.discount,
            soft_update=self.soft_update,
            actions=self.actions,
            **self.critic_limits,
        )
        yield ActorCriticStage(self._critics[0], context, self, counts_start=self.pre_train, **self.limits)

    @torch.no_grad()
    def diagnose(self, context: StageContext, rows: SplitRows) -> Iterable[Diagnostic]:
        """Return what the critics learnt, on held-out rows."""
        names, size = context.schema.task_names, context.evaluation_batch_size
        return critic_diagnostics(self._critics[0], rows, context.predict(rows), names, self.discount, size)
