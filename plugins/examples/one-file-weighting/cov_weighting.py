"""A weighting in one file: CoV-Weighting, more weight where a task's loss still varies most.

Run it with ``rmtl-bench run --suite cov.toml --plugin cov_weighting.py``. The file is loaded once by each command and
once by each run's process; a hash of its content stands for its version, so that a changed file never shares results
with an older one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from rmtl_bench import Parameter, WeightingInfo, hookimpl
from rmtl_bench.contracts import Batch, Diagnostic, LossWeighting, SplitRows, StageContext, Task, TaskLosses, Weighted


class CoVWeighting(LossWeighting):
    """Multi-loss weighting with coefficients of variation (Groenendijk et al., WACV 2021, arXiv 2009.01717)::

        L = sum_k w_k L_k,    w = K c / sum_j c_j,    c_k = std(r_k) / mean(r_k)

    where r_k(t) = L_k(t) / mean(L_k before t). Means and standard deviations run over the steps made so far. A loss
    that no longer moves, measured against its own size, has been learnt as far as it goes and gets less weight. All
    weights are 1 until the ratios have varied at all, which takes two steps.

    ``keep`` 1 counts every step alike (Welford's method); below 1, it is the most that a step leaves of a running
    statistic, so that the older steps fade.

    Where others differ: the paper's weights sum to 1, here to K, as do those of fixed weights of 1. Here a task without
    a known label in a batch keeps its statistics: the loss of 0 that it then has says nothing of how hard it is.
    """

    # Buffers are saved and restored with checkpoints. Declaring them here tells type checkers what they are.
    steps: Tensor
    mean_loss: Tensor
    mean_ratio: Tensor
    variance: Tensor

    def __init__(self, tasks: Sequence[Task], keep: float = 1.0) -> None:
        super().__init__(tasks)
        self.keep = keep
        for name in ("steps", "mean_loss", "mean_ratio", "variance"):
            self.register_buffer(name, torch.zeros(len(self.tasks)))

    def combine(self, losses: TaskLosses, logits: Tensor, batch: Batch) -> Weighted:
        """Return the weighted sum of the mean losses, and the weights [K], which the run's history keeps."""
        # Over the known labels of each task; 0 where there is none.
        means = losses.mean()
        weights = self.weights()
        self._observe(means.detach(), losses.known() > 0)
        return Weighted((weights * means).sum(), weights)

    def variation(self) -> Tensor:
        """Return the coefficients of variation [K] of the steps so far, 0 where there were none."""
        return torch.where(self.mean_ratio > 0, self.variance.sqrt() / self.mean_ratio, 0.0)

    def weights(self) -> Tensor:
        """Return the weights [K] that the next step is to have."""
        variation = self.variation()
        total = variation.sum()
        # One task divides by itself: its weight is 1 to the bit, and the training is one without any weighting.
        return torch.where(total > 0, len(self.tasks) * (variation / total), 1.0)

    def _observe(self, losses: Tensor, known: Tensor) -> None:
        """Move the running statistics on by the mean losses [K] of a batch, for the tasks that are ``known`` in it."""
        steps = self.steps + 1
        kept = (1 - 1 / steps).clamp(max=self.keep)
        ratio = torch.where(self.mean_loss > 0, losses / self.mean_loss, 1.0)
        mean_ratio = kept * self.mean_ratio + (1 - kept) * ratio
        variance = kept * self.variance + (1 - kept) * (ratio - self.mean_ratio) * (ratio - mean_ratio)
        mean_loss = kept * self.mean_loss + (1 - kept) * losses
        # New tensors, not changes in place: what was reported, and what a checkpoint is made of, stays what it was.
        self.steps = torch.where(known, steps, self.steps)
        self.mean_loss = torch.where(known, mean_loss, self.mean_loss)
        self.mean_ratio = torch.where(known, mean_ratio, self.mean_ratio)
        self.variance = torch.where(known, variance, self.variance)

    def diagnose(self, context: StageContext, rows: SplitRows) -> Iterable[Diagnostic]:
        """Return each task's coefficient of variation at the end: ``rmtl-bench diagnostics`` shows it."""
        for task, value in zip(self.tasks, self.variation().tolist(), strict=True):
            yield Diagnostic(task.name, "coefficient-of-variation", value)


@hookimpl
def rmtl_weightings() -> list[WeightingInfo]:
    """Return what this file offers. In a package, this function stands in a module that does not import torch."""
    return [
        WeightingInfo(
            name="cov",
            # In a file, __name__: the module has no name of its own that could be imported.
            target=f"{__name__}:CoVWeighting",
            summary="more weight where a task's loss varies most, measured against its own size",
            form="loss",
            paper="Groenendijk et al., Multi-Loss Weighting with Coefficient of Variations, WACV 2021",
            year=2021,
            cost="one backward pass",
            differs="The paper's weights sum to 1, here to K; a task without a label in a batch keeps its statistics.",
            parameters={
                "keep": Parameter(1.0, "most that a step leaves of a running statistic", minimum=0, maximum=1),
            },
        )
    ]
