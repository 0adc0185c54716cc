"""AdaTT: every task looks at every task's experts, and keeps its own beside."""

from __future__ import annotations

import math
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
    own experts [count, B, E, H]. Output: the next f [count, B, H]. Unless ``learned``, the weights of a module's own
    experts are one; else they start uniform within 1 / sqrt(E).
    """

    native: Tensor

    def __init__(self, count: int, width: int, *, own: int, choices: int, learned: bool) -> None:
        super().__init__()
        self.gates = Gates(count, width, choices)
        if learned:
            bound = 1 / math.sqrt(own)
            self.native = nn.Parameter(torch.empty(count, own).uniform_(-bound, bound))
        else:
            self.register_buffer("native", torch.ones(count, own), persistent=False)

    def forward(self, features: Tensor, experts: Tensor, own: Tensor) -> Tensor:
        """Return the next features [count, B, H]."""
        fused = torch.einsum("kbc,bch->kbh", self.gates(features), experts)
        return fused + torch.einsum("ke,kbeh->kbh", self.native, own)


class Level(nn.Module):
    """One level: each task's experts, the shared ones if ``shared_experts``, and their fusions.

    Maps the tasks' features and the shared ones to those of the next level. Without shared experts, or at the ``last``
    level, it has no fusion for the shared ones and returns ``None`` for them.
    """

    def __init__(
        self,
        tasks: int,
        width: int,
        out: int,
        *,
        task_experts: int,
        shared_experts: int,
        last: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.sizes = (task_experts, shared_experts)
        choices = tasks * task_experts + shared_experts
        learned = task_experts > 1 or shared_experts > 1
        # The n one-layer experts of a module are the slices of one layer n times as wide.
        self.task_experts = ParallelMLP(tasks, width, (task_experts * out,), dropout=dropout)
        self.task_fusion = Fusion(tasks, width, own=task_experts, choices=choices, learned=learned)
        self.shared_experts = (
            ParallelMLP(1, width, (shared_experts * out,), dropout=dropout) if shared_experts else None
        )
        self.shared_fusion = (
            Fusion(1, width, own=shared_experts, choices=choices, learned=learned)
            if shared_experts and not last
            else None
        )

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
    """Adaptive Task-to-Task Fusion Network, AdaTT (Li et al., KDD 2023), f_t = f_s = embedding(x) at the start::

        E_t = experts of task t, applied to f_t        E_s = shared experts, applied to f_s
        E   = [E_1, ..., E_K, E_s]
        f_m <- softmax(W_m f_m) . E + v_m . E_m        for each task m = t and for the shared module m = s
        z_t = tower_t(f_t)                             after the last level

    The gate sees the experts of every module, the residual v_m . E_m combines the module's own ("native") experts
    linearly. With shared experts, this is the paper's general form; ``shared_experts = 0`` is AdaTT-sp, which has no
    shared module. Every level has shared experts, the last one too, where the shared module has no fusion, as no tower
    reads f_s. v is learned, and starts uniform within 1 / sqrt(number of native experts); where no module has several
    experts, it is one. One level per width in ``bottom``: an expert of level l is a single layer of width
    ``bottom[l]``. ReLU, no batch normalisation; numbers of experts are those of ``ple``, for comparison.

    Where others differ: the authors' gates have a bias, and their experts may have several layers on one level; here,
    gates are without bias, as those of ``mmoe`` and ``ple``.

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
        tasks = len(schema.tasks)
        self.levels = nn.ModuleList(
            Level(
                tasks,
                width,
                out,
                task_experts=task_experts,
                shared_experts=shared_experts,
                last=level == len(bottom),
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
        last = self.levels[-1]
        common = [] if last.shared_experts is None else last.shared_experts.parameters()
        return [
            *super().shared_parameters(),
            *self.levels[:-1].parameters(),
            *last.task_experts.parameters(),
            *common,
        ]
