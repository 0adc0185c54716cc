"""Fixed weights, chosen on the validation split from a grid over the simplex."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from rmtl_bench.contracts import Diagnostic, SplitRows, Stage, StageContext, StagedWeighting, Task, UsageError
from rmtl_bench_weightings.fixed import Fixed


def simplex_grid(tasks: int, candidates: int) -> list[tuple[float, ...]]:
    """Return even weights and the finest even grid inside the simplex, times K, at most ``candidates`` points in all.

    The grid of fineness r has the points (i_1, ..., i_K) / r with whole i_k >= 1 that sum to r. Even weights, which it
    holds where K divides r, come first.
    """
    even = (1.0,) * tasks
    if tasks == 1:
        return [even]
    found, fineness = [even], tasks + 1
    while len(finer := list(dict.fromkeys([even, *_grid(tasks, fineness)]))) <= candidates:
        found, fineness = finer, fineness + 1
    return found


def _grid(tasks: int, fineness: int) -> Iterator[tuple[float, ...]]:
    for cut in itertools.combinations(range(1, fineness), tasks - 1):
        yield tuple(tasks * (b - a) / fineness for a, b in itertools.pairwise((0, *cut, fineness)))


class FixedTuned(StagedWeighting):
    """Constant weights that were tuned::

        w = the point of a grid over the simplex, times K, whose training has the best validation score

    What "In Defense of the Unitary Scalarization for Deep Multi-Task Learning" (Kurin et al., NeurIPS 2022) and "Do
    Current Multi-Task Optimization Methods in Deep Learning Even Help?" (Xin et al., NeurIPS 2022) ask every method to
    beat. Each candidate is trained from the same initial state on the same batches, with early stopping; the state of
    the best one's best epoch is kept. Test rows play no part. The candidates share a budget of ``epochs``, that of a
    multi-stage method: each stops after its even share at the latest. Even weights are always among the candidates, so
    that on the validation split the choice is never worse than ``fixed`` in as many epochs.

    The score is that of every training: the mean AUC over the tasks. The weights sum to K, as those of ``fixed`` do.
    With one task there is nothing to tune, and this is plain training.
    """

    def __init__(self, tasks: Sequence[Task], candidates: int = 9, epochs: int = 80) -> None:
        super().__init__(tasks)
        self.grid = simplex_grid(len(self.tasks), candidates)
        if len(self.grid) > epochs:
            raise UsageError(
                f"weighting 'fixed-tuned': parameter 'epochs' is {epochs}; it takes at least {len(self.grid)}, one for "
                f"each candidate"
            )
        self.share = epochs // len(self.grid)
        self.register_buffer("chosen", torch.ones(len(self.tasks)))

    def stages(self, context: StageContext) -> Iterator[Stage]:
        """Yield one training a candidate; behind the last, the backbone is put to the best one's state."""
        if len(self.grid) == 1:
            yield context.backbone_stage("train", Fixed(self.tasks))
            return
        start = copy.deepcopy(context.backbone.state_dict())
        best_score, best_state = -math.inf, start
        for number, weights in enumerate(self.grid, start=1):
            context.backbone.load_state_dict(start)
            # The order of a plain training: every candidate sees the same batches and drops the same units.
            limits = {"max_epochs": self.share, "order": "train"}
            yield context.backbone_stage(f"candidate-{number}", Fixed(self.tasks, weights), **limits)
            score = context.validate().score
            if score > best_score:
                best_score, best_state = score, copy.deepcopy(context.backbone.state_dict())
                self.chosen = torch.tensor(weights, device=self.chosen.device)
        context.backbone.load_state_dict(best_state)

    def kept(self) -> dict[str, Tensor]:
        """Return the weights that were chosen."""
        return {"weights": self.chosen}

    def diagnose(self, context: StageContext, rows: SplitRows) -> list[Diagnostic]:
        """Return the weights that were chosen."""
        names = context.schema.task_names
        return [
            Diagnostic(name, "tuned-weight", weight) for name, weight in zip(names, self.chosen.tolist(), strict=True)
        ]
