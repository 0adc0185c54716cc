"""omega_k = 1 - lambda * Q_k, a constant to the gradient, from critics that learn no more."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from rmtl_bench.contracts import Task, TaskLosses
from rmtl_bench_rmtl.rmtl import RMTL, ConstantWeights, CriticWeights

TASKS = (Task("t0"), Task("t1"))
SMALL = {"embedding_dim": 3, "bottom": (8,), "tower": (4,), "critic_epochs": 1, "fine_tune_epochs": 1}


@pytest.fixture
def rows(make_rows):
    return make_rows([0, 1, 0, 1], [[1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])


@pytest.fixture
def batch(rows):
    return rows.batch(torch.arange(4))


@pytest.fixture
def logits():
    return torch.tensor([[0.5, -1.0], [-2.0, -3.0], [1.0, 0.0], [-0.5, -1.5]], requires_grad=True)


def losses_of(logits, batch, mask=None):
    per_sample = F.binary_cross_entropy_with_logits(logits, batch.labels, reduction="none")
    return TaskLosses(per_sample if mask is None else per_sample * mask, mask)


@pytest.mark.parametrize("lambda_q", [0.0, 0.7, 2.0])
def test_omega_is_one_minus_lambda_times_the_value_of_the_current_prediction(
    lambda_q, rows, batch, logits, make_critics
):
    critics = make_critics(rows.schema)
    weights = CriticWeights(TASKS, critics, lambda_q).combine(losses_of(logits, batch), logits, batch).weights
    expected = 1 - lambda_q * critics.eval()(batch, logits)
    torch.testing.assert_close(weights, expected.detach(), rtol=0, atol=0)
    assert (weights >= 1).all()
    assert (weights > 1).all() == (lambda_q > 0)


def test_the_loss_is_the_sum_over_tasks_of_the_weighted_mean(rows, batch, logits, make_critics):
    losses = losses_of(logits, batch)
    weighted = CriticWeights(TASKS, make_critics(rows.schema), 0.7).combine(losses, logits, batch)
    expected = sum((weighted.weights[:, k] * losses.per_sample[:, k]).sum() / 4 for k in range(2))
    torch.testing.assert_close(weighted.loss, expected)


def test_a_missing_label_is_left_out_of_the_mean(rows, batch, logits, make_critics):
    mask = torch.tensor([[True, False], [True, True], [False, False], [True, False]])
    losses = losses_of(logits, batch, mask)
    weighted = CriticWeights(TASKS, make_critics(rows.schema), 0.7).combine(losses, logits, batch)
    terms = weighted.weights * losses.per_sample
    torch.testing.assert_close(weighted.loss, terms[[0, 1, 3], 0].mean() + terms[1, 1])


def test_no_gradient_flows_through_omega(rows, batch, logits, make_critics):
    critics = make_critics(rows.schema)
    weighted = CriticWeights(TASKS, critics, 0.7).combine(losses_of(logits, batch), logits, batch)
    assert not weighted.weights.requires_grad
    weighted.loss.backward()
    expected = weighted.weights * (logits.detach().sigmoid() - batch.labels) / 4
    torch.testing.assert_close(logits.grad, expected)
    assert all(p.grad is None for p in critics.parameters())


def test_critics_are_frozen_and_stay_in_evaluation_mode(rows, batch, logits, make_critics):
    critics = make_critics(rows.schema, dropout=0.5)
    weighting = CriticWeights(TASKS, critics, 0.7)
    weighting.train()
    assert not critics.training
    assert not any(p.requires_grad for p in critics.parameters())
    assert not list(weighting.parameters())
    first, second = (weighting.combine(losses_of(logits, batch), logits, batch).weights for _ in range(2))
    assert torch.equal(first, second)


def test_critics_do_not_change_while_the_actor_is_fine_tuned(make_trainer):
    seen = []

    class Watched(RMTL):
        def fine_tune_weights(self, critics):
            weighting = super().fine_tune_weights(critics)
            seen.append((critics, {key: value.clone() for key, value in critics.state_dict().items()}))
            return weighting

    trainer = make_trainer(Watched(TASKS, **SMALL, fine_tune_learning_rate=0.02, pre_trained_counts=False))
    states = []

    def observer(record):
        if record.stage == "fine-tune":
            states.append([module.training for module in seen[0][0].modules()])

    trainer._observer = observer
    trainer.run()
    ((critics, before),) = seen
    assert states == [[False] * len(list(critics.modules()))]
    assert all(torch.equal(critics.state_dict()[key], value) for key, value in before.items())


def test_the_best_critics_are_those_that_weight(make_trainer):
    class Watched(RMTL):
        def fine_tune_weights(self, critics):
            self.weighting_critics = critics
            return super().fine_tune_weights(critics)

    weighting = Watched(TASKS, **{**SMALL, "critic_epochs": 6}, critic_learning_rate=0.05)
    trainer = make_trainer(weighting)
    after = {}

    def observer(record):
        if record.stage == "critics":
            after[record.epoch] = record.score

    trainer._observer = observer
    best = trainer.run().stages[1]
    assert best.best_score == after[best.best_epoch]
    assert best.best_score == max(after.values())


def test_constant_weights_are_one_and_give_the_sum(rows, batch, logits):
    losses = losses_of(logits, batch)
    loss, weights = ConstantWeights(TASKS).combine(losses, logits, batch)
    assert weights.tolist() == [1.0, 1.0]
    torch.testing.assert_close(loss, losses.per_sample.mean(0).sum())
