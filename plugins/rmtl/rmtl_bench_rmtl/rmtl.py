"""RMTL: reinforcement learning weights the losses of a multi-task model over a session.

Liu et al., "Multi-Task Recommendations with Reinforcement Learning", WWW 2023, arXiv:2302.03328.

Three stages, in the order that the authors describe as the real one:

1. *pre-train*: the actor, any backbone, under equal weights, with early stopping;
2. *critics*: with the actor frozen, one critic a task learns Q_k(s, a_k) by temporal differences
   (:mod:`~rmtl_bench_rmtl.critic_stage`) on the logged sessions, until it has converged;
3. *fine-tune*: the actor goes on from its pre-trained state under per-sample weights

       omega_k = 1 - lambda * Q_k(s, a_k; phi_k)     (eq. 10),    L = sum_k mean(omega_k * BCE_k)     (eq. 15)

   with a_k the actor's current prediction, critics frozen and in evaluation mode, omega without gradient.
   Q <= 0, so omega >= 1: a sample from whose session bad predictions are expected gets more weight.

The variants and controls differ in omega alone (:mod:`~rmtl_bench_rmtl.weights`): the actor's stages, limits and
streams are the same, and so are the critics where there are any. Those whose omega asks no critic train none.
With ``critic_from``, stage 2 is left out and the critics are those that the run on another backbone learnt.

Defaults: lambda 0.7, gamma 0.95, beta 0.2 are the paper's; sizes and dropout are those of the published code. Not
in the paper: the training actions (:mod:`~rmtl_bench_rmtl.actions`); fine-tuning at 2e-4 with the pre-trained weights
as its epoch 0, because at the pre-training's own rate these models overfit within an epoch; the critics' end, which
the paper puts at a threshold of the TD error. All are parameters, and the controls have them too.

Where the published code differs: :mod:`~rmtl_bench_rmtl.official`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rmtl_bench.contracts import (
    DataError,
    Diagnostic,
    LossWeighting,
    SplitRows,
    Stage,
    StageContext,
    StagedWeighting,
    Task,
)
from rmtl_bench_rmtl.actions import TrainingActions
from rmtl_bench_rmtl.critic_stage import CriticStage
from rmtl_bench_rmtl.critics import Critics
from rmtl_bench_rmtl.diagnostics import critic_diagnostics, weight_diagnostics
from rmtl_bench_rmtl.sessions import INSIDE
from rmtl_bench_rmtl.weights import OF_CRITICS, ConstantWeights, ReturnWeights, SampleWeights


class RMTL(StagedWeighting):
    """The three stages; the parameters are described in the catalogue."""

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        weights: str = "critic",
        lambda_q: float = 0.7,
        discount: float = 0.95,
        soft_update: float = 0.2,
        action_noise: float = 3.0,
        uniform_actions: float = 0.1,
        shared_bottom: bool = True,
        twin_critics: bool = False,
        importance: bool = False,
        embedding_dim: int = 128,
        bottom: Sequence[int] = (512, 256),
        tower: Sequence[int] = (128, 64),
        dropout: float = 0.2,
        critic_learning_rate: float = 1e-3,
        critic_epochs: int = 50,
        critic_patience: int = 5,
        critic_tolerance: float = 0.002,
        fine_tune_learning_rate: float = 2e-4,
        fine_tune_epochs: int = 10,
        pre_trained_counts: bool = True,
        critic_from: str = "",
    ) -> None:
        super().__init__(tasks)
        self.form = weights
        self.lambda_q = lambda_q
        self.discount = discount
        self.soft_update = soft_update
        self.actions = TrainingActions(action_noise, uniform_actions)
        self.importance = importance
        self.architecture: dict[str, Any] = {"shared_bottom": shared_bottom, "twin": twin_critics}
        self.architecture |= {"embedding_dim": embedding_dim, "bottom": bottom, "tower": tower, "dropout": dropout}
        self.critic_limits: dict[str, Any] = {
            "learning_rate": critic_learning_rate,
            "max_epochs": critic_epochs,
            "patience": critic_patience,
            "tolerance": critic_tolerance,
        }
        self.fine_tune_limits: dict[str, Any] = {
            "learning_rate": fine_tune_learning_rate,
            "max_epochs": fine_tune_epochs,
            "counts_start": pre_trained_counts,
        }
        self.critic_from = critic_from
        # In a list, hence no submodule: the critics are no part of what a stage of the backbone saves or trains.
        self._critics: list[Critics] = []
        self._converged: bool | None = None

    def stages(self, context: StageContext) -> Iterator[Stage]:
        """Yield pre-training, the critics where they are wanted and not handed on, and fine-tuning."""
        if not bool((context.train.session_end == INSIDE).any()):
            context.warn("every session of the training split has one row: critics learn its reward and nothing more")
        # The order "train" is that of a plain training: pre-training repeats it bit for bit.
        yield context.backbone_stage("pre-train", ConstantWeights(self.tasks), order="train")
        if self.form in OF_CRITICS:
            self._critics = [self.new_critics(context)]
            if self.critic_from:
                self._take_over(context)
            else:
                yield from self._critic_stage(context)
        yield context.backbone_stage("fine-tune", self._fine_tune_weights(context), **self.fine_tune_limits)

    def _critic_stage(self, context: StageContext) -> Iterator[Stage]:
        stage = self.new_critic_stage(context)
        yield stage
        self._converged = stage.ended_by == "no-improvement"
        if not self._converged:
            epochs = self.critic_limits["max_epochs"]
            context.warn(f"the critics had not converged after {epochs} epochs, the most that critic_epochs allows")

    def new_critics(self, context: StageContext) -> Critics:
        """Return critics with an initialisation of the run's own."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed("critics", paired=True))
            critics = Critics(context.schema, **self.architecture)
        return critics.to(context.device)

    def new_critic_stage(self, context: StageContext) -> CriticStage:
        """Return the stage that trains the critics."""
        return CriticStage(self._critics[0], context, **self.critic_stage_parameters())

    def critic_stage_parameters(self) -> dict[str, Any]:
        """Return what the critics' stage is made with."""
        return {
            "discount": self.discount,
            "soft_update": self.soft_update,
            "actions": self.actions,
            "importance": self.importance,
            **self.critic_limits,
        }

    def _take_over(self, context: StageContext) -> None:
        if context.handed_on is None:
            raise DataError(f"no critics were handed on from a run on backbone {self.critic_from!r}")
        try:
            self._critics[0].load_state_dict(dict(context.handed_on))
        except RuntimeError as error:
            first = str(error).splitlines()[1].strip()
            raise DataError(f"the critics handed on from backbone {self.critic_from!r} do not fit: {first}") from error

    def _fine_tune_weights(self, context: StageContext) -> LossWeighting:
        if self.form == "constant":
            return ConstantWeights(self.tasks)
        return self.sample_weights(context, context.train)

    def sample_weights(self, context: StageContext, rows: SplitRows) -> SampleWeights:
        """Return what gives the weights of a split's rows."""
        if self.form == "return":
            return ReturnWeights(self.tasks, rows, context.predict(rows), self.lambda_q, self.discount)
        return OF_CRITICS[self.form](self.tasks, self._critics[0], self.lambda_q)

    def kept(self) -> Mapping[str, Tensor]:
        """Return the critics, for a run that takes its own from this one."""
        return self._critics[0].state_dict() if self._critics else {}

    @torch.no_grad()
    def diagnose(self, context: StageContext, rows: SplitRows) -> Iterable[Diagnostic]:
        """Return what the critics learnt and which weights they give, on held-out rows."""
        found: list[Diagnostic] = []
        actor = context.predict(rows)
        names = context.schema.task_names
        size = context.evaluation_batch_size
        if self._critics:
            found += critic_diagnostics(self._critics[0], rows, actor, names, self.discount, size)
        if self._converged is not None:
            found += [Diagnostic(name, "critics-converged", float(self._converged)) for name in names]
        if self.form != "constant":
            rule = self.sample_weights(context, rows)
            weights = torch.cat([rule.weights(actor[batch.rows], batch) for batch in rows.batches(size)])
            found += weight_diagnostics(names, weights, rows.session_end)
        return found
