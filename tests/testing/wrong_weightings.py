"""Weightings that are right, one of each form, and for each check some that are wrong in a single way."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import torch
from torch import nn

from rmtl_bench import WeightingInfo, hookimpl
from rmtl_bench.contracts import GradientWeighting, LossWeighting, StagedWeighting, TaskLosses, Weighted, Weighting


class Equal(LossWeighting):
    """Equal weights: what most of the wrong ones would be otherwise."""

    def combine(self, losses, logits, batch):
        return self.weighted(losses, torch.ones(len(self.tasks)))

    def weighted(self, losses, weights):
        means = losses.mean()
        return Weighted((weights * means).sum(), weights)


class RightLoss(LossWeighting):
    """A draw at random and a moving average of the losses, in a buffer."""

    def __init__(self, tasks):
        super().__init__(tasks)
        self.register_buffer("average", torch.ones(len(tasks)))

    def combine(self, losses, logits, batch):
        means = losses.mean()
        self.average = 0.9 * self.average + 0.1 * means.detach()
        drawn = torch.rand(len(self.tasks), generator=self.generator)
        weights = (self.average + drawn).softmax(0) * len(self.tasks)
        return Weighted((weights * means).sum(), weights)


class RightRows(LossWeighting):
    """Weights by row: more where the label is 1."""

    def combine(self, losses, logits, batch):
        weights = 1 + 0.5 * batch.labels * (len(self.tasks) > 1)
        return Weighted(losses.mean(weights).sum(), weights)

    @classmethod
    def combine_side_by_side(cls, weightings, losses, logits, batch):
        weights = 1 + 0.5 * batch.labels
        return losses.mean(weights).sum(1), weights


class RightGradient(GradientWeighting):
    """Gradients of one length, where they have any."""

    def task_weights(self, gramian, losses):
        lengths = gramian.diagonal().clamp(min=0).sqrt() + 1e-6
        return lengths.mean() / lengths


class RightStaged(StagedWeighting):
    """Two trainings, the second under weights drawn between them."""

    def stages(self, context):
        yield context.backbone_stage("first", Equal(self.tasks), order="train")
        second = Always(self.tasks)
        second.register_buffer("weights", 0.5 + torch.rand(len(self.tasks), generator=self.generator))
        yield context.backbone_stage("second", second, max_epochs=2, counts_start=True)


class Always(Equal):
    """Weights that are given."""

    def combine(self, losses, logits, batch):
        return self.weighted(losses, self.weights.clone())


class NoWeighting(nn.Module):
    def __init__(self, tasks):
        super().__init__()


class OfNoForm(Weighting):
    """Derives from the base of all."""


class TwoWeights(Equal):
    def combine(self, losses, logits, batch):
        return Weighted(losses.mean().sum(), torch.ones(2))


class NotDetached(Equal):
    def __init__(self, tasks):
        super().__init__(tasks)
        self.scales = nn.Parameter(torch.ones(len(tasks)))

    def combine(self, losses, logits, batch):
        return self.weighted(losses, self.scales)


class Deviating(Equal):
    """Divides by the losses' standard deviation, which one task has not."""

    def combine(self, losses, logits, batch):
        spread = torch.cat([losses.mean().detach(), torch.zeros(1)])[: len(self.tasks)].var(correction=0)
        return Weighted(losses.mean().sum(), torch.ones(len(self.tasks)) * spread / spread)


class Squared(Equal):
    def combine(self, losses, logits, batch):
        means = losses.mean()
        return Weighted(means.square().sum(), 2 * means.detach())


class LeavesTracks(Equal):
    made = 0

    def __init__(self, tasks):
        super().__init__(tasks)
        type(self).made += 1
        self.first = self.made

    def combine(self, losses, logits, batch):
        return self.weighted(losses, torch.ones(len(self.tasks)) + self.first % 7 * torch.arange(len(self.tasks)))


class OfPython(Equal):
    def combine(self, losses, logits, batch):
        return self.weighted(losses, torch.tensor([random.gauss(1, 0.1) for _ in self.tasks]))


class OfNumPy(Equal):
    def combine(self, losses, logits, batch):
        return self.weighted(losses, torch.as_tensor(np.random.rand(len(self.tasks)), dtype=torch.float32))


class OfTorch(Equal):
    def combine(self, losses, logits, batch):
        return self.weighted(losses, torch.rand(len(self.tasks)))


class BornAtRandom(Equal):
    def __init__(self, tasks):
        super().__init__(tasks)
        self.register_buffer("weights", torch.rand(len(tasks)) + 0.5)

    def combine(self, losses, logits, batch):
        return self.weighted(losses, self.weights.clone())


class DeviatesByTorch(Equal):
    """Reads torch's global generator and leaves it where it stood."""

    def __init__(self, tasks):
        super().__init__(tasks)
        with torch.random.fork_rng(devices=[]):
            self.register_buffer("weights", torch.rand(len(tasks)) + 0.5)

    def combine(self, losses, logits, batch):
        return self.weighted(losses, self.weights.clone())


class Forgetful(Equal):
    """Counts its steps in an attribute."""

    def __init__(self, tasks):
        super().__init__(tasks)
        self.steps = 0

    def combine(self, losses, logits, batch):
        self.steps += 1
        return self.weighted(losses, 1 + torch.arange(len(self.tasks)) / self.steps)


class OddState(Equal):
    def get_extra_state(self):
        return {**super().get_extra_state(), "share": Fraction(1, 3)}


class LateBuffer(Equal):
    def combine(self, losses, logits, batch):
        self.register_buffer("last", losses.mean().detach())
        return super().combine(losses, logits, batch)


class Scribbling(Equal):
    def combine(self, losses, logits, batch):
        batch.session.add_(1)
        return super().combine(losses, logits, batch)


class Rewriting(Equal):
    def __init__(self, tasks):
        super().__init__(tasks)
        self.register_buffer("weights", torch.ones(len(tasks)))

    def combine(self, losses, logits, batch):
        return Weighted((self.weights.clone() * losses.mean()).sum(), self.weights)

    def after_step(self):
        self.weights.mul_(0.9)


class KeepsTheBackbone(RightStaged):
    def stages(self, context):
        self.backbone = context.backbone
        yield from super().stages(context)


class Freezes(Equal):
    def stages(self, context):
        next(context.backbone.parameters()).requires_grad_(False)
        yield from super().stages(context)


class Inverse(Equal):
    def combine(self, losses, logits, batch):
        return self.weighted(losses, 1 / losses.mean().detach())


class NaNForTheMissing(Equal):
    def combine(self, losses, logits, batch):
        known = losses.known()
        return Weighted(losses.mean().sum(), known / known)


class OnlyTheSmallest(Equal):
    def combine(self, losses, logits, batch):
        means = losses.mean().detach()
        return self.weighted(losses, (means == means.min()).float())


class Backwards(Equal):
    def combine(self, losses, logits, batch):
        return self.weighted(losses, -torch.ones(len(self.tasks)))


class FirstFirst(Equal):
    def combine(self, losses, logits, batch):
        return self.weighted(losses, 1 / (1 + torch.arange(len(self.tasks))))


class ReportsOnes(Equal):
    def combine(self, losses, logits, batch):
        means = losses.mean()
        return Weighted((means.softmax(0).detach() * means).sum(), torch.ones(len(self.tasks)))


class Lengths(GradientWeighting):
    """Divides by lengths that may be 0."""

    def task_weights(self, gramian, losses):
        return 1 / gramian.diagonal().sqrt()


class PlainMean(Equal):
    def combine(self, losses, logits, batch):
        means = losses.per_sample.mean(0)
        return Weighted(means.sum(), torch.ones(len(self.tasks)))


class ClampsLosses(Equal):
    def combine(self, losses, logits, batch):
        with torch.no_grad():
            losses.per_sample.clamp_(max=0.5)
        return super().combine(losses, logits, batch)


class ScalesGradients(GradientWeighting):
    def direction(self, jacobian, losses):
        return jacobian.sum(0), torch.ones(len(losses))

    def directions(self, jacobians, losses):
        for jacobian in jacobians:
            jacobian.mul_(0.5)
        return super().directions(jacobians, losses)


class OtherSideBySide(RightRows):
    @classmethod
    def combine_side_by_side(cls, weightings, losses, logits, batch):
        weights = torch.ones_like(batch.labels)
        return TaskLosses(losses.per_sample, losses.mask).mean().sum(1), weights


LOSS = [
    *(Equal, RightLoss, RightRows, TwoWeights, NotDetached, Deviating, Squared, LeavesTracks, OfPython, OfNumPy),
    *(OfTorch, BornAtRandom, DeviatesByTorch, Forgetful, OddState, LateBuffer, Scribbling, Rewriting, Freezes, Inverse),
    *(NaNForTheMissing, OnlyTheSmallest, Backwards, FirstFirst, ReportsOnes, PlainMean, ClampsLosses),
    OtherSideBySide,
]
GRADIENT = [RightGradient, Lengths, ScalesGradients]
STAGED = [RightStaged, KeepsTheBackbone]


def describe(target, form, name="", **more):
    described = {"name": name or target.lower(), "target": f"{__name__}:{target}", "summary": "for a test", **more}
    return WeightingInfo(form=form, cost="a step", **described)


@hookimpl
def rmtl_weightings():
    by_form = (("loss", LOSS), ("gradient", GRADIENT), ("staged", STAGED))
    return [
        *(describe(made.__name__, form) for form, all_of_it in by_form for made in all_of_it),
        describe("Equal", "", "says-no-form"),
        describe("Equal", "gradient", "says-another-form"),
        describe("OfNoForm", "loss"),
        describe("NoWeighting", "loss"),
        describe("Equal", "loss", "needsmore", needs=("not_there",), install="pip install not-there"),
    ]
