"""The three stages as the trainer runs them."""

from __future__ import annotations

import math

import pytest
import torch

from rmtl_bench.contracts import LossWeighting, Task, Weighted
from rmtl_bench_rmtl.rmtl import RMTL, RMTLConstantWeights

SMALL = {"embedding_dim": 3, "bottom": (8,), "tower": (4,), "critic_epochs": 3, "fine_tune_epochs": 2}


class Sum(LossWeighting):
    """Fixed weights of 1, written apart from the plugin."""

    def combine(self, losses, logits, batch):
        weights = torch.ones(len(self.tasks))
        return Weighted((weights * losses.mean()).sum(), weights)


def tasks(count=2):
    return tuple(Task(f"t{k}") for k in range(count))


def epochs(history, stage):
    """(epoch, task, quantity, value) of a stage, without its timings."""
    columns = history.epochs
    rows = zip(*columns.values(), strict=True)
    return [row[1:] for row in rows if row[0] == stage and row[3] != "seconds"]


def observe_state(trainer, stage):
    """Have the backbone's state copied when ``stage`` reports its first epoch."""
    states = []

    def observer(record):
        if record.stage == stage and record.epoch == 1:
            states.append({k: v.clone() for k, v in trainer.backbone.state_dict().items()})

    trainer._observer = observer
    return states


def same_state(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("method", [RMTL, RMTLConstantWeights])
def test_pre_train_critics_and_fine_tune_follow_each_other(method, count, missing, make_trainer):
    history = make_trainer(method(tasks(count), **SMALL), missing=missing).run()
    assert [stage.name for stage in history.stages] == ["pre-train", "critics", "fine-tune"]
    assert list(dict.fromkeys(history.epochs["stage"])) == ["pre-train", "critics", "fine-tune"]
    assert history.stages[1].epochs <= 3
    assert history.stages[2].epochs <= 2
    assert all(math.isfinite(value) for value in history.epochs["value"])


@pytest.mark.parametrize("method", [RMTL, RMTLConstantWeights])
def test_pre_training_is_a_plain_training_under_fixed_weights_bit_for_bit(method, make_trainer):
    plain = make_trainer(Sum(tasks()), label="fixed")
    expected = plain.run()
    trainer = make_trainer(method(tasks(), **SMALL), label="rmtl")
    states = observe_state(trainer, "critics")
    history = trainer.run()
    assert epochs(history, "pre-train") == epochs(expected, "train")
    (state,) = states
    assert same_state(state, plain.backbone.state_dict())
    assert history.stages[0].best_epoch == expected.stages[0].best_epoch > 0


def test_the_actor_stands_still_while_critics_learn(make_trainer):
    trainer = make_trainer(RMTL(tasks(), **SMALL, fine_tune_learning_rate=0.0))
    states = observe_state(trainer, "critics")
    trainer.run()
    assert same_state(states[0], trainer.backbone.state_dict())


def test_lambda_zero_is_the_control_bit_for_bit(make_trainer):
    options = {**SMALL, "fine_tune_learning_rate": 0.02, "pre_trained_counts": False}
    zero = make_trainer(RMTL(tasks(), lambda_q=0.0, **options), label="rmtl")
    control = make_trainer(RMTLConstantWeights(tasks(), **options), label="rmtl-cw")
    first, second = zero.run(), control.run()
    for stage in ("pre-train", "fine-tune"):
        assert epochs(first, stage) == epochs(second, stage)
        assert epochs(first, stage)
    assert same_state(zero.backbone.state_dict(), control.backbone.state_dict())


def test_lambda_above_zero_is_not_the_control(make_trainer):
    options = {**SMALL, "fine_tune_learning_rate": 0.02, "pre_trained_counts": False}
    weighted = make_trainer(RMTL(tasks(), **options))
    control = make_trainer(RMTLConstantWeights(tasks(), **options))
    first, second = weighted.run(), control.run()
    assert epochs(first, "pre-train") == epochs(second, "pre-train")
    # One label, so the control's critics are the same: its budget is that of RMTL to the last step.
    assert epochs(first, "critics") == epochs(second, "critics")
    assert epochs(first, "fine-tune") != epochs(second, "fine-tune")
    assert [s.steps for s in first.stages[:2]] == [s.steps for s in second.stages[:2]]


@pytest.mark.parametrize(("counts", "kept"), [(True, 0), (False, 1)])
def test_the_pre_trained_state_counts_as_epoch_zero_of_fine_tuning_or_not(counts, kept, make_trainer):
    # A learning rate of 0 brings no improvement over the start, whatever the weights.
    weighting = RMTL(tasks(), **SMALL, fine_tune_learning_rate=0.0, pre_trained_counts=counts)
    history = make_trainer(weighting).run()
    assert history.stages[2].best_epoch == kept


def test_the_weights_of_fine_tuning_are_reported_and_none_is_below_one(make_trainer):
    history = make_trainer(RMTL(tasks(), **SMALL)).run()
    rows = [dict(zip(history.weights, row, strict=True)) for row in zip(*history.weights.values(), strict=True)]
    used = [row for row in rows if row["stage"] == "fine-tune"]
    assert {row["task"] for row in used} == {"t0", "t1"}
    assert all(1 < row["q05"] <= row["q95"] for row in used)
    assert all(row["mean"] == 1 for row in rows if row["stage"] == "pre-train")
    assert not [row for row in rows if row["stage"] == "critics"]


def test_critics_end_when_the_return_error_no_longer_falls_by_the_tolerance(make_trainer):
    class FarOff(RMTL):
        def _new_critics(self, context):
            critics = super()._new_critics(context)
            torch.nn.init.constant_(critics.heads.biases[-1], 6.0)  # values near -6, where none belongs
            return critics

    def critics(tolerance):
        options = {**SMALL, "critic_epochs": 60, "critic_learning_rate": 0.05, "critic_tolerance": tolerance}
        return make_trainer(FarOff(tasks(), **options)).run().stages[1]

    patient, hasty = critics(0.01), critics(0.9)
    assert patient.ended_by == hasty.ended_by == "no-improvement"
    assert hasty.epochs == 2 < patient.epochs < 60


def test_parameters_reach_the_stages(make_trainer):
    given = {"discount": 0.3, "soft_update": 0.4, "action_noise": 0.5, "dropout": 0.6, "critic_learning_rate": 0.7}
    trainer = make_trainer(RMTL(tasks(), **SMALL, **given, critic_tolerance=0.8, fine_tune_learning_rate=0.9))
    pre_train, critics, fine_tune = trainer.weighting.stages(trainer)
    assert pre_train.learning_rate is pre_train.max_epochs is None
    assert (critics.train.discount, critics.valid.discount, critics.soft_update) == (0.3, 0.3, 0.4)
    assert (critics.train.acted - critics.train.actor).std().item() == pytest.approx(0.5, rel=0.2)
    assert critics.critics.bottom.dropout == critics.critics.heads.dropout == 0.6
    assert [w.shape[2] for w in (critics.critics.bottom.weights[0], critics.critics.heads.weights[0])] == [8, 4]
    assert (critics.learning_rate, critics.tolerance, critics.max_epochs) == (0.7, 0.8, 3)
    assert (fine_tune.learning_rate, fine_tune.max_epochs) == (0.9, 2)


def test_critics_are_drawn_from_a_seed_of_their_own(make_trainer):
    def critics(noise, label="w", seed=0):
        weighting = RMTL(tasks(), **SMALL)
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        drawn = weighting._new_critics(make_trainer(weighting, label=label, seed=seed)).state_dict()
        assert torch.equal(torch.get_rng_state(), before)
        return drawn

    assert same_state(critics(noise=1), critics(noise=2))
    assert not same_state(critics(noise=1), critics(noise=1, seed=1))
    assert not same_state(critics(noise=1), critics(noise=1, label="other"))


def test_a_run_repeats_itself_and_another_seed_does_not(make_trainer):
    def run(seed):
        history = make_trainer(RMTL(tasks(), **SMALL, action_noise=0.1), seed=seed).run()
        return [epochs(history, stage) for stage in ("pre-train", "critics", "fine-tune")]

    assert run(1) == run(1)
    assert all(one != other for one, other in zip(run(1), run(2), strict=True))
