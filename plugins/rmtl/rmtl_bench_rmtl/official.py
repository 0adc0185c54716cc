"""RMTL as the published code has it, as far as its choices can be reproduced: for showing what each of them does.

Official repository of Liu et al., WWW 2023 (no licence: nothing of it is copied; what follows restates its choices).
Every fault is a switch of its own, on by default; off, the choice is that of :mod:`~rmtl_bench_rmtl.rmtl`.

=========================  =========================================================================================
shifted_reward             an environment wrapper maps an action a to (a + 1) / 2 before its reward is computed, but the
                           action stored is a: Q is learnt of another action than it is asked for
uniform_actions            1: the critics' actions are uniform in [0, 1], while predictions lie near .05
standardised_ids           the state is standardised batch by batch, ids too, and cut to whole numbers: of most ids -1,
                           0 and 1 are left, the next state is standardised by other statistics; weights use raw ids
action_below_bottom        the action enters as a probability through a linear layer, beside the embeddings
target_minimum             a target is min(Q', Q) of the *same* task, neither the paper's nor that of twin critics
dropout_everywhere         critics stay in training mode: dropout is on in targets and in the weights
dead_zone                  Q = -ReLU(z): where z < 0 the weight is 1 for ever, since no gradient comes back
shared_bottom              off: no bottom is shared; ``identical_start``: all tasks' critics start as copies of one
cut_is_end                 a session that a split boundary cuts is taken for one that ended
target_every               2: the target network moves after every second step
importance                 off as in its main program; on, positives weigh w_pos + w_neg instead of w_pos
=========================  =========================================================================================

And gamma 0.9, lambda 1 (its README says ``--polish=1``), fine-tuning at 1e-3 that has to keep one of its own epochs.
Not reproduced: memory from 500 rows (its default without the authors' own pickle), batches in the order of the file,
validation and test period exchanged, a frozen row of the embedding, PLE's old wiring, critics' embeddings copied from
the actor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtl_bench.contracts import Batch, FieldEmbedding, ParallelMLP, Schema, SplitRows, StageContext, Task
from rmtl_bench_rmtl.critic_stage import CriticStage
from rmtl_bench_rmtl.critics import CriticNetwork, Critics
from rmtl_bench_rmtl.rmtl import RMTL
from rmtl_bench_rmtl.weights import CriticWeights, SampleWeights


class LowActionNetwork(CriticNetwork):
    """Q = head(bottom([embeddings(s), W a])), the action a probability."""

    def __init__(
        self,
        schema: Schema,
        tasks: int,
        *,
        embedding_dim: int,
        bottom: Sequence[int],
        tower: Sequence[int],
        dropout: float,
    ) -> None:
        nn.Module.__init__(self)
        self.embedding = FieldEmbedding(schema, embedding_dim)
        self.action = nn.Linear(1, embedding_dim)
        self.bottom = ParallelMLP(1, self.embedding.width + embedding_dim, bottom, dropout=dropout)
        self.heads = ParallelMLP(tasks, self.bottom.width, tower, dropout=dropout, output=1)

    def states(self, batch: Batch) -> Tensor:
        """Return the embeddings [B, width]."""
        return self.embedding(batch)

    def outputs(self, states: Tensor, logits: Tensor) -> Tensor:
        """Return z [B, K]."""
        rows, tasks = logits.shape
        action = self.action(torch.sigmoid(logits).T.unsqueeze(2))
        joined = torch.cat([states.expand(tasks, -1, -1), action], dim=2).reshape(tasks * rows, -1)
        return self.heads(self.bottom(joined)[0].view(tasks, rows, -1)).squeeze(2).T


def negative_relu(z: Tensor) -> Tensor:
    """Return -ReLU(z)."""
    return -F.relu(z)


class OfficialCriticStage(CriticStage):
    """The critics' stage with the faults that ``faults`` names."""

    def __init__(self, *args: Any, faults: OfficialRMTL, **limits: Any) -> None:
        super().__init__(*args, **limits)
        self.faults = faults
        if faults.dropout_everywhere:
            self.target.train()
        if faults.cut_is_end:
            for split in (self.train, self.valid):
                mask = split.rows.label_mask
                split.known = torch.ones_like(split.known) if mask is None else mask

    def view(self, batch: Batch) -> Batch:
        """Return the rows, their ids standardised over the batch and cut to whole numbers."""
        return standardised(batch, self._limits()) if self.faults.standardised_ids else batch

    def rows_at_once(self, seeds: int) -> int:
        """Return a number that does not depend on the seeds where what is seen of a row depends on those beside it."""
        return super().rows_at_once(1 if self.faults.standardised_ids else seeds)

    def reward(self, batch: Batch, acted: Tensor) -> Tensor:
        """Return the reward of another action than the one given."""
        if self.faults.shifted_reward:
            acted = torch.logit(0.5 * torch.sigmoid(acted) + 0.5, eps=1e-6)
        return super().reward(batch, acted)

    def next_values(self, target: Critics, following: Batch, logits: Tensor) -> Tensor:
        """Return the smaller of the target's and the current critics' values."""
        value = super().next_values(target, following, logits)
        if not self.faults.target_minimum:
            return value
        training = self.critics.training
        self.critics.train(training and self.faults.dropout_everywhere)
        current = self.critics.pessimistic(following, logits)
        self.critics.train(training)
        return torch.minimum(value, current)

    def importance_weights(self, batch: Batch) -> Tensor:
        """Return w_neg for negatives and w_pos + w_neg for positives."""
        rows, positives = batch.labels.shape[-2], batch.labels.sum(-2, keepdim=True)
        # The code divides by the negatives plainly; one is added here, or a batch without any would end the run.
        return batch.labels * (rows + 1) / (positives + 1) + (rows + 1) / (rows - positives + 1)

    def _limits(self) -> Tensor:
        embedding = next(module for module in self.critics.modules() if isinstance(module, FieldEmbedding))
        rows = 0 if embedding.table is None else len(embedding.table)
        return torch.stack([-embedding.offsets, rows - 1 - embedding.offsets])


def standardised(batch: Batch, limits: Tensor) -> Batch:
    """Return the batch with (id - mean) / sd cut to whole numbers; beyond ``limits`` [2, F] the table would end.

    Of batches stacked [S, B, ...], each is standardised by itself.
    A negative number reads the previous field's rows, as it did there; in the first field it was an error and is 0.
    """
    ids = batch.categorical.float()
    spread = ids.std(-2, correction=0, keepdim=True).clamp(min=1e-6)
    cut = ((ids - ids.mean(-2, keepdim=True)) / spread).to(torch.int32)
    return replace(batch, categorical=cut.maximum(limits[0].int()).minimum(limits[1].int()))


class NoisyWeights(CriticWeights):
    """1 - lambda Q with dropout on."""

    # The seed of what is dropped is drawn on the CPU.
    capturable = False

    def values(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return Q [B, K] of a random part of the critics' units."""
        critics = self._critics[0].train()
        # A stream of its own: the actor's dropout has to stay that of its control.
        with torch.random.fork_rng(devices=[logits.device] if logits.is_cuda else []):
            torch.manual_seed(int(torch.randint(2**62, (), generator=self.generator)))
            values: Tensor = critics(batch, logits)
        critics.eval()
        return values

    @classmethod
    def values_side_by_side(cls, weightings: Sequence[Self], logits: Tensor, batch: Batch) -> Tensor:
        """Return Q [S, B, K], seed by seed: what is dropped is each seed's own."""
        return torch.stack([own.values(logits[place], batch.replica(place)) for place, own in enumerate(weightings)])


class OfficialRMTL(RMTL):
    """RMTL with the published code's choices; the module says what each is."""

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        shifted_reward: bool = True,
        standardised_ids: bool = True,
        action_below_bottom: bool = True,
        target_minimum: bool = True,
        dropout_everywhere: bool = True,
        dead_zone: bool = True,
        identical_start: bool = True,
        cut_is_end: bool = True,
        target_every: int = 2,
        **parameters: Any,
    ) -> None:
        super().__init__(tasks, **parameters)
        self.shifted_reward = shifted_reward
        self.standardised_ids = standardised_ids
        self.target_minimum = target_minimum
        self.dropout_everywhere = dropout_everywhere
        self.identical_start = identical_start
        self.cut_is_end = cut_is_end
        self.target_every = target_every
        if action_below_bottom:
            self.architecture["network"] = LowActionNetwork
        if dead_zone:
            self.architecture["value"] = negative_relu

    def new_critics(self, context: StageContext) -> Critics:
        """Return the critics, copies of one if they have no bottom in common."""
        critics = super().new_critics(context)
        if self.identical_start:
            for network in critics.networks[1:]:
                network.load_state_dict(critics.networks[0].state_dict())
        return critics

    def new_critic_stage(self, context: StageContext) -> CriticStage:
        """Return the stage with its faults."""
        more = {"faults": self, "target_every": self.target_every}
        return OfficialCriticStage(self._critics[0], context, **more, **self.critic_stage_parameters())

    def sample_weights(self, context: StageContext, rows: SplitRows) -> SampleWeights:
        """Return weights with dropout on."""
        if self.dropout_everywhere:
            return NoisyWeights(self.tasks, self._critics[0], self.lambda_q)
        return super().sample_weights(context, rows)
