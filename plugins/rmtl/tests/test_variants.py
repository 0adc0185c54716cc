"""Variants and controls differ in omega alone, and at lambda = 0 in nothing."""

from __future__ import annotations

import pytest
import torch

from rmtl_bench.contracts import Task
from rmtl_bench_rmtl.rmtl import RMTL
from rmtl_bench_rmtl.weights import OF_CRITICS

CRITICS = {"embedding_dim": 3, "bottom": (8,), "tower": (4,), "critic_epochs": 2}
FINE_TUNE = {"fine_tune_learning_rate": 0.02, "fine_tune_epochs": 3, "pre_trained_counts": False}
LAMBDA = ["critic", "label", "return", "shuffled"]


def trained(make_trainer, form, *, tasks=2, missing=False, **parameters):
    """The backbone's state, the critics', and what the stages of the actor told the history, under the form's name."""
    named = tuple(Task(f"t{k}") for k in range(tasks))
    method = RMTL(named, weights=form, **{**CRITICS, **FINE_TUNE, **parameters})
    trainer = make_trainer(method, label=form, missing=missing)
    history = trainer.run()
    epochs = [row for row in zip(*history.epochs.values(), strict=True) if row[0] != "critics" and row[3] != "seconds"]
    weights = list(zip(*history.weights.values(), strict=True))
    return trainer.backbone.state_dict(), dict(method.kept()), epochs, weights


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("form", LAMBDA)
def test_lambda_0_gives_the_numbers_of_constant_weights_bit_for_bit(form, missing, make_trainer):
    control = trained(make_trainer, "constant", missing=missing)
    method = trained(make_trainer, form, missing=missing, lambda_q=0.0)
    assert same(method[0], control[0])
    assert method[2:] == control[2:]
    assert {row[0] for row in method[2]} == {"pre-train", "fine-tune"}


@pytest.mark.parametrize("tasks", [1, 4])
def test_lambda_0_gives_the_controls_numbers_for_any_number_of_tasks(tasks, make_trainer):
    control = trained(make_trainer, "constant", tasks=tasks)
    method = trained(make_trainer, "critic", tasks=tasks, lambda_q=0.0)
    assert same(method[0], control[0])
    assert method[2:] == control[2:]


@pytest.mark.parametrize("form", [*LAMBDA, "negative"])
def test_any_other_lambda_gives_other_numbers_after_the_same_pre_training(form, make_trainer):
    control, method = trained(make_trainer, "constant"), trained(make_trainer, form)
    assert not same(method[0], control[0])
    first, second = ([row for row in run[2] if row[0] == "pre-train"] for run in (control, method))
    assert first == second


@pytest.mark.parametrize("form", ["constant", "return"])
def test_a_form_that_asks_no_critic_trains_and_keeps_none(form, make_trainer):
    named = (Task("t0"), Task("t1"))
    method = RMTL(named, weights=form, **CRITICS, **FINE_TUNE)
    history = make_trainer(method).run()
    assert [stage.name for stage in history.stages] == ["pre-train", "fine-tune"]
    assert not method.kept()


def test_all_forms_that_ask_critics_learn_the_same_critics(make_trainer):
    first, *others = (trained(make_trainer, form)[1] for form in sorted(OF_CRITICS))
    assert first
    assert all(same(other, first) for other in others)
