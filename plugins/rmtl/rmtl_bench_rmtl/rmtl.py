"""RMTL: reinforcement learning weights the losses of a multi-task model over a session.

Liu et al., "Multi-Task Recommendations with Reinforcement Learning", WWW 2023, arXiv:2302.03328.

Three stages, in the order that the authors describe as the real one:

1. *pre-train*: the actor, any backbone, under equal weights, with early stopping;
2. *critics*: with the actor frozen, one critic a task learns Q_k(s, a_k) by temporal differences
   (:mod:`~rmtl_bench_rmtl.critic_stage`) on the logged sessions, until Q comes no closer to their exact returns;
3. *fine-tune*: the actor goes on from its pre-trained state under per-sample weights

       omega_k = 1 - lambda * Q_k(s, a_k; phi_k)     (eq. 10),    L = sum_k mean(omega_k * BCE_k)     (eq. 15)

   with a_k the actor's current prediction, critics frozen and in evaluation mode, omega without gradient.
   Q <= 0, so omega >= 1: a sample from whose session bad predictions are expected gets more weight.

Defaults: lambda 0.7, gamma 0.95, beta 0.2 are the paper's; sizes and dropout are those of the published
code. Not in the paper: fine-tuning at 2e-4 with the pre-trained weights as its epoch 0, because at the
pre-training's own rate these models overfit within an epoch; both are parameters, and the control has them too.
Nor is the critics' end, which the paper puts at a threshold of the TD error.

Where the published code differs: it draws training actions uniformly while the reward is that of another
action, keeps dropout on in the weights, takes the minimum of target and current critic for a target, treats
cut sessions as ended, and uses gamma 0.9 and lambda 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from rmtl_bench.contracts import Batch, LossWeighting, Stage, StageContext, StagedWeighting, Task, TaskLosses, Weighted
from rmtl_bench_rmtl.critic_stage import CriticStage
from rmtl_bench_rmtl.critics import Critics


class ConstantWeights(LossWeighting):
    """Every weight is 1."""

    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        """Return the sum of the mean losses."""
        mean = losses.mean()
        return Weighted(mean.sum(), torch.ones_like(mean))


class CriticWeights(LossWeighting):
    """omega_k = 1 - lambda * Q_k(s, a_k) for each sample and task, a constant to the gradient."""

    def __init__(self, tasks: Sequence[Task], critics: Critics, lambda_q: float) -> None:
        super().__init__(tasks)
        # In a tuple, hence no submodule: training mode would switch the critics' dropout on again.
        self._critics = (critics.requires_grad_(False).eval(),)
        self.lambda_q = lambda_q

    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        """Return sum_k mean(omega_k * BCE_k) and omega [B, K]."""
        with torch.no_grad():
            weights = 1 - self.lambda_q * self._critics[0](batch, logits.detach())
        return Weighted(losses.mean(weights).sum(), weights)


class RMTL(StagedWeighting):
    """The three stages; the parameters are described in the catalogue."""

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        lambda_q: float = 0.7,
        discount: float = 0.95,
        soft_update: float = 0.2,
        action_noise: float = 0.0,
        embedding_dim: int = 128,
        bottom: Sequence[int] = (512, 256),
        tower: Sequence[int] = (128, 64),
        dropout: float = 0.2,
        critic_learning_rate: float = 1e-3,
        critic_epochs: int = 10,
        critic_tolerance: float = 0.001,
        fine_tune_learning_rate: float = 2e-4,
        fine_tune_epochs: int = 10,
        pre_trained_counts: bool = True,
    ) -> None:
        super().__init__(tasks)
        self.lambda_q = lambda_q
        self.discount = discount
        self.soft_update = soft_update
        self.action_noise = action_noise
        self.embedding_dim = embedding_dim
        self.bottom = tuple(bottom)
        self.tower = tuple(tower)
        self.dropout = dropout
        self.critic_learning_rate = critic_learning_rate
        self.critic_epochs = critic_epochs
        self.critic_tolerance = critic_tolerance
        self.fine_tune_learning_rate = fine_tune_learning_rate
        self.fine_tune_epochs = fine_tune_epochs
        self.pre_trained_counts = pre_trained_counts

    def stages(self, context: StageContext) -> Iterator[Stage]:
        """Yield pre-training, the critics and fine-tuning."""
        # The order "train" is that of a plain training: pre-training repeats it bit for bit.
        yield context.backbone_stage("pre-train", ConstantWeights(self.tasks), order="train")
        critics = self._new_critics(context)
        yield CriticStage(
            critics,
            context,
            discount=self.discount,
            soft_update=self.soft_update,
            action_noise=self.action_noise,
            max_epochs=self.critic_epochs,
            learning_rate=self.critic_learning_rate,
            tolerance=self.critic_tolerance,
        )
        yield context.backbone_stage(
            "fine-tune",
            self.fine_tune_weights(critics),
            max_epochs=self.fine_tune_epochs,
            learning_rate=self.fine_tune_learning_rate,
            counts_start=self.pre_trained_counts,
        )

    def fine_tune_weights(self, critics: Critics) -> LossWeighting:
        """Return the weighting of the last stage."""
        return CriticWeights(self.tasks, critics, self.lambda_q)

    def _new_critics(self, context: StageContext) -> Critics:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed("critics"))
            critics = Critics(
                context.schema,
                embedding_dim=self.embedding_dim,
                bottom=self.bottom,
                tower=self.tower,
                dropout=self.dropout,
            )
        return critics.to(context.device)


class RMTLConstantWeights(RMTL):
    """RMTL's budget-matched control: the same stages and epochs, critics and all, under weights of 1.

    The paper's ablation CW. What RMTL gains over it, and only that, the critics have brought.
    """

    def fine_tune_weights(self, critics: Critics) -> LossWeighting:
        """Return constant weights: the critics were trained and are not asked."""
        return ConstantWeights(self.tasks)
