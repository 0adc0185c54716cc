"""STEM-Net: one embedding table per task beside a shared one, each taught by its own task alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import Backbone, Batch, FieldEmbedding, ParallelMLP, Schema
from rmtl_bench_backbones.parts import Gates, logits_of, need_widths


def mix_all_forward_own_backward(gates: Tensor, experts: Tensor) -> Tensor:
    """Return each task's mixture [K, B, H] of the experts of all tasks, whose gradient reaches its own experts alone.

    ``gates`` [K, B, K, E]: the weights that each task (first) gives to each task's experts; ``experts`` [K, B, E, H].
    """
    others = 1 - torch.eye(len(gates), dtype=gates.dtype, device=gates.device)
    mixed = torch.einsum("kbje,jbeh->kbh", gates * others[:, None, :, None], experts.detach())
    return mixed + torch.einsum("bek,kbeh->kbh", gates.diagonal(dim1=0, dim2=2), experts)


class STEM(Backbone):
    """Shared and Task-specific Embeddings, STEM-Net (Su et al., AAAI 2024), with K + 1 embedding tables::

        x_k = embedding_k(input)                    x_s = embedding_s(input)
        E_k = experts of task k, applied to x_k     E_s = shared experts, applied to x_s
        h_k = softmax(W_k (x_k + x_s)) . [E_1, ..., E_k, ..., E_K, E_s]
        z_k = tower_k(h_k)

    "All forward, task-specific backward": task k's gate mixes the experts of all tasks, but those of the other tasks,
    and hence their embeddings, get no gradient from its loss. Task k teaches x_k, E_k, its gate, x_s and E_s.
    An expert is a network of the widths ``bottom``, and there is one level. ReLU, no batch normalisation; numbers of
    experts are those of ``ple``, for comparison. The model has K + 1 times the table of the others.

    Where others differ: the authors' gates are networks with hidden layers of 128 and 64 and biases, as are those of
    the models they compare with; here, a gate is linear without bias, as in ``mmoe`` and ``ple``. Their code can stack
    levels, whose shared gate lets gradients pass to all experts; the settings they publish have one level, eight
    shared experts and one expert per task.

    ``shared_parameters`` are those of the shared experts, whose outputs [S, B, H] are the shared representation.
    """

    capturable = True

    def __init__(
        self,
        schema: Schema,
        embedding_dim: int = 128,
        bottom: Sequence[int] = (512, 256),
        tower: Sequence[int] = (128, 64),
        dropout: float = 0.2,
        shared_experts: int = 4,
        task_experts: int = 4,
    ) -> None:
        super().__init__(schema)
        need_widths("stem", bottom)
        tasks = len(schema.tasks)
        # K + 1 tables of one width are the slices of one table K + 1 times as wide: one look-up instead of K + 1.
        self.embedding = FieldEmbedding(schema, (tasks + 1) * embedding_dim)
        self.slices = (-1, tasks + 1, embedding_dim)
        width = self.embedding.width // (tasks + 1)
        self.task_experts = nn.ModuleList(
            ParallelMLP(tasks, width, bottom, dropout=dropout) for _ in range(task_experts)
        )
        self.shared_experts = ParallelMLP(shared_experts, width, bottom, dropout=dropout)
        self.gates = Gates(tasks, width, tasks * task_experts + shared_experts)
        self.towers = ParallelMLP(tasks, bottom[-1], tower, dropout=dropout, output=1)

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits, float32 [B, K]."""
        return self.represent(batch)[0]

    def represent(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the logits, float32 [B, K], and the outputs of the shared experts [S, B, H]."""
        vectors = self.embedding(batch).unflatten(1, self.slices).permute(2, 0, 1, 3).flatten(2)
        tasks, shared = vectors[:-1], vectors[-1]
        own = torch.stack([experts(tasks) for experts in self.task_experts], dim=2)
        common = self.shared_experts(shared)
        count, _, each, _ = own.shape
        to_tasks, to_common = self.gates(tasks + shared).split([count * each, len(common)], dim=2)
        mixed = mix_all_forward_own_backward(to_tasks.unflatten(2, (count, each)), own)
        mixed = mixed + torch.einsum("kbs,sbh->kbh", to_common, common)
        return logits_of(self.towers, mixed), common

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the shared experts."""
        return list(self.shared_experts.parameters())
