"""PLE: progressive levels of shared and of task-own experts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import ParallelMLP, Schema
from rmtl_bench_backbones.embedding_backbone import EmbeddingBackbone
from rmtl_bench_backbones.parts import Gates, logits_of, mixture_of, need_widths


class Level(nn.Module):
    """One level of extraction.

    Maps the tasks' representations t_k and the shared one s to those of the next level. The last level has no
    shared gate, and what its shared experts return takes the place of s.
    """

    def __init__(
        self, tasks: int, width: int, out: int, *, shared_experts: int, task_experts: int, dropout: float, last: bool
    ) -> None:
        super().__init__()
        self.sizes = (task_experts, shared_experts)
        # The n one-layer experts of a branch are the slices of one layer n times as wide.
        self.task_experts = ParallelMLP(tasks, width, (task_experts * out,), dropout=dropout)
        self.shared_experts = ParallelMLP(1, width, (shared_experts * out,), dropout=dropout)
        self.task_gates = Gates(tasks, width, task_experts + shared_experts)
        self.shared_gate = None if last else Gates(1, width, tasks * task_experts + shared_experts)

    def forward(self, tasks: Tensor, shared: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next t [K, B, H] and s [B, H], from t [K, B, I], or [B, I] where all are equal, and s [B, I].

        The last level returns its E shared experts' outputs [B, E, H] in place of s.
        """
        task_experts, shared_experts = self.sizes
        own = self.task_experts(tasks).unflatten(2, (task_experts, -1))
        common = self.shared_experts(shared).squeeze(0).unflatten(1, (shared_experts, -1))
        to_own, to_common = self.task_gates(tasks).split(self.sizes, dim=2)
        mixed = mixture_of(to_own, own) + mixture_of(to_common, common)
        if self.shared_gate is None:
            return mixed, common
        to_all, to_common = self.shared_gate(shared).squeeze(0).split([len(own) * task_experts, shared_experts], dim=1)
        to_all = to_all.unflatten(1, (-1, task_experts))
        return mixed, torch.einsum("bke,kbeh->bh", to_all, own) + mixture_of(to_common, common)


class PLE(EmbeddingBackbone):
    """Progressive Layered Extraction (Tang et al., RecSys 2020), t_k = s = embedding(x) at the start::

        E_k = experts of task k, applied to t_k      E_s = shared experts, applied to s
        t_k <- softmax(W_k t_k) . [E_k, E_s]          gates: linear without bias
        s   <- softmax(W_s s) . [E_1, ..., E_K, E_s]  not at the last level
        z_k = tower_k(t_k)                            after the last level

    One level per width in ``bottom``: an expert of level l is a single layer of width ``bottom[l]``, so the defaults
    have two levels, each with 4 shared experts and 4 of each task. ReLU, no batch normalisation.

    Where others differ: early versions of MTReclib, and RMTL's code after them, apply the shared experts
    to each task's representation and the task experts to the shared one, which from the second level on is
    another model. MTReclib also has a bias in the gates, and an unused shared gate at the last level.

    The tasks part at the first level, and what they still have in common is made anew at each. The shared
    representation is the last that all of them use: what the shared experts of the last level return, [B, E, H].
    """

    def __init__(
        self,
        schema: Schema,
        embedding_dim: int = 128,
        bottom: Sequence[int] = (512, 256),
        tower: Sequence[int] = (128, 64),
        dropout: float = 0.2,
        shared_experts: int = 4,
        task_experts: int = 4,
        interaction: str = "mlp",
        cross_layers: int = 2,
    ) -> None:
        super().__init__(schema, embedding_dim, interaction, cross_layers)
        need_widths("ple", bottom)
        tasks = len(schema.tasks)
        self.levels = nn.ModuleList(
            Level(
                tasks,
                width,
                out,
                shared_experts=shared_experts,
                task_experts=task_experts,
                dropout=dropout,
                last=level == len(bottom),
            )
            for level, (width, out) in enumerate(pairwise((self.embedding.width, *bottom)), start=1)
        )
        self.towers = ParallelMLP(tasks, bottom[-1], tower, dropout=dropout, output=1)

    def network(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [B, K] and the last level's shared experts' outputs [B, E, H]."""
        tasks = shared = x
        for level in self.levels:
            tasks, shared = level(tasks, shared)
        return logits_of(self.towers, tasks), shared

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return what every task's loss depends on.

        These are the parameters of the interaction; all shared experts and gates; the tasks' experts of every level
        but the last, which feed the shared gate; and the tasks' gates of every level but the last two, which feed
        those experts.
        """
        shared = super().shared_parameters()
        for left, level in zip(reversed(range(len(self.levels))), self.levels, strict=True):
            own = {0: ("task_experts", "task_gates"), 1: ("task_gates",)}.get(left, ())
            shared += [p for name, p in level.named_parameters() if not name.startswith(own)]
        return shared
