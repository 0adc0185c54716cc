"""The critics: one action value a task, over a shared bottom or each with its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtl_bench.contracts import Batch, FieldEmbedding, ParallelMLP, Schema


class CriticNetwork(nn.Module):
    """z_k(s, a_k) = head_k([bottom(embeddings(s)), W phi(a_k)]) for one or more tasks; Q_k = -softplus(z_k) <= 0.

    phi(a) = [logit a, log a, log(1 - a)]: click and conversion rates live near zero, where probabilities hardly differ,
    and the reward of a label is linear in phi. The published code ends in -ReLU, whose dead zone makes a weight 1
    for ever; softplus has none.
    """

    def __init__(
        self,
        schema: Schema,
        tasks: int,
        *,
        embedding_dim: int,
        bottom: Sequence[int],
        tower: Sequence[int],
        dropout: float,
        action_width: int = 16,
    ) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, embedding_dim)
        self.bottom = ParallelMLP(1, self.embedding.width, bottom, dropout=dropout)
        self.action = nn.Linear(3, action_width)
        self.heads = ParallelMLP(tasks, self.bottom.width + action_width, tower, dropout=dropout, output=1)

    def states(self, batch: Batch) -> Tensor:
        """Return what the heads see of the states, [B, width]."""
        return self.bottom(self.embedding(batch))[0]

    def outputs(self, states: Tensor, logits: Tensor) -> Tensor:
        """Return z [B, K], of which Q is -softplus, of the actions sigmoid(logits) [B, K] in ``states`` [B, width]."""
        of_task = logits.T
        features = torch.stack([of_task, F.logsigmoid(of_task), F.logsigmoid(-of_task)], dim=2)
        shared = states.expand(len(of_task), -1, -1)
        return self.heads(torch.cat([shared, self.action(features)], dim=2)).squeeze(2).T


def negative_softplus(z: Tensor) -> Tensor:
    """Return -softplus(z)."""
    return -F.softplus(z)


class Critics(nn.Module):
    """The action values of all K tasks, float32 [B, K], at most 0.

    The paper draws parallel MLPs on a shared bottom network. ``shared_bottom = False`` gives each task a network of
    its own. ``twin`` keeps a second set with an initialisation of its own: both learn, a target takes the smaller
    value of the two (TD3), everything else the first.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int,
        bottom: Sequence[int],
        tower: Sequence[int],
        dropout: float,
        shared_bottom: bool = True,
        twin: bool = False,
        network: type[CriticNetwork] = CriticNetwork,
        value: Callable[[Tensor], Tensor] = negative_softplus,
    ) -> None:
        super().__init__()
        tasks = len(schema.tasks)
        self.twins = 2 if twin else 1
        self.parts = [slice(0, tasks)] if shared_bottom else [slice(k, k + 1) for k in range(tasks)]
        self.value = value
        sizes: dict[str, Any] = {"embedding_dim": embedding_dim, "bottom": bottom, "tower": tower, "dropout": dropout}
        self.networks = nn.ModuleList(
            network(schema, part.stop - part.start, **sizes) for _ in range(self.twins) for part in self.parts
        )

    def states(self, batch: Batch) -> list[Tensor]:
        """Return the states as each network sees them."""
        return [network.states(batch) for network in self.networks]

    def all_values(self, states: Sequence[Tensor], logits: Tensor) -> Tensor:
        """Return the values of every twin, [T, B, K]."""
        z = [
            network.outputs(seen, logits[:, part])
            for network, seen, part in zip(self.networks, states, self.parts * self.twins, strict=True)
        ]
        size = len(self.parts)
        return self.value(torch.stack([torch.cat(z[i : i + size], dim=1) for i in range(0, len(z), size)]))

    def pessimistic(self, batch: Batch, logits: Tensor) -> Tensor:
        """Return the smaller value of the twins, [B, K]."""
        return self.all_values(self.states(batch), logits).amin(0)

    def forward(self, batch: Batch, logits: Tensor) -> Tensor:
        """Return the values Q [B, K] of the actions sigmoid(logits) [B, K], of the first twin."""
        first = zip(self.networks[: len(self.parts)], self.parts, strict=True)
        return self.value(torch.cat([n.outputs(n.states(batch), logits[:, part]) for n, part in first], dim=1))
