from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rmtl_bench.contracts import Evaluation, Stage, StagedWeighting, StepReport
from rmtl_bench.contracts.errors import DivergedError


class _Scripted(Stage):
    """Moves one parameter in every step and scores as told; notes the parameter whenever it is scored."""

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


class _Alone(StagedWeighting):
    def __init__(self, tasks, stage):
        super().__init__(tasks)
        self.stage = stage

    def stages(self, context):
        yield self.stage


@pytest.fixture(scope="module")
def run(make_trainer, table):
    """Run one scripted stage: the stage and its summary."""

    def run(scores, limit=20, trainer_patience=2, **limits):
        stage = _Scripted(itertools.chain(scores, itertools.repeat(-1e9)), **limits)
        weighting = _Alone(table.schema.tasks, stage)
        trainer = make_trainer(weighting, max_epochs=limit, patience=trainer_patience, batch_size=999)
        (summary,) = trainer.run().stages
        return stage, summary

    return run


def test_the_best_epochs_weights_are_kept_and_restored(run):
    stage, summary = run([0.5, 0.7, 0.6, 0.65, 0.9])
    assert (summary.epochs, summary.best_epoch, summary.best_score) == (4, 2, 0.7)
    assert summary.ended_by == "no-improvement"
    assert stage.module.weight.item() == stage.seen[1] != stage.seen[3]


@pytest.mark.parametrize(
    ("scores", "limit", "ended_by"),
    [
        ([0.5, 0.4, 0.4], 20, "no-improvement"),
        # What patience would end in the last epoch anyway had its chance: it is no improvement.
        ([0.5, 0.4, 0.4], 3, "no-improvement"),
        ([0.5, 0.4, 0.4], 2, "max-epochs"),
        ([0.5, 0.6], 2, "max-epochs"),
    ],
)
def test_a_stage_is_told_what_ended_it(run, scores, limit, ended_by):
    assert _Scripted([]).ended_by == ""
    stage, summary = run(scores, limit=limit)
    assert stage.ended_by == summary.ended_by == ended_by


def test_what_ended_a_stage_is_known_before_the_next_is_asked_for(make_trainer, table):
    class Two(StagedWeighting):
        def __init__(self, tasks):
            super().__init__(tasks)
            self.seen = []

        def stages(self, context):
            for scores in ([0.5, 0.4, 0.4], [0.1, 0.2, 0.3]):
                stage = _Scripted(scores)
                self.seen.append(stage.ended_by)
                yield stage
                self.seen.append(stage.ended_by)

    weighting = Two(table.schema.tasks)
    make_trainer(weighting, max_epochs=3, patience=2, batch_size=999).run()
    assert weighting.seen == ["", "no-improvement", "", "max-epochs"]


def test_an_equal_score_is_no_improvement(run):
    stage, summary = run([0.5, 0.5, 0.5])
    assert (summary.epochs, summary.best_epoch) == (3, 1)
    assert stage.module.weight.item() == stage.seen[0]


def test_the_last_epoch_ends_a_stage_that_improves_to_the_end(run):
    stage, summary = run([0.1, 0.2, 0.3, 0.4], limit=3)
    assert (summary.epochs, summary.best_epoch, summary.ended_by) == (3, 3, "max-epochs")
    assert stage.module.weight.item() == stage.seen[2]


def test_the_start_may_be_the_best_state_where_it_counts(run):
    stage, summary = run([0.9, 0.5, 0.6, 0.7], counts_start=True)
    assert (summary.epochs, summary.best_epoch, summary.best_score) == (2, 0, 0.9)
    assert stage.module.weight.item() == stage.seen[0]
    stage, summary = run([0.4, 0.5, 0.3, 0.3], counts_start=True)
    assert (summary.epochs, summary.best_epoch) == (3, 1)
    assert stage.module.weight.item() == stage.seen[1] != stage.seen[0]


def test_the_start_is_not_scored_where_it_does_not_count(run):
    stage, summary = run([0.5, 0.1, 0.1])
    assert summary.best_epoch == 1
    assert len(stage.seen) == summary.epochs


def test_an_improvement_within_the_tolerance_is_none(run):
    assert run([0.5, 0.504, 0.504], tolerance=0.01)[1].best_epoch == 1
    assert run([0.5, 0.506, 0.506], tolerance=0.01)[1].best_epoch == 2
    assert run([-0.5, -0.496, -0.496], tolerance=0.01)[1].best_epoch == 1
    assert run([-0.5, -0.494, -0.494], tolerance=0.01)[1].best_epoch == 2


def test_a_stages_own_patience_and_limit_come_before_the_trainers(run):
    assert run([0.5] * 9)[1].epochs == 3
    assert run([0.5] * 9, patience=4)[1].epochs == 5
    assert run([0.5] * 9, patience=1)[1].epochs == 2
    assert run([0.1, 0.2, 0.3, 0.4, 0.5], limit=2, max_epochs=4)[1].epochs == 4


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("counts_start", [True, False])
def test_a_score_that_is_not_finite_ends_the_training(run, score, counts_start):
    with pytest.raises(DivergedError, match=f"epoch {0 if counts_start else 1}: the validation score is {score}"):
        run([score], counts_start=counts_start)


def _expected(scores, patience, counts_start):
    """The rule, said once more: stop when the best epoch is ``patience`` epochs ago."""
    best = (scores[0], 0) if counts_start else (-math.inf, 0)
    epochs = scores[1:] if counts_start else scores
    for epoch, score in enumerate(epochs, 1):
        if score > best[0]:
            best = (score, epoch)
        elif epoch - best[1] >= patience:
            break
    return epoch, best[1]


@settings(deadline=None, max_examples=40)
@given(
    scores=st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=8),
    patience=st.integers(1, 3),
    counts_start=st.booleans(),
)
def test_any_scores_stop_and_restore_by_the_rule(run, scores, patience, counts_start):
    stage, summary = run(scores, len(scores) - counts_start, patience, counts_start=counts_start)
    assert (summary.epochs, summary.best_epoch) == _expected(scores, patience, counts_start)
    assert stage.module.weight.item() == stage.seen[summary.best_epoch - (not counts_start)]
