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

from rmtl_bench.contracts import (
    Backbone,
    Evaluation,
    FieldEmbedding,
    LossWeighting,
    ParallelMLP,
    Stage,
    StagedWeighting,
    StageGroup,
    StepReport,
    Weighted,
)
from rmtl_bench.contracts.errors import DivergedError
from rmtl_bench.contracts.stack import NotStackableError
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide, seconds_of_first_steps
from rmtl_bench.training.validation import predict

SEEDS = 4
BATCH = 256


@pytest.fixture(scope="module")
def wide(toy):
    """A table with so many rows to validate that a pair whose order is a matter of rounding does not show."""
    return toy.Sessions(rows=2000).build(None, None)


@pytest.fixture
def seeds_of(make_trainer, make_cell, wide):
    """Trainers of several seeds; ``weighting(seed)`` makes each one's weighting."""

    def build(weighting, count=SEEDS, **more):
        given = {"data": wide, "batch_size": BATCH, **more}
        return [make_trainer(weighting(seed), make_cell(seed=seed), **given) for seed in range(count)]

    return build


def alone(trainers):
    """Train them one after another; return each one's error."""
    errors = []
    for trainer in trainers:
        try:
            trainer.run()
            errors.append(None)
        except DivergedError as error:
            errors.append(error)
    return errors


@pytest.fixture
def both(seeds_of):
    """Train the same seeds alone and side by side, and compare all that is left of them."""

    def both(weighting, exactly=False, **more):
        one, other = (seeds_of(weighting, **more) for _ in range(2))
        expected, found = alone(one), SeedsSideBySide(other).run()
        assert [str(error) for error in found] == [str(error) for error in expected]
        for solo, joint in zip(one, other, strict=True):
            assert_same(solo, joint, exactly)
        return one, other

    return both


def course_of(history):
    return [(s.name, s.epochs, s.best_epoch, s.ended_by, s.steps) for s in history.stages]


def epochs_of(history):
    columns = (history.epochs[column] for column in ("stage", "epoch", "task", "quantity", "value"))
    return {tuple(key): value for *key, value in zip(*columns, strict=True) if key[-1] != "seconds"}


def state_of(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


def assert_same(solo, joint, exactly=False):
    assert course_of(joint.history) == course_of(solo.history)
    expected, found = epochs_of(solo.history), epochs_of(joint.history)
    losses = [key for key in expected if key[-1] == "train-loss"]
    assert found == pytest.approx(expected, rel=0, abs=0 if exactly else 1e-4)
    assert [found[key] for key in losses] == pytest.approx(
        [expected[key] for key in losses], rel=0 if exactly else 1e-5, abs=0
    )
    assert joint.history.weights["mean"] == pytest.approx(solo.history.weights["mean"], rel=0 if exactly else 1e-4)
    kept = [trainer.history.kept_epoch for trainer in (solo, joint)]
    assert len({epoch and (epoch.stage, epoch.epoch) for epoch in kept}) == 1
    state, other = state_of(solo.backbone), state_of(joint.backbone)
    assert state.keys() == other.keys()
    for key, value in state.items():
        torch.testing.assert_close(other[key], value, rtol=0, atol=0 if exactly else 1e-4)


@pytest.mark.parametrize("method", ["Equal", "MGDA"])
def test_each_seed_has_the_numbers_that_it_has_alone(method, both, toy, wide):
    _, joint = both(lambda seed: getattr(toy, method)(wide.schema.tasks))
    assert [trainer.history.warnings for trainer in joint] == [[]] * SEEDS
    assert len({trainer.history.epochs["value"][0] for trainer in joint}) == SEEDS


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
    assert len({tuple(trainer.weighting.scale.tolist()) for trainer in joint}) == SEEDS


def test_the_same_pass_twice_is_the_same_to_the_bit(seeds_of, toy, wide):
    first, second = (seeds_of(lambda seed: toy.MGDA(wide.schema.tasks)) for _ in range(2))
    SeedsSideBySide(first).run()
    torch.rand(3)
    SeedsSideBySide(second).run()
    for one, other in zip(first, second, strict=True):
        assert_same(one, other, exactly=True)


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
    scores = [epochs_of(trainer.history)["train", epoch, "", "score"] for epoch in (1, 2) for trainer in trainers]
    assert [record.score for record in told] == scores


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
        0.5 / math.ceil(len(trainers[0].train) / BATCH),
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
@pytest.mark.parametrize("batch", [BATCH, 10_000])
def test_a_seed_that_diverges_ends_as_alone_and_the_others_go_on(epoch, batch, both, wide):
    # With one step an epoch, its loss was finite, and the validation finds what it led to.
    solo, joint = both(lambda seed: _Diverging(wide.schema.tasks, epoch if seed == 2 else None), batch_size=batch)
    assert [trainer.history.stages[0].ended_by for trainer in joint] == ["max-epochs"] * 2 + ["diverged", "max-epochs"]
    assert (joint[2].history.kept_epoch is None) == (epoch == 1)
    assert all(value.isfinite().all() for value in state_of(joint[2].backbone).values())
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


class _Again(LossWeighting):
    """Weighs each task by what the last step has left of its loss."""

    def __init__(self, tasks):
        super().__init__(tasks)
        self.register_buffer("left", torch.ones(len(self.tasks)))
        self.register_buffer("before", torch.ones(len(self.tasks)))

    def combine(self, losses, logits, batch):
        self.before = losses.mean().detach()
        return Weighted((losses.mean() * self.left).sum(), self.left)

    def look_again(self, losses):
        self.left = losses() / self.before


class _Dropping(Backbone):
    """Layers with the dropout of the contracts."""

    def __init__(self, schema):
        super().__init__(schema)
        self.embedding = FieldEmbedding(schema, 4)
        self.network = ParallelMLP(len(schema.tasks), self.embedding.width, (12,), dropout=0.4, output=1)

    def forward(self, batch):
        return self.network(self.embedding(batch)).squeeze(2).T


@pytest.mark.parametrize("backbone", [_Dropping, None], ids=["the contracts' dropout", "torch's dropout"])
def test_a_second_look_drops_the_units_of_the_step(backbone, both, wide):
    solo, _ = both(lambda seed: _Again(wide.schema.tasks), backbone=backbone)
    # A step along the gradient under the same masks makes the losses smaller.
    assert all(0.9 < mean < 1 for trainer in solo for mean in trainer.history.weights["mean"])


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


class _Loose(_Dropping):
    """Holds a tensor that is neither parameter nor buffer, another for each seed."""

    def __init__(self, schema):
        super().__init__(schema)
        self.noise = torch.rand(len(schema.tasks))

    def forward(self, batch):
        return super().forward(batch) + self.noise


class _Listed(_Loose):
    """Holds it where nobody looks."""

    def __init__(self, schema):
        super().__init__(schema)
        self.noises = [self.noise]
        del self.noise

    def forward(self, batch):
        return _Dropping.forward(self, batch) + self.noises[0]


class _Remembering(_Dropping):
    """Keeps a list of its parameters beside them, as torch's recurrent layers do."""

    def __init__(self, schema):
        super().__init__(schema)
        self.scale = nn.Parameter(torch.ones(self.embedding.width))
        self.flat = [self.scale]

    def forward(self, batch):
        return self.network(self.embedding(batch) * self.flat[0]).squeeze(2).T


class _Sliced(_Dropping):
    """Takes a slice of a list of parameters, which torch makes new parameters of."""

    def __init__(self, schema):
        super().__init__(schema)
        self.scales = nn.ParameterList(torch.ones(self.embedding.width) for _ in range(2))

    def forward(self, batch):
        (scale,) = self.scales[1:]
        return self.network(self.embedding(batch) * scale).squeeze(2).T


@pytest.mark.parametrize(
    ("backbone", "reason"),
    [
        (_Loose, "_Loose holds 'noise', no parameter and no buffer"),
        (_Listed, "side by side, the gradient of"),
        (_Remembering, "side by side, the gradient of scale is not what it is alone"),
        (_Sliced, "side by side, the gradient of scales.1 is not what it is alone"),
    ],
)
def test_a_backbone_that_would_train_on_wrong_numbers_runs_seed_by_seed(backbone, reason, both, toy, wide):
    _, joint = both(lambda seed: toy.Equal(wide.schema.tasks), exactly=True, backbone=backbone)
    for trainer in joint:
        (said,) = trainer.history.warnings
        assert said.startswith(f"stage 'train': the seeds trained one after another: {reason}")
        assert all(not value._is_view() for value in trainer.backbone.parameters())


class _Exchanging(_Dropping):
    """Gives a buffer a new tensor in each step of a training."""

    def __init__(self, schema):
        super().__init__(schema)
        self.register_buffer("level", torch.zeros(()))

    def forward(self, batch):
        logits = super().forward(batch)
        if self.training:
            self.level = 0.9 * self.level + 0.1 * logits.detach().mean()
        return logits - self.level


def test_a_backbone_that_exchanges_a_buffer_cannot_be_in_a_pass(seeds_of, toy, wide):
    trainers = seeds_of(lambda seed: toy.Equal(wide.schema.tasks), backbone=_Exchanging)
    with pytest.raises(NotStackableError, match="a forward pass exchanges the buffer level"):
        SeedsSideBySide(trainers).run()


class _Normalised(_Dropping):
    """Normalises a column over the batch, with running statistics and a count of the steps.

    The gradient of a bias before it would be nothing but rounding, which Adam makes whole steps of.
    """

    def __init__(self, schema):
        super().__init__(schema)
        self.norm = nn.BatchNorm1d(1)

    def forward(self, batch):
        return super().forward(batch) + self.norm(batch.numerical)


@pytest.mark.parametrize("settings", [{}, {"patience": 1, "max_epochs": 8, "learning_rate": 0.05}], ids=str)
def test_running_statistics_are_each_seeds_own(settings, both, toy, wide):
    solo, joint = both(lambda seed: toy.Equal(wide.schema.tasks), backbone=_Normalised, **settings)
    assert [trainer.history.warnings for trainer in joint] == [[]] * SEEDS
    for one, other in zip(solo, joint, strict=True):
        assert other.backbone.norm.num_batches_tracked == one.backbone.norm.num_batches_tracked > 0
    means = torch.stack([trainer.backbone.norm.running_mean for trainer in joint])
    assert not torch.equal(means[0], means[1])


class _Convolved(Backbone):
    """Its shared representation is what a convolution returns, of which vmap returns a copy."""

    def __init__(self, schema):
        super().__init__(schema)
        self.embedding = FieldEmbedding(schema, 4)
        self.convolution = nn.Conv1d(1, 2, 3, bias=False)
        self.heads = nn.Linear(2 * (self.embedding.width - 2), len(schema.tasks))

    def forward(self, batch):
        return self.represent(batch)[0]

    def represent(self, batch):
        representation = self.convolution(self.embedding(batch).unsqueeze(1))
        return self.heads(torch.tanh(representation.flatten(1))), representation


def test_a_representation_that_is_a_copy_is_not_taken_for_one_without_gradient(both, seeds_of, toy, wide):
    both(lambda seed: toy.Equal(wide.schema.tasks), backbone=_Convolved)
    trainers = seeds_of(lambda seed: toy.MGDA(wide.schema.tasks, scope="representation"), backbone=_Convolved)
    with pytest.raises(NotStackableError, match="no loss depends on the representation that vmap returns"):
        SeedsSideBySide(trainers).run()


def test_frozen_parameters_stay_frozen(both, toy, wide):
    class Frozen(_Dropping):
        def __init__(self, schema):
            super().__init__(schema)
            self.start = state_of(self.embedding)
            self.embedding.requires_grad_(False)

    _, joint = both(lambda seed: toy.Equal(wide.schema.tasks), backbone=Frozen)
    for trainer in joint:
        assert all(torch.equal(v, trainer.backbone.start[k]) for k, v in state_of(trainer.backbone.embedding).items())


def test_the_trained_backbones_own_their_tensors(seeds_of, toy, wide):
    trainers = seeds_of(lambda seed: toy.Equal(wide.schema.tasks))
    SeedsSideBySide(trainers).run()
    for trainer in trainers:
        for tensor in trainer.backbone.parameters():
            assert tensor.untyped_storage().nbytes() == tensor.nbytes
    before = predict(trainers[1].backbone, trainers[1].valid, 100)
    with torch.no_grad():
        for parameter in trainers[0].backbone.parameters():
            parameter.zero_()
    assert torch.equal(predict(trainers[1].backbone, trainers[1].valid, 100), before)


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
