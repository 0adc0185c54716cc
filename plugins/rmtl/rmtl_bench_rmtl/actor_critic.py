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
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtl_bench.contracts import (
    Batch,
    Diagnostic,
    Evaluation,
    SplitRows,
    Stage,
    StageContext,
    StagedWeighting,
    StepReport,
    Task,
    TaskLosses,
)
from rmtl_bench_rmtl.actions import TrainingActions
from rmtl_bench_rmtl.critic_stage import CriticStage, soft_update
from rmtl_bench_rmtl.critics import Critics
from rmtl_bench_rmtl.diagnostics import critic_diagnostics
from rmtl_bench_rmtl.sessions import Transitions, rewards
from rmtl_bench_rmtl.weights import ConstantWeights


class ActorCriticStage(Stage):
    """Trains actor and critics in the same steps; its score is the actor's mean validation AUC."""

    def __init__(self, critics: Critics, context: StageContext, method: ActorCritic, **limits: Any) -> None:
        actor = context.backbone
        super().__init__("actor-critic", nn.ModuleList([actor, critics]), order="train", **limits)
        self.actor, self.critics, self.context, self.method = actor, critics, context, method
        self.target_actor = copy.deepcopy(actor).requires_grad_(False).eval()
        self.target_critics = copy.deepcopy(critics).requires_grad_(False).eval()
        self.transitions = Transitions.of(context.train.session_end)
        self._actor_parameters = [p for p in actor.parameters() if p.requires_grad]
        self._critic_parameters = list(critics.parameters())
        self._generator = torch.Generator().manual_seed(context.seed("actions", paired=True))
        self._steps = 0

    def parameter_groups(self) -> Iterable[dict[str, Any]]:
        """Return the actor's parameters, and the critics' with a step size of their own."""
        critics = {"params": self._critic_parameters, "lr": self.method.critic_learning_rate}
        return [{"params": self._actor_parameters}, critics]

    def backward(self, batch: Batch) -> StepReport:
        """Backpropagate the TD errors into the critics, and their values into the actor."""
        logits = self.actor(batch)
        self._critics_backward(batch, logits.detach())
        losses = F.binary_cross_entropy_with_logits(logits, batch.labels, reduction="none")
        known = TaskLosses(losses if batch.label_mask is None else losses * batch.label_mask, batch.label_mask)
        self._steps += 1
        if self._steps % self.method.actor_every == 0:
            loss = self._actor_loss(batch, logits, known)
            torch.autograd.backward(loss, inputs=self._actor_parameters)
        return StepReport(known.mean().detach())

    def _critics_backward(self, batch: Batch, logits: Tensor) -> None:
        following = self.transitions.following[batch.rows]
        goes_on = self.transitions.goes_on[batch.rows].unsqueeze(1)
        acted = self.method.actions.draw(logits, self._generator)
        with torch.no_grad():
            after = self.context.train.batch(following)
            action = self.method.target_actions.draw(self.target_actor(after), self._generator)
            value = rewards(acted, batch.labels)
            if batch.label_mask is not None:
                value = value * batch.label_mask
            value = value + self.method.discount * goes_on * self.target_critics.pessimistic(after, action)
        squared = (value - self.critics.all_values(self.critics.states(batch), acted)).square().sum(0)
        known = self.transitions.known[batch.rows].unsqueeze(1).expand_as(squared)
        if batch.label_mask is not None:
            known = known & batch.label_mask
        loss = ((squared * known).sum(0) / known.sum(0).clamp(min=1)).sum()
        torch.autograd.backward(loss, inputs=self._critic_parameters)

    def _actor_loss(self, batch: Batch, logits: Tensor, losses: TaskLosses) -> Tensor:
        self.critics.eval()
        values = self.critics(batch, logits)
        self.critics.train()
        if not self.method.alpha:
            return -values.mean(0).sum()
        scale = values.detach().abs().mean(0).clamp(min=1e-6)
        return losses.mean().sum() - self.method.alpha * (values.mean(0) / scale).sum()

    def after_step(self) -> None:
        """Move both targets."""
        soft_update(self.target_critics, self.critics, self.method.soft_update)
        soft_update(self.target_actor, self.actor, self.method.soft_update)

    def evaluate(self) -> Evaluation:
        """Return the actor's mean validation AUC as score, with AUC and logloss by task."""
        return self.context.validate()


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
