"""The stage that trains the backbone under a loss weighting: of one seed, and of several side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.side_by_side import StageGroup
from rmtl_bench.contracts.spans import span
from rmtl_bench.contracts.stage import StepReport
from rmtl_bench.contracts.weighting import LossWeighting
from rmtl_bench.training.backbone_stage import BackboneStage, BackboneStages, task_losses


class LossStage(BackboneStage):
    """Minimises the scalar of a loss weighting."""

    weighting: LossWeighting

    def backward(self, batch: Batch) -> StepReport:
        """Backpropagate the weighted loss, and the backbone's penalty if it has one."""
        self.begin(batch)
        with span("forward"):
            logits = self.precision.logits(self.backbone, batch)
            losses = task_losses(logits, batch)
        with span("weighting"):
            weighted = self.weighting.combine(losses, logits, batch)
        with span("forward"):
            penalty = self.backbone.penalty(logits, batch)
        with span("backward"):
            (weighted.loss if penalty is None else weighted.loss + penalty).backward()
        return StepReport(losses.mean().detach(), weighted.weights)

    @classmethod
    def side_by_side(cls, stages: Sequence[LossStage]) -> StageGroup[LossStage]:
        """Return the stages of several seeds, to be trained in one pass."""
        return LossStages(stages)


class LossStages(BackboneStages[LossStage]):
    """Minimises the scalars of each seed's loss weighting, in one backward pass: no seed's is part of another's."""

    def backward(self, batch: Batch) -> StepReport:
        """Backpropagate the weighted losses, and the backbones' penalties if they have any."""
        with span("forward"):
            made = self.forward(batch)
            losses = task_losses(made.logits, batch)
        weightings = [stage.weighting for stage in self.stages]
        with span("weighting"):
            scalars, weights = type(weightings[0]).combine_side_by_side(weightings, losses, made.logits, batch)
        with span("backward"):
            (scalars if made.penalty is None else scalars + made.penalty).sum().backward()
        return StepReport(losses.mean().detach(), weights)
