"""The three stages as the trainer runs them."""

from __future__ import annotations

import math

import pytest
import torch

from rmtl_bench.contracts import LossWeighting, Task, Weighted
from rmtl_bench_rmtl.actions import TrainingActions
from rmtl_bench_rmtl.rmtl import RMTL

SMALL = {"embedding_dim": 3, "bottom": (8,), "tower": (4,), "critic_epochs": 3, "fine_tune_epochs": 2}
WITH_CRITICS = ("critic", "label", "negative", "shuffled")
WITHOUT = ("constant", "return")
# Large steps that have to count: what fine-tuning does shows in the actor.
TUNED = {**SMALL, "fine_tune_learning_rate": 0.02, "pre_trained_counts": False}


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


def same_state(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("form", ["critic", "constant"])
def test_pre_train_critics_where_wanted_and_fine_tune_follow_each_other(form, count, missing, make_trainer):
    history = make_trainer(RMTL(tasks(count), weights=form, **SMALL), missing=missing).run()
    names = ["pre-train", "critics", "fine-tune"] if form == "critic" else ["pre-train", "fine-tune"]
    assert [stage.name for stage in history.stages] == names
    assert list(dict.fromkeys(history.epochs["stage"])) == names
    assert history.stages[-2].epochs <= 4
    assert history.stages[-1].epochs <= 2
    # A correlation is undefined where nothing varies.
    columns = zip(history.epochs["quantity"], history.epochs["value"], strict=True)
    assert all(math.isfinite(value) for quantity, value in columns if quantity != "return-correlation")


@pytest.mark.parametrize("form", [*WITH_CRITICS, *WITHOUT])
def test_only_forms_that_ask_critics_train_them(form, make_trainer):
    weighting = RMTL(tasks(), weights=form, **SMALL)
    history = make_trainer(weighting).run()
    trained = "critics" in [stage.name for stage in history.stages]
    assert trained == bool(weighting.kept()) == (form in WITH_CRITICS)


@pytest.mark.parametrize("form", [*WITH_CRITICS, *WITHOUT])
def test_pre_training_is_a_plain_training_under_fixed_weights_bit_for_bit(form, make_trainer):
    plain = make_trainer(Sum(tasks()), label="fixed")
    expected = plain.run()
    # A rate of 0 in fine-tuning leaves the actor as pre-training did.
    trainer = make_trainer(RMTL(tasks(), weights=form, **SMALL, fine_tune_learning_rate=0.0), label=form)
    history = trainer.run()
    assert epochs(history, "pre-train") == epochs(expected, "train")
    assert same_state(trainer.backbone.state_dict(), plain.backbone.state_dict())
    assert history.stages[0].best_epoch == expected.stages[0].best_epoch > 0


def test_the_actor_stands_still_while_critics_learn(make_trainer):
    trainer = make_trainer(RMTL(tasks(), **SMALL))
    before = []

    def observer(record):
        if record.stage == "critics":
            before.append({k: v.clone() for k, v in trainer.backbone.state_dict().items()})

    trainer._observer = observer
    history = trainer.run()
    assert len(before) == history.stages[1].epochs > 1
    plain = make_trainer(Sum(tasks()), label="fixed")
    plain.run()
    assert all(same_state(state, plain.backbone.state_dict()) for state in before)


def test_critics_stand_still_while_the_actor_is_fine_tuned(make_trainer):
    weighting = RMTL(tasks(), **TUNED)
    trainer = make_trainer(weighting)
    states = []

    def observer(record):
        if record.stage == "fine-tune":
            states.append({k: v.clone() for k, v in weighting.kept().items()})

    trainer._observer = observer
    trainer.run()
    assert all(same_state(state, states[0]) for state in (*states, weighting.kept()))
    assert not any(module.training for module in weighting._critics[0].modules())


def test_lambda_zero_is_the_control_bit_for_bit(make_trainer):
    zero = make_trainer(RMTL(tasks(), lambda_q=0.0, **TUNED), label="rmtl")
    control = make_trainer(RMTL(tasks(), weights="constant", **TUNED), label="rmtl-cw")
    first, second = zero.run(), control.run()
    for stage in ("pre-train", "fine-tune"):
        assert epochs(first, stage) == epochs(second, stage)
        assert epochs(first, stage)
    assert same_state(zero.backbone.state_dict(), control.backbone.state_dict())


@pytest.mark.parametrize("form", ["critic", "label", "negative", "return", "shuffled"])
def test_every_form_but_the_control_fine_tunes_in_its_own_way(form, make_trainer):
    weighted = make_trainer(RMTL(tasks(), weights=form, **TUNED))
    control = make_trainer(RMTL(tasks(), weights="constant", **TUNED))
    first, second = weighted.run(), control.run()
    assert epochs(first, "pre-train") == epochs(second, "pre-train")
    assert epochs(first, "fine-tune") != epochs(second, "fine-tune")
    # The budget of the actor is the same to the last step it may take.
    assert first.stages[-1].steps == second.stages[-1].steps


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


# How the critics end


class FarOff(RMTL):
    """Its critics begin near -6, where no value belongs."""

    def new_critics(self, context):
        critics = super().new_critics(context)
        torch.nn.init.constant_(critics.networks[0].heads.biases[-1], 6.0)
        return critics


def ended(make_trainer, **options):
    """How the critics' stage of a run ended, its warnings, and what it says of convergence by task."""
    weighting = FarOff(tasks(), **{**SMALL, "critic_learning_rate": 0.05, **options})
    trainer = make_trainer(weighting)
    history = trainer.run()
    found = weighting.diagnose(trainer, trainer.valid)
    return history.stages[1], history.warnings, {d.task: d.value for d in found if d.quantity == "critics-converged"}


def test_critics_end_when_the_return_error_no_longer_falls_by_the_tolerance(make_trainer):
    options = {"critic_epochs": 60, "critic_patience": 2}
    patient, warnings, converged = ended(make_trainer, **options, critic_tolerance=0.01)
    hasty, _, _ = ended(make_trainer, **options, critic_tolerance=0.9)
    assert patient.ended_by == hasty.ended_by == "no-improvement"
    # The first epoch is always the best until then; two more may bring nothing.
    assert hasty.epochs == 3 < patient.epochs < 60
    assert patient.best_epoch == patient.epochs - 2
    assert converged == {"t0": 1.0, "t1": 1.0}
    assert warnings == []


def test_critics_that_reach_their_last_epoch_are_said_not_to_have_converged(make_trainer):
    stage, warnings, converged = ended(make_trainer, critic_epochs=3)
    assert (stage.epochs, stage.ended_by) == (3, "max-epochs")
    assert converged == {"t0": 0.0, "t1": 0.0}
    (warning,) = warnings
    assert "had not converged after 3 epochs" in warning
    assert "critic_epochs" in warning


def test_what_ended_a_stage_stands_in_the_stage_itself(make_trainer):
    stages = []

    class Watched(RMTL):
        def new_critic_stage(self, context):
            stages.append(super().new_critic_stage(context))
            assert stages[-1].ended_by == ""
            return stages[-1]

    history = make_trainer(Watched(tasks(), **SMALL)).run()
    assert stages[0].ended_by == history.stages[1].ended_by == "max-epochs"


@pytest.mark.parametrize("form", WITHOUT)
def test_nothing_is_said_of_convergence_where_no_critics_learn(form, make_trainer):
    weighting = RMTL(tasks(), weights=form, **SMALL)
    trainer = make_trainer(weighting)
    assert trainer.run().warnings == []
    assert "critics-converged" not in {d.quantity for d in weighting.diagnose(trainer, trainer.valid)}


# Parameters and seeds


def test_parameters_reach_the_stages(make_trainer):
    given = {"discount": 0.3, "soft_update": 0.4, "action_noise": 0.5, "uniform_actions": 0.25, "dropout": 0.6}
    given |= {"critic_learning_rate": 0.7, "critic_tolerance": 0.8, "critic_patience": 9, "importance": True}
    given |= {"shared_bottom": False, "twin_critics": True, "fine_tune_learning_rate": 0.9}
    trainer = make_trainer(RMTL(tasks(), **SMALL, **given))
    pre_train, critics, fine_tune = trainer.weighting.stages(trainer)
    assert pre_train.learning_rate is pre_train.max_epochs is None
    assert pre_train.order == "train"
    assert (critics.discount, critics.soft_update, critics.importance) == (0.3, 0.4, True)
    assert critics.actions == TrainingActions(0.5, 0.25)
    assert (critics.critics.twins, len(critics.critics.networks)) == (2, 4)
    network = critics.critics.networks[0]
    assert network.bottom.dropout == network.heads.dropout == 0.6
    assert [w.shape[2] for w in (network.bottom.weights[0], network.heads.weights[0])] == [8, 4]
    assert network.embedding.table.shape[1] == 3
    assert (critics.learning_rate, critics.tolerance, critics.max_epochs, critics.patience) == (0.7, 0.8, 3, 9)
    assert (fine_tune.learning_rate, fine_tune.max_epochs, fine_tune.counts_start) == (0.9, 2, True)


def test_critics_are_drawn_from_a_paired_seed_and_leave_the_global_state_alone(make_trainer):
    def critics(noise, label="w", seed=0):
        weighting = RMTL(tasks(), **SMALL)
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        drawn = weighting.new_critics(make_trainer(weighting, label=label, seed=seed)).state_dict()
        assert torch.equal(torch.get_rng_state(), before)
        return drawn

    assert same_state(critics(noise=1), critics(noise=2))
    assert same_state(critics(noise=1), critics(noise=1, label="other"))
    assert not same_state(critics(noise=1), critics(noise=1, seed=1))


def test_all_forms_learn_the_same_critics_bit_for_bit(make_trainer):
    def critics(form, seed=0):
        weighting = RMTL(tasks(), weights=form, **TUNED)
        history = make_trainer(weighting, label=form, seed=seed).run()
        return weighting.kept(), epochs(history, "critics")

    kept, learnt = critics("critic")
    for form in ("shuffled", "label", "negative"):
        again, learnt_again = critics(form)
        assert same_state(again, kept)
        assert learnt_again == learnt
    assert not same_state(critics("critic", seed=1)[0], kept)


def test_critics_handed_on_fine_tune_as_they_did_where_they_learnt(make_trainer):
    source = RMTL(tasks(), **TUNED)
    own = make_trainer(source, label="rmtl")
    first = own.run()
    heir = RMTL(tasks(), **TUNED, critic_from="actor")
    taken = make_trainer(heir, label="heir", handed_on=source.kept())
    second = taken.run()
    assert [stage.name for stage in second.stages] == ["pre-train", "fine-tune"]
    assert epochs(second, "fine-tune") == epochs(first, "fine-tune")
    assert same_state(taken.backbone.state_dict(), own.backbone.state_dict())
    quantities = {d.quantity for d in heir.diagnose(taken, taken.valid)}
    # They learnt in another run: whether they converged is said there.
    assert "return-error" in quantities
    assert "critics-converged" not in quantities


def test_a_run_repeats_itself_and_another_seed_does_not(make_trainer):
    def run(seed):
        history = make_trainer(RMTL(tasks(), **SMALL, action_noise=0.1), seed=seed).run()
        return [repr(epochs(history, stage)) for stage in ("pre-train", "critics", "fine-tune")]

    assert run(1) == run(1)
    assert all(one != other for one, other in zip(run(1), run(2), strict=True))
