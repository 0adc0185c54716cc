"""Seeds side by side: each has the numbers, the end and the errors that it has alone, and none is in another's way."""

from __future__ import annotations

import dataclasses
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from rmtl_bench.contracts import Evaluation, LossWeighting, Stage, StagedWeighting, StageGroup, StepReport, Weighted
from rmtl_bench.contracts.errors import DivergedError
from rmtl_bench.contracts.stack import NotStackableError
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide, seconds_of_first_steps


@pytest.mark.parametrize("method", ["Equal", "MGDA"])
def test_each_seed_has_the_numbers_that_it_has_alone(method, both, toy, wide):
    _, joint = both(lambda seed: getattr(toy, method)(wide.schema.tasks))
    assert [trainer.history.warnings for trainer in joint] == [[]] * 4
    assert len({trainer.history.epochs["value"][0] for trainer in joint}) == 4


class _ByRow(LossWeighting):
    """Weighs each row by a draw, and each task by a parameter under a step size of its own."""

    learning_rate = 0.05

    def __init__(self, tasks):
        super().__init__(tasks)
        self.scale = nn.Parameter(torch.zeros(len(self.tasks)))

    def combine(self, losses, logits, batch):
        drawn = torch.rand(losses.per_sample.shape, generator=self.generator)
        weights = drawn * (-self.scale).exp()
        return Weighted((losses.mean(weights) + self.scale).sum(), weights.detach())


def test_weights_and_parameters_of_a_weighting_are_each_seeds_own(both, wide):
    mask = np.random.default_rng(0).random(wide.labels.shape) < 0.8
    masked = dataclasses.replace(wide, label_mask=mask, labels=(wide.labels * mask).astype(np.float32))
    solo, joint = both(lambda seed: _ByRow(wide.schema.tasks), data=masked)
    for one, other in zip(solo, joint, strict=True):
        torch.testing.assert_close(other.weighting.scale, one.weighting.scale, rtol=0, atol=1e-5)
        for quantile in ("q05", "q95"):
            assert other.history.weights[quantile] == pytest.approx(one.history.weights[quantile], rel=1e-4)
    assert len({tuple(trainer.weighting.scale.tolist()) for trainer in joint}) == 4


def test_the_same_pass_twice_is_the_same_to_the_bit(seeds_of, assert_same_training, toy, wide):
    first, second = (seeds_of(lambda seed: toy.MGDA(wide.schema.tasks)) for _ in range(2))
    SeedsSideBySide(first).run()
    torch.rand(3)
    SeedsSideBySide(second).run()
    for one, other in zip(first, second, strict=True):
        assert_same_training(one, other, exactly=True)


def test_one_seed_alone_in_a_pass_trains_to_the_bit_as_ever(both, toy, wide):
    both(lambda seed: toy.Equal(wide.schema.tasks), exactly=True, count=1)


def test_random_state_and_modes_are_the_callers_again(seeds_of, toy, wide):
    trainers = seeds_of(lambda seed: toy.Equal(wide.schema.tasks))
    trainers[1].backbone.eval()
    before = torch.get_rng_state()
    SeedsSideBySide(trainers).run()
    assert torch.equal(torch.get_rng_state(), before)
    assert [trainer.backbone.training for trainer in trainers] == [True, False, True, True]


def test_every_seeds_epochs_are_told_of(seeds_of, toy, wide):
    told = []
    trainers = seeds_of(lambda seed: toy.Equal(wide.schema.tasks), count=2, observer=told.append, max_epochs=2)
    SeedsSideBySide(trainers).run()
    assert [record.epoch for record in told] == [1, 1, 2, 2]
    for trainer, records in zip(trainers, (told[::2], told[1::2]), strict=True):
        columns = trainer.history.epochs
        scores = [v for q, v in zip(columns["quantity"], columns["value"], strict=True) if q == "score"]
        assert [record.score for record in records] == scores


class _CountedRows:
    """Rows of a split that count how many were drawn."""

    def __init__(self, rows):
        self.rows = rows
        self.drawn = 0

    def __len__(self):
        return len(self.rows)

    def __getattr__(self, name):
        return getattr(self.rows, name)

    def batch(self, rows):
        self.drawn += rows.numel()
        return self.rows.batch(rows)

    def batches(self, size):
        return self.rows.batches(size)


def test_a_seed_that_has_ended_costs_nothing_and_the_others_go_on(both, seeds_of, toy, wide):
    settings = {"patience": 1, "max_epochs": 12, "learning_rate": 0.05}
    solo, _ = both(lambda seed: toy.Equal(wide.schema.tasks), **settings)
    epochs = [trainer.history.stages[0].epochs for trainer in solo]
    assert len(set(epochs)) > 2
    assert any(trainer.history.kept_epoch.epoch < count for trainer, count in zip(solo, epochs, strict=True))
    joint = seeds_of(lambda seed: toy.Equal(wide.schema.tasks), **settings)
    counted = _CountedRows(joint[0].train)
    joint[0].train = counted
    SeedsSideBySide(joint).run()
    assert counted.drawn == sum(epochs) * len(counted)


def test_seconds_are_a_seeds_share(seeds_of, wide, monkeypatch):
    now = itertools.count()

    class Slow(_Scripted):
        @classmethod
        def side_by_side(cls, stages):
            return _ScriptedGroup(stages)

    monkeypatch.setattr(
        "rmtl_bench.training.seeds_side_by_side.time", SimpleNamespace(perf_counter=lambda: float(next(now)))
    )
    scores = [[1.0, 0.5, 0.5], [1.0, 2.0, 3.0]]
    trainers = seeds_of(
        lambda seed: _InTurns(wide.schema.tasks, [lambda context: Slow(scores[seed])]),
        count=2,
        patience=1,
        max_epochs=3,
    )
    SeedsSideBySide(trainers).run()
    # The clock is asked four times an epoch: from its start to its end 3, the steps in the middle 1.
    (first,), (second,) = (trainer.history.stages for trainer in trainers)
    assert (first.epochs, first.seconds, first.step_seconds) == (
        2,
        3.0,
        0.5 / math.ceil(len(trainers[0].train) / 256),
    )
    assert (second.epochs, second.seconds) == (3, 3.0 + 3.0)


class _Scripted(Stage):
    """Trains a parameter of its own and scores as told; notes the parameter whenever it is scored."""

    def __init__(self, scores, **limits):
        super().__init__("scripted", nn.Linear(1, 1, bias=False), **limits)
        self.scores = iter(scores)
        self.seen = []

    def backward(self, batch):
        self.module.weight.grad = torch.ones_like(self.module.weight)
        return StepReport(torch.zeros(batch.labels.shape[1]))

    def evaluate(self):
        self.seen.append(self.module.weight.item())
        return Evaluation(next(self.scores))


class _ScriptedGroup(StageGroup):
    def backward(self, batch):
        for stage in self.stages:
            stage.backward(batch.replica(0))
        return StepReport(torch.zeros(len(self), batch.labels.shape[2]))


class _InTurns(StagedWeighting):
    """Stages made one after another."""

    def __init__(self, tasks, makers):
        super().__init__(tasks)
        self.makers = makers

    def stages(self, context):
        for make in self.makers:
            yield make(context)


class _Diverging(LossWeighting):
    """The sum of the losses; not finite from an epoch on."""

    def __init__(self, tasks, epoch=None):
        super().__init__(tasks)
        self.left = epoch

    def after_epoch(self, losses):
        self.left = None if self.left is None else self.left - 1

    def combine(self, losses, logits, batch):
        mean = losses.mean()
        return Weighted(mean.sum() * (math.nan if self.left == 1 else 1.0), torch.ones_like(mean))


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("batch", [256, 10_000])
def test_a_seed_that_diverges_ends_as_alone_and_the_others_go_on(epoch, batch, both, wide):
    # With one step an epoch, its loss was finite, and the validation finds what it led to.
    solo, joint = both(lambda seed: _Diverging(wide.schema.tasks, epoch if seed == 2 else None), batch_size=batch)
    assert [trainer.history.stages[0].ended_by for trainer in joint] == ["max-epochs"] * 2 + ["diverged", "max-epochs"]
    assert (joint[2].history.kept_epoch is None) == (epoch == 1)
    assert all(value.isfinite().all() for value in joint[2].backbone.state_dict().values())
    assert solo[2].history.stages[0].best_score == pytest.approx(joint[2].history.stages[0].best_score, abs=1e-4)


def test_all_may_diverge(both, wide):
    _, joint = both(lambda seed: _Diverging(wide.schema.tasks, 1 + seed % 2))
    assert {trainer.history.stages[0].ended_by for trainer in joint} == {"diverged"}


def test_the_error_says_where_and_has_its_cause(seeds_of, wide):
    trainers = seeds_of(lambda seed: _Diverging(wide.schema.tasks, 2 if seed else None), count=2)
    fine, error = SeedsSideBySide(trainers).run()
    assert fine is None
    assert isinstance(error.__cause__, DivergedError)
    assert str(error).startswith("stage 'train', epoch 2: the training loss is [nan")


def test_a_seed_that_diverges_between_stages_ends_as_alone(both, wide):
    class Judged(_InTurns):
        def __init__(self, tasks, fails):
            super().__init__(tasks, [])
            self.fails = fails

        def stages(self, context):
            yield context.backbone_stage("one", _Diverging(self.tasks), max_epochs=1)
            if self.fails:
                raise DivergedError("nothing to go on with")
            yield context.backbone_stage("two", _Diverging(self.tasks), max_epochs=1)

    _, joint = both(lambda seed: Judged(wide.schema.tasks, seed == 1), count=3)
    assert [len(trainer.history.stages) for trainer in joint] == [2, 1, 2]


def test_a_start_that_cannot_be_scored_ends_its_seed_alone(both, wide):
    def starts(seed):
        score = math.inf if seed == 0 else 0.5
        limits = {"counts_start": True, "max_epochs": 2}
        makers = [lambda context: _Grouped([score, 0.6, 0.7], **limits)]
        return _InTurns(wide.schema.tasks, makers)

    _, joint = both(starts, count=2)
    assert [trainer.history.stages[0].ended_by for trainer in joint] == ["diverged", "max-epochs"]


class _Grouped(_Scripted):
    @classmethod
    def side_by_side(cls, stages):
        return _ScriptedGroup(stages)


def test_stages_follow_each_other_for_all_seeds(both, toy, wide):
    def weighting(seed):
        equal, mgda = toy.Equal(wide.schema.tasks), toy.MGDA(wide.schema.tasks)
        makers = [
            lambda context: context.backbone_stage("pre", equal, patience=1, max_epochs=6, learning_rate=0.05),
            lambda context: context.backbone_stage("tune", mgda, counts_start=True, max_epochs=2, learning_rate=1e-3),
        ]
        return _InTurns(wide.schema.tasks, makers)

    solo, joint = both(weighting)
    assert len({trainer.history.stages[0].epochs for trainer in solo}) > 1
    assert all(trainer.history.warnings == [] for trainer in joint)


def test_a_stage_without_a_group_is_run_seed_by_seed_and_says_so(both, toy, wide):
    def weighting(seed):
        makers = [
            lambda context: context.backbone_stage("pre", toy.Equal(wide.schema.tasks), max_epochs=1),
            lambda context: _Scripted([0.5, 0.7, 0.6, 0.6, math.nan]),
            lambda context: context.backbone_stage("tune", toy.Equal(wide.schema.tasks), max_epochs=1),
        ]
        return _InTurns(wide.schema.tasks, makers)

    _, joint = both(weighting, count=2)
    said = "stage 'scripted': the seeds trained one after another: _Scripted takes one seed at a time"
    assert [trainer.history.warnings for trainer in joint] == [[said]] * 2


def test_a_seed_may_diverge_where_they_run_one_after_another(both, wide):
    scores = {0: [0.5, math.nan], 1: [0.5, 0.6, 0.7]}
    _, joint = both(lambda seed: _InTurns(wide.schema.tasks, [lambda context: _Scripted(scores[seed])]), count=2)
    assert [trainer.history.stages[0].ended_by for trainer in joint] == ["diverged", "max-epochs"]


def test_seeds_that_are_in_stages_of_several_kinds_run_one_after_another(both, toy, wide):
    def weighting(seed):
        method = toy.MGDA if seed else toy.Equal
        return _InTurns(wide.schema.tasks, [lambda context: context.backbone_stage("s", method(wide.schema.tasks))])

    _, joint = both(weighting, count=2, exactly=True)
    assert joint[0].history.warnings == [
        "stage 's': the seeds trained one after another: their stages are of several kinds"
    ]


def test_any_other_error_ends_the_pass(seeds_of, toy, wide):
    trainers = seeds_of(lambda seed: toy.Equal(wide.schema.tasks, behaviour="raise" if seed == 1 else "learn"))
    with pytest.raises(RuntimeError, match="the toy was told to raise"):
        SeedsSideBySide(trainers).run()


def test_the_first_steps_are_timed_with_as_many_before(seeds_of, toy, wide):
    steps = []

    class Counting(_Diverging):
        def combine(self, losses, logits, batch):
            steps.append(losses.per_sample.shape)
            return super().combine(losses, logits, batch)

    assert seconds_of_first_steps(seeds_of(lambda seed: Counting(wide.schema.tasks), count=2), 3) > 0
    assert len(steps) == 2 * 3 * 2
    steps.clear()
    assert seconds_of_first_steps(seeds_of(lambda seed: Counting(wide.schema.tasks), count=1), 3) > 0
    assert len(steps) == 2 * 3
    with pytest.raises(NotStackableError, match="takes one seed at a time"):
        seconds_of_first_steps(
            seeds_of(lambda seed: _InTurns(wide.schema.tasks, [lambda context: _Scripted([1.0])]), count=2), 3
        )
