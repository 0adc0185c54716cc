"""CGC: one level of shared and of task-own experts, each a whole network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from rmtl_bench.contracts import ParallelMLP, Schema
from rmtl_bench_backbones.embedding_backbone import EmbeddingBackbone
from rmtl_bench_backbones.parts import Gates, logits_of, mixture_of, need_widths


class CGC(EmbeddingBackbone):
    """Customized Gate Control (Tang et al., RecSys 2020), PLE's one-level form::

        x = embedding(input)
        E_k = experts of task k, applied to x        E_s = shared experts, applied to x
        t_k = softmax(W_k x) . [E_k, E_s]            gates: linear without bias
        z_k = tower_k(t_k)

    Here an expert is a network of all the widths in ``bottom``; in ``ple``, it is one layer, and ``bottom`` has one
    width per level. Four shared experts and four of each task, as in ``ple``; the paper tunes their numbers, has
    one-layer experts and towers of (256, 128, 64). ReLU, no batch normalisation.
    Where others differ: some gates have a bias.

    Gates and own experts belong to their task, so ``shared_parameters`` are those of the interaction and of the
    shared experts. The shared representation is what the shared experts return, [E, B, H].
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
        need_widths("cgc", bottom)
        tasks, width = len(schema.tasks), self.embedding.width
        self.sizes = (task_experts, shared_experts)
        self.task_experts = ParallelMLP(tasks * task_experts, width, bottom, dropout=dropout)
        self.shared_experts = ParallelMLP(shared_experts, width, bottom, dropout=dropout)
        self.gates = Gates(tasks, width, task_experts + shared_experts)
        self.towers = ParallelMLP(tasks, self.shared_experts.width, tower, dropout=dropout, output=1)

    def network(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [B, K] and the shared experts' outputs [E, B, H]."""
        own = self.task_experts(x).unflatten(0, (-1, self.sizes[0]))
        common = self.shared_experts(x)
        to_own, to_common = self.gates(x).split(self.sizes, dim=2)
        mixed = mixture_of(to_own, own.transpose(1, 2)) + mixture_of(to_common, common.transpose(0, 1))
        return logits_of(self.towers, mixed), common

    def shared_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the interaction and of the shared experts."""
        return [*super().shared_parameters(), *self.shared_experts.parameters()]
