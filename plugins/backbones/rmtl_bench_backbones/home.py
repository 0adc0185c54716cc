"""HoME: experts of all tasks, of a group of tasks and of one task, on two levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtl_bench.contracts import ParallelMLP, Schema, UsageError
from rmtl_bench.contracts.dropout import dropout
from rmtl_bench_backbones.embedding_backbone import EmbeddingBackbone
from rmtl_bench_backbones.parts import Gates, logits_of, mixture_of, need_widths


def groups_of(schema: Schema, groups: Sequence[int] = ()) -> list[int]:
    """Return the group of each task, numbered 0, 1, ... as they appear; without ``groups``, one group per funnel.

    Raises :class:`UsageError` if ``groups`` is not one number per task.
    """
    tasks = len(schema.tasks)
    if groups and len(groups) != tasks:
        raise UsageError(
            f"backbone 'home': parameter 'groups' is {tuple(groups)}; it takes one whole number per task, {tasks} here"
        )
    labels = list(groups)
    for task in range(len(labels), tasks):
        parent = schema.parent_index(task)
        labels.append(task if parent is None else labels[parent])
    order = list(dict.fromkeys(labels))
    return [order.index(label) for label in labels]


class Normalisation(nn.Module):
    """Batch normalisation of ``count`` networks side by side; float32 [count, B, H] to the same.

    Momentum 0.1 and epsilon 1e-5, as torch's. The variance of one row says nothing: in training, a batch of one row is
    normalised with the running statistics, as in evaluation, and leaves them as they are.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(count, 1, width))
        self.shift = nn.Parameter(torch.zeros(count, 1, width))
        self.register_buffer("mean", torch.zeros(count, width))
        self.register_buffer("variance", torch.ones(count, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised activations [count, B, H]."""
        columns = x.transpose(0, 1).flatten(1)
        statistics = [self.mean.view(-1), self.variance.view(-1)]
        alone = self.training and len(columns) == 1
        if alone:
            # The backward pass reads these; a later batch would change the buffers, and torch would not notice.
            statistics = [buffer.clone() for buffer in statistics]
        normalised = F.batch_norm(
            columns, *statistics, self.scale.view(-1), self.shift.view(-1), training=self.training and not alone
        )
        return normalised.unflatten(1, self.mean.shape).transpose(0, 1)


class FeatureGate(nn.Module):
    """A gate of low rank for the input of each of ``count`` experts: x * 2 sigmoid(x B A).

    Input: float32 [B, I], the same for all, or [count, B, I], one each. Output: [count, B, I].
    """

    def __init__(self, count: int, width: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.empty(count, width, rank))
        self.up = nn.Parameter(torch.empty(count, rank, width))
        for weight in (self.down, self.up):
            bound = 1 / math.sqrt(weight.shape[1])
            nn.init.uniform_(weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated inputs [count, B, I]."""
        return x * (2 * torch.matmul(torch.matmul(x, self.down), self.up).sigmoid())


class Experts(nn.Module):
    """``count`` experts side by side: a feature gate, then linear layers, each with Swish and dropout after it.

    The last layer is normalised before its Swish, and has no bias, which the normalisation would take away again.
    Input: float32 [B, I], the same for all, or [count, B, I], one each. Output: [count, B, H].
    """

    def __init__(self, count: int, width: int, hidden: Sequence[int], *, rank: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.feature_gate = FeatureGate(count, width, rank)
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(count, i, o)) for i, o in pairwise((width, *hidden)))
        self.biases = nn.ParameterList(nn.Parameter(torch.empty(count, 1, o)) for o in hidden[:-1])
        self.normalisation = Normalisation(count, hidden[-1])
        for weight in self.weights:
            bound = 1 / math.sqrt(weight.shape[1])
            nn.init.uniform_(weight, -bound, bound)
        for weight, bias in zip(self.weights[:-1], self.biases, strict=True):
            bound = 1 / math.sqrt(weight.shape[1])
            nn.init.uniform_(bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs [count, B, H]."""
        x = self.feature_gate(x)
        # Not a slice: of a list of parameters, it makes new ones where seeds train side by side.
        *hidden, last = self.weights
        for weight, bias in zip(hidden, self.biases, strict=True):
            x = dropout(F.silu(torch.baddbmm(bias, x, weight)), self.dropout, self.training)
        x = self.normalisation(torch.bmm(x, last))
        return dropout(F.silu(x), self.dropout, self.training)


class ExpertsOfEach(nn.Module):
    """``each`` experts for each of ``count`` groups or tasks.

    Input as for :class:`Experts`. Output: [count, B, each, H].
    """

    def __init__(self, count: int, each: int, width: int, hidden: Sequence[int], *, rank: int, dropout: float) -> None:
        super().__init__()
        self.experts = nn.ModuleList(Experts(count, width, hidden, rank=rank, dropout=dropout) for _ in range(each))

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs [count, B, each, H]."""
        return torch.stack([experts(x) for experts in self.experts], dim=2)


class SelfGates(Gates):
    """Gates of a residual of one's own experts: softmax over them, or a sigmoid where there is only one."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the weights [count, B, choices]."""
        scores = torch.matmul(x, self.weight)
        return scores.sigmoid() if scores.shape[2] == 1 else scores.softmax(dim=2)


class MetaLevel(nn.Module):
    """The first level: one representation per group of tasks, and a shared one."""

    def __init__(
        self, groups: int, width: int, hidden: Sequence[int], *, shared: int, each: int, rank: int, dropout: float
    ) -> None:
        super().__init__()
        self.shared_experts = Experts(shared, width, hidden, rank=rank, dropout=dropout)
        self.group_experts = ExpertsOfEach(groups, each, width, hidden, rank=rank, dropout=dropout)
        self.shared_gate = Gates(1, width, shared + groups * each)
        self.shared_self_gate = SelfGates(1, width, shared)
        self.group_gates = Gates(groups, width, shared + each)
        self.group_self_gates = SelfGates(groups, width, each)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the groups' representations [G, B, H] and the shared one [B, H] of x [B, I]."""
        common, own = self.shared_experts(x).transpose(0, 1), self.group_experts(x)
        count, (groups, _, each, _) = common.shape[1], own.shape
        to_common, to_own = self.group_gates(x).split([count, each], dim=2)
        by_group = mixture_of(to_common, common) + mixture_of(to_own + self.group_self_gates(x), own)
        to_common, to_all = self.shared_gate(x).squeeze(0).split([count, groups * each], dim=1)
        shared = mixture_of(to_common + self.shared_self_gate(x).squeeze(0), common)
        return by_group, shared + torch.einsum("bge,gbeh->bh", to_all.unflatten(1, (groups, each)), own)


class TaskLevel(nn.Module):
    """The second level: one representation per task, of shared experts, its group's and its own."""

    group_of: Tensor

    def __init__(
        self,
        group_of: Sequence[int],
        width: int,
        hidden: Sequence[int],
        *,
        shared: int,
        of_group: int,
        of_task: int,
        rank: int,
        dropout: float,
    ) -> None:
        super().__init__()
        tasks, groups = len(group_of), len(set(group_of))
        self.sizes = (shared, of_group, of_task)
        self.register_buffer("group_of", torch.tensor(group_of), persistent=False)
        self.shared_experts = Experts(shared, width, hidden, rank=rank, dropout=dropout)
        self.group_experts = ExpertsOfEach(groups, of_group, width, hidden, rank=rank, dropout=dropout)
        self.task_experts = ExpertsOfEach(tasks, of_task, width, hidden, rank=rank, dropout=dropout)
        self.gates = Gates(tasks, 2 * width, sum(self.sizes))
        self.self_gates = SelfGates(tasks, 2 * width, of_task)

    def forward(self, groups: Tensor, shared: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tasks' representations [K, B, H] and the outputs of the shared experts [S, B, H].

        From the groups' representations [G, B, I] and the shared one [B, I].
        """
        features = groups[self.group_of]
        common = self.shared_experts(shared)
        of_group = self.group_experts(groups)[self.group_of]
        of_task = self.task_experts(features)
        seen = torch.cat((features, shared.expand_as(features)), dim=2)
        to_common, to_group, to_own = self.gates(seen).split(self.sizes, dim=2)
        tasks = mixture_of(to_common, common.transpose(0, 1)) + mixture_of(to_group, of_group)
        return tasks + mixture_of(to_own + self.self_gates(seen), of_task), common


class HoME(EmbeddingBackbone):
    """Hierarchy of Multi-gate Experts (2024, arXiv 2408.05430), tasks k in groups g(k), x = embedding(input)::

        expert(u) = Swish(BatchNorm(MLP(u * 2 sigmoid(u B A))))                   u B A: feature gate, of low rank
        meta level, all experts on x:
        y_g = G_g(x) . [E_s, E_g] + R_g(x) . E_g                                  one per group
        y_s = G_s(x) . [E_s, E_1, ..., E_G] + R_s(x) . E_s                        the shared one
        task level, with c_k = [y_g(k), y_s], E_s on y_s, E_g and E_k on y_g(k):
        h_k = G_k(c_k) . [E_s, E_g(k), E_k] + R_k(c_k) . E_k
        z_k = tower_k(h_k)

    Gates G are softmaxes; self-gates R too, or a sigmoid where there is one expert. Every expert has parameters of its
    own, at each level, and is a network of the widths ``bottom``, whose hidden layers have Swish too and are not
    normalised; towers are ReLU without normalisation.

    ``groups`` has one whole number per task: tasks of one number form a group, the paper's meta-task (there, watching
    and interacting). Empty: the tasks of one funnel, that is of one root, form a group. In training, a batch of one row
    is normalised with the running statistics.

    Where others differ: the paper mixes several low-rank feature gates for an expert; here there is one, of rank
    ``rank``. It leaves open, or its words can be read otherwise, that y_s sees all groups' experts, what the task
    level's experts and self-gates see, and whether an expert's hidden layers are normalised. Some implementations have
    one feature gate for all experts of a group or task, gates that see the gated inputs, self-gates that see y_g alone,
    task-level experts on c_k, ReLU in the hidden layers, or layer normalisation. Numbers of experts are ours.

    ``shared_parameters`` are what y_s is made of and the shared experts of the task level; with a single group, also
    what belongs to the group. The shared representation are the shared experts' outputs at the task level [S, B, H].
    """

    def __init__(
        self,
        schema: Schema,
        embedding_dim: int = 128,
        bottom: Sequence[int] = (512, 256),
        tower: Sequence[int] = (128, 64),
        dropout: float = 0.2,
        groups: Sequence[int] = (),
        shared_experts: int = 2,
        group_experts: int = 2,
        task_experts: int = 2,
        rank: int = 16,
        interaction: str = "mlp",
        cross_layers: int = 2,
    ) -> None:
        super().__init__(schema, embedding_dim, interaction, cross_layers)
        need_widths("home", bottom)
        group_of = groups_of(schema, groups)
        self.groups = len(set(group_of))
        self.meta_level = MetaLevel(
            self.groups,
            self.embedding.width,
            bottom,
            shared=shared_experts,
            each=group_experts,
            rank=rank,
            dropout=dropout,
        )
        self.task_level = TaskLevel(
            group_of,
            bottom[-1],
            bottom,
            shared=shared_experts,
            of_group=group_experts,
            of_task=task_experts,
            rank=rank,
            dropout=dropout,
        )
        self.towers = ParallelMLP(len(group_of), bottom[-1], tower, dropout=dropout, output=1)

    def network(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [B, K] and the outputs of the task level's shared experts [S, B, H]."""
        tasks, common = self.task_level(*self.meta_level(x))
        return logits_of(self.towers, tasks), common

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return what every task's loss depends on; see the class."""
        own = {"group_gates", "group_self_gates"} if self.groups > 1 else set()
        meta = [p for name, p in self.meta_level.named_parameters() if name.partition(".")[0] not in own]
        shared = [*super().shared_parameters(), *meta, *self.task_level.shared_experts.parameters()]
        return shared if self.groups > 1 else [*shared, *self.task_level.group_experts.parameters()]
