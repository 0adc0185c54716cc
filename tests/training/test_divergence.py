"""A training that comes upon a value that is not finite: what is left of it, and what it is called."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from rmtl_bench.contracts import Evaluation, LossWeighting, Stage, StagedWeighting, StepReport, Weighted
from rmtl_bench.contracts.errors import DivergedError


def _state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def _equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def _diverged(trainer, said="stage"):
    with pytest.raises(DivergedError, match=said):
        trainer.run()
    return trainer.history


@pytest.fixture
def later(toy, table):
    """A weighting whose loss is not finite from the second epoch on."""
    return toy.Equal(table.schema.tasks, behaviour="diverge-later")


@pytest.fixture
def one_epoch(make_trainer):
    """What the same training leaves after a single epoch: the backbone's state and the history."""
    trainer = make_trainer(max_epochs=1)
    history = trainer.run()
    return _state(trainer.backbone), history


def test_the_backbone_is_put_back_to_its_best_state_and_the_good_epochs_stay(make_trainer, later, one_epoch):
    state, good = one_epoch
    trainer = make_trainer(later)
    history = _diverged(trainer, r"stage 'train', epoch 2: the training loss is \[nan, nan\]")
    assert _equal(_state(trainer.backbone), state)
    assert set(history.epochs["epoch"]) == {1}
    assert history.weights == good.weights
    (stage,) = history.stages
    assert (stage.ended_by, stage.epochs, stage.best_epoch, stage.steps) == ("diverged", 2, 1, 12)
    assert stage.best_score == good.stages[0].best_score
    assert vars(history.kept_epoch) == {"stage": "train", "epoch": 1, "score": stage.best_score}


def test_the_weights_of_an_epoch_that_shows_itself_lost_in_validation_are_not_kept(make_trainer, later):
    # One step an epoch: its loss was finite, and what it led to is not.
    trainer = make_trainer(later, batch_size=10_000)
    history = _diverged(trainer, "stage 'train', epoch 2: the backbone predicts values that are not finite")
    assert set(history.epochs["epoch"]) == set(history.weights["epoch"]) == {1}
    assert all(torch.isfinite(value).all() for value in trainer.backbone.state_dict().values())


def test_the_best_epoch_is_kept_and_not_the_last_good_one(make_trainer, table):
    stage = _Scripted([0.5, 0.7, 0.6, math.nan])
    trainer = make_trainer(_InTurns(table.schema.tasks, [lambda context: stage]), max_epochs=9)
    history = _diverged(trainer, "epoch 4: the validation score is nan")
    (summary,) = history.stages
    assert (summary.epochs, summary.best_epoch, summary.best_score) == (4, 2, 0.7)
    assert stage.module.weight.item() == stage.seen[1]
    assert stage.ended_by == "diverged"
    assert [v for q, v in zip(history.epochs["quantity"], history.epochs["value"], strict=True) if q == "score"] == [
        0.5,
        0.7,
        0.6,
    ]


def test_a_first_epoch_that_is_lost_leaves_the_start_and_nothing_kept(make_trainer, toy, table):
    trainer = make_trainer(toy.Equal(table.schema.tasks, behaviour="diverge"))
    start = _state(trainer.backbone)
    history = _diverged(trainer)
    assert _equal(_state(trainer.backbone), start)
    assert history.kept_epoch is None
    assert history.epochs["epoch"] == history.weights["epoch"] == []
    (stage,) = json.loads(json.dumps(history.stage_summaries(), allow_nan=False))
    assert (stage["best_epoch"], stage["best_score"], stage["ended_by"]) == (0, None, "diverged")


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


class _InTurns(StagedWeighting):
    """Stages made one after another; notes the backbone after each."""

    def __init__(self, tasks, makers):
        super().__init__(tasks)
        self.makers = makers
        self.between = []

    def stages(self, context):
        for make in self.makers:
            yield make(context)
            self.between.append(_state(context.backbone))


@pytest.fixture
def in_turns(toy, table):
    """A good stage of the backbone, then what is given."""

    def make(then):
        good = toy.Equal(table.schema.tasks)
        return _InTurns(table.schema.tasks, [lambda context: context.backbone_stage("pre-train", good), then])

    return make


@pytest.mark.parametrize("counts_start", [True, False])
def test_a_later_stage_that_is_lost_leaves_what_the_earlier_one_kept(make_trainer, in_turns, toy, table, counts_start):
    bad = toy.Equal(table.schema.tasks, behaviour="diverge")
    weighting = in_turns(lambda context: context.backbone_stage("tune", bad, counts_start=counts_start))
    trainer = make_trainer(weighting)
    history = _diverged(trainer, "stage 'tune', epoch 1")
    (after_pre_training,) = weighting.between
    assert _equal(_state(trainer.backbone), after_pre_training)
    first, second = history.stages
    assert (first.name, second.name, second.ended_by) == ("pre-train", "tune", "diverged")
    kept = {"stage": "pre-train", "epoch": first.best_epoch, "score": first.best_score}
    assert vars(history.kept_epoch) == kept
    assert set(history.epochs["stage"]) == {"pre-train"}


@pytest.mark.parametrize("counts_start", [True, False])
def test_a_stage_that_trains_something_else_changes_nothing_of_what_is_kept(make_trainer, in_turns, counts_start):
    weighting = in_turns(lambda context: _Scripted([0.9, 0.95, math.nan], counts_start=counts_start))
    trainer = make_trainer(weighting)
    history = _diverged(trainer, f"epoch {2 if counts_start else 3}: the validation score is nan")
    assert history.kept_epoch.stage == "pre-train"
    assert _equal(_state(trainer.backbone), weighting.between[0])


def test_a_start_that_cannot_be_scored_is_epoch_0(make_trainer, table):
    weighting = _InTurns(table.schema.tasks, [lambda context: _Scripted([math.inf], counts_start=True)])
    history = _diverged(make_trainer(weighting), "epoch 0: the validation score is inf")
    (stage,) = history.stages
    assert (stage.epochs, stage.steps, stage.step_seconds, stage.ended_by) == (0, 0, None, "diverged")
    assert history.seconds_a_step() is None


class _Solver(LossWeighting):
    """Raises in the tenth step, after the ninth has led to weights that are not finite, or to good ones."""

    def __init__(self, tasks, poison):
        super().__init__(tasks)
        self.poison = poison
        self.steps = 0

    def combine(self, losses, logits, batch):
        self.steps += 1
        mean = losses.mean()
        if self.steps == 10:
            raise ValueError("no solution")
        return Weighted(mean.sum() * (self.poison if self.steps == 9 else 1.0), torch.ones_like(mean))


def test_a_step_that_fails_on_values_that_are_not_finite_has_diverged(make_trainer, table):
    trainer = make_trainer(_Solver(table.schema.tasks, math.nan))
    said = "stage 'train', epoch 2: a step failed with ValueError after values that are not finite"
    history = _diverged(trainer, said)
    # The six steps of the epoch that was whole.
    assert (history.stages[0].epochs, history.stages[0].steps) == (2, 6)
    assert history.kept_epoch.epoch == 1


def test_a_step_that_fails_on_finite_values_is_an_error_of_its_own(make_trainer, table):
    with pytest.raises(ValueError, match="no solution"):
        make_trainer(_Solver(table.schema.tasks, 1.0)).run()


def test_a_step_is_timed_without_evaluation_and_a_run_over_all_its_stages(make_trainer, table, monkeypatch):
    now = 0.0

    def clock():
        return now

    class Slow(_Scripted):
        """Takes so many seconds a step, and a hundred to be scored."""

        def __init__(self, seconds, scores):
            super().__init__(scores)
            self.seconds = seconds

        def backward(self, batch):
            nonlocal now
            now += self.seconds
            return super().backward(batch)

        def evaluate(self):
            nonlocal now
            now += 100
            return super().evaluate()

    monkeypatch.setattr("rmtl_bench.training.trainer.time", SimpleNamespace(perf_counter=clock))
    stages = [lambda context: Slow(2, [1, 2, 3]), lambda context: Slow(5, [1, 1, 1, 1])]
    history = make_trainer(_InTurns(table.schema.tasks, stages), max_epochs=3, patience=1).run()
    first, second = history.stages
    assert (first.steps, first.step_seconds, first.seconds) == (18, 2.0, 3 * (6 * 2 + 100))
    assert (second.steps, second.step_seconds) == (12, 5.0)
    assert history.seconds_a_step() == pytest.approx((18 * 2 + 12 * 5) / 30)
