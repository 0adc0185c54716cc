"""AdaTT: every task looks at every task's experts, and keeps its own beside."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from rmtl_bench.contracts import ParallelMLP, Schema
from rmtl_bench_backbones.embedding_backbone import EmbeddingBackbone
from rmtl_bench_backbones.parts import Gates, logits_of, need_widths


class Fusion(nn.Module):
    """What ``count`` modules of a level make of its experts: all through a gate, plus their own linearly.

    Inputs: the modules' features f [count, B, I], or [B, I] where all are equal; all experts [B, C, H]; the modules'
    own experts [count, B, E, H]. Output: the next f [count, B, H].
    """

    def __init__(self, count: int, width: int, *, own: int, choices: int) -> None:
        super().__init__()
        self.gates = Gates(count, width, choices)
        self.native = nn.Parameter(torch.full((count, own), 1 / own))

    def forward(self, features: Tensor, experts: Tensor, own: Tensor) -> Tensor:
        """Return the next features [count, B, H]."""
        fused = torch.einsum("kbc,bch->kbh", self.gates(features), experts)
        return fused + torch.einsum("ke,kbeh->kbh", self.native, own)


class Level(nn.Module):
    """One level: each task's experts, the shared ones if ``shared_experts``, and their fusions.

    Maps the tasks' features and the shared ones to those of the next level. Without ``fuses_shared`` it has no fusion
    for the shared ones and returns ``None`` for them.
    """

    def __init__(
        self,
        tasks: int,
        width: int,
        out: int,
        *,
        task_experts: int,
        shared_experts: int,
        fuses_shared: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.sizes = (task_experts, shared_experts)
        choices = tasks * task_experts + shared_experts
        # The n one-layer experts of a module are the slices of one layer n times as wide.
        self.task_experts = ParallelMLP(tasks, width, (task_experts * out,), dropout=dropout)
        self.task_fusion = Fusion(tasks, width, own=task_experts, choices=choices)
        self.shared_experts = (
            ParallelMLP(1, width, (shared_experts * out,), dropout=dropout) if shared_experts else None
        )
        self.shared_fusion = Fusion(1, width, own=shared_experts, choices=choices) if fuses_shared else None

    def forward(self, tasks: Tensor, shared: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor]:
        """Return the next features [K, B, H] and [B, H], and all experts [B, C, H], those of the tasks first.

        From features of the tasks [K, B, I], or [B, I] where all are equal, and shared ones [B, I].
        """
        task_experts, shared_experts = self.sizes
        own = self.task_experts(tasks).unflatten(2, (task_experts, -1))
        experts = own.transpose(0, 1).flatten(1, 2)
        if self.shared_experts is None:
            return self.task_fusion(tasks, experts, own), None, experts
        common = self.shared_experts(shared).unflatten(2, (shared_experts, -1))
        experts = torch.cat((experts, common.squeeze(0)), dim=1)
        fused = None if self.shared_fusion is None else self.shared_fusion(shared, experts, common).squeeze(0)
        return self.task_fusion(tasks, experts, own), fused, experts


class AdaTT(EmbeddingBackbone):
    """Adaptive Task-to-Task Fusion Network, AdaTT-sp (Li et al., KDD 2023), f_t = f_s = embedding(x) at the start::

        E_t = experts of task t, applied to f_t        E_s = shared experts, applied to f_s
        E   = [E_1, ..., E_K, E_s]
        f_m <- softmax(W_m f_m) . E + v_m . E_m        for each task m = t and for the shared module m = s
        z_t = tower_t(f_t)                             after the last level

    The gate sees the experts of every module, the residual v_m . E_m combines the module's own ("native") experts
    linearly. One level per width in ``bottom``: an expert of level l is a single layer of width ``bottom[l]``. The
    shared module is part of every level but the last; what its fusion at the last but one would make is used by
    nothing, so it has none there, and with one level there are no shared experts. ``shared_experts`` may be 0.
    ReLU, no batch normalisation; numbers of experts are those of ``ple``, for comparison.

    Where others differ: v is learned here whatever the number of native experts, and starts as their mean; gates are
    without bias. PLE, the nearest relative, keeps shared experts at its last level.

    ``shared_parameters`` are all experts, and all gates and v but those of the last level. The shared representation
    are the experts of the last level [B, C, H].
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
        need_widths("adatt", bottom)
        tasks, last = len(schema.tasks), len(bottom)
        self.levels = nn.ModuleList(
            Level(
                tasks,
                width,
                out,
                task_experts=task_experts,
                shared_experts=shared_experts if level < last else 0,
                fuses_shared=shared_experts > 0 and level < last - 1,
                dropout=dropout,
            )
            for level, (width, out) in enumerate(pairwise((self.embedding.width, *bottom)), start=1)
        )
        self.towers = ParallelMLP(tasks, bottom[-1], tower, dropout=dropout, output=1)

    def network(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [B, K] and the experts of the last level [B, C, H]."""
        tasks = shared = experts = x
        for level in self.levels:
            tasks, shared, experts = level(tasks, shared)
        return logits_of(self.towers, tasks), experts

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the interaction and of all levels, the last level's fusion left out."""
        return [
            *super().shared_parameters(),
            *self.levels[:-1].parameters(),
            *self.levels[-1].task_experts.parameters(),
        ]
