"""omega, a constant to the gradient: from critics that learn no more, or from none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from rmtl_bench.contracts import Task, TaskLosses
from rmtl_bench_rmtl.rmtl import RMTL
from rmtl_bench_rmtl.weights import (
    OF_CRITICS,
    ConstantWeights,
    CriticWeights,
    LabelWeights,
    NegativeValueWeights,
    ShuffledWeights,
)

TASKS = (Task("t0"), Task("t1"))
SMALL = {"embedding_dim": 3, "bottom": (8,), "tower": (4,), "critic_epochs": 1, "fine_tune_epochs": 1}
FORMS = sorted(OF_CRITICS)


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


def seeded(weighting, seed=0):
    weighting.generator.manual_seed(seed)
    return weighting


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


def test_other_predictions_have_other_weights(rows, batch, logits, make_critics):
    weighting = CriticWeights(TASKS, make_critics(rows.schema), 0.7)
    moved = logits.detach() + torch.tensor([3.0, 0.0])
    before, after = (weighting.combine(losses_of(a, batch), a, batch).weights for a in (logits, moved))
    assert (before[:, 0] != after[:, 0]).all()
    # A critic is asked for its own task's action alone.
    assert torch.equal(before[:, 1], after[:, 1])


def test_negatives_keep_a_weight_of_exactly_one_where_labels_choose(rows, batch, logits, make_critics):
    critics = make_critics(rows.schema)
    weights = LabelWeights(TASKS, critics, 0.7).weights(logits.detach(), batch)
    plain = CriticWeights(TASKS, critics, 0.7).weights(logits.detach(), batch)
    negative = batch.labels == 0
    assert (weights[negative] == 1).all()
    assert torch.equal(weights[~negative], plain[~negative])
    assert (weights[~negative] > 1).all()


@pytest.mark.parametrize("lambda_q", [0.0, 0.7, 5.0])
def test_lambda_plays_no_part_where_the_weight_is_the_negative_value(lambda_q, rows, batch, logits, make_critics):
    critics = make_critics(rows.schema)
    weights = NegativeValueWeights(TASKS, critics, lambda_q).weights(logits.detach(), batch)
    assert torch.equal(weights, -critics.eval()(batch, logits).detach())
    assert (weights > 0).all()


def test_shuffled_weights_are_the_critics_rows_in_another_order_all_tasks_alike(make_rows, make_critics):
    torch.manual_seed(0)
    rows = make_rows([1] * 50, torch.bernoulli(torch.full((50, 3), 0.4)).tolist())
    tasks, batch, logits = tuple(Task(f"t{k}") for k in range(3)), rows.batch(torch.arange(50)), torch.randn(50, 3)
    critics = make_critics(rows.schema)
    plain = CriticWeights(tasks, critics, 0.7).weights(logits, batch)
    shuffled = seeded(ShuffledWeights(tasks, critics, 0.7)).weights(logits, batch)
    assert len({tuple(row) for row in plain.tolist()}) == 50
    assert sorted(shuffled.tolist()) == sorted(plain.tolist())
    assert (shuffled != plain).any(1).sum() > 40


def test_the_order_of_shuffled_weights_is_the_runs_and_another_in_every_batch(make_rows, make_critics):
    rows = make_rows([1] * 30, [[0.0, 1.0]] * 30)
    batch, logits = rows.batch(torch.arange(30)), torch.randn(30, 2)
    critics = make_critics(rows.schema)

    def drawn(seed):
        weighting = seeded(ShuffledWeights(TASKS, critics, 0.7), seed)
        return [weighting.weights(logits, batch) for _ in range(2)]

    first, second = drawn(1)
    assert not torch.equal(first, second)
    assert all(torch.equal(a, b) for a, b in zip((first, second), drawn(1), strict=True))
    assert not torch.equal(first, drawn(2)[0])


def test_shuffled_weights_draw_from_their_own_stream_alone(rows, batch, logits, make_critics):
    weighting = seeded(ShuffledWeights(TASKS, make_critics(rows.schema), 0.7))
    before = torch.random.get_rng_state()
    weighting.combine(losses_of(logits, batch), logits, batch)
    # The actor's dropout reads this state: a draw from it would part a method from its control.
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("form", FORMS)
def test_the_loss_is_the_sum_over_tasks_of_the_weighted_mean(form, rows, batch, logits, make_critics):
    losses = losses_of(logits, batch)
    weighted = OF_CRITICS[form](TASKS, make_critics(rows.schema), 0.7).combine(losses, logits, batch)
    expected = sum((weighted.weights[:, k] * losses.per_sample[:, k]).sum() / 4 for k in range(2))
    torch.testing.assert_close(weighted.loss, expected)


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_label_is_left_out_of_the_mean(form, rows, batch, logits, make_critics):
    mask = torch.tensor([[True, False], [True, True], [False, False], [True, False]])
    losses = losses_of(logits, batch, mask)
    batch = replace(batch, label_mask=mask, labels=batch.labels * mask)
    weighted = OF_CRITICS[form](TASKS, make_critics(rows.schema), 0.7).combine(losses, logits, batch)
    terms = weighted.weights * losses.per_sample
    torch.testing.assert_close(weighted.loss, terms[[0, 1, 3], 0].mean() + terms[1, 1])


@pytest.mark.parametrize("form", FORMS)
def test_no_gradient_flows_through_omega(form, rows, batch, logits, make_critics):
    critics = make_critics(rows.schema)
    weighted = OF_CRITICS[form](TASKS, critics, 0.7).combine(losses_of(logits, batch), logits, batch)
    assert not weighted.weights.requires_grad
    weighted.loss.backward()
    expected = weighted.weights * (logits.detach().sigmoid() - batch.labels) / 4
    torch.testing.assert_close(logits.grad, expected)
    assert all(p.grad is None for p in critics.parameters())


@pytest.mark.parametrize("form", FORMS)
def test_critics_are_frozen_and_stay_in_evaluation_mode(form, rows, batch, logits, make_critics):
    critics = make_critics(rows.schema, dropout=0.5)
    weighting = OF_CRITICS[form](TASKS, critics, 0.7)
    weighting.train()
    assert not any(module.training for module in critics.modules())
    assert not any(p.requires_grad for p in critics.parameters())
    assert not list(weighting.parameters())
    first, second = (seeded(weighting).combine(losses_of(logits, batch), logits, batch).weights for _ in range(2))
    assert torch.equal(first, second)


class Watched(RMTL):
    """Keeps what its weights are made of as it was when fine-tuning began."""

    def sample_weights(self, context, rows):
        rule = super().sample_weights(context, rows)
        self.started = {key: value.clone() for key, value in self._critics[0].state_dict().items()}
        return rule


def test_critics_do_not_change_while_the_actor_is_fine_tuned(make_trainer):
    method = Watched(TASKS, **SMALL, fine_tune_learning_rate=0.02, pre_trained_counts=False)
    trainer = make_trainer(method)
    states = []

    def observer(record):
        if record.stage == "fine-tune":
            states.append({module.training for module in method._critics[0].modules()})

    trainer._observer = observer
    trainer.run()
    assert states == [{False}]
    after = method._critics[0].state_dict()
    assert all(torch.equal(after[key], value) for key, value in method.started.items())


def test_the_best_critics_are_those_that_weight(make_trainer):
    class Seen(RMTL):
        def new_critic_stage(self, context):
            self.stage = super().new_critic_stage(context)
            return self.stage

        def sample_weights(self, context, rows):
            # What fine-tuning starts from, judged as the critics' stage judged its epochs.
            self.score = self.stage.evaluate().score
            return super().sample_weights(context, rows)

    # Steps this wide make some epoch worse than the one before it.
    method = Seen(
        TASKS, **{**SMALL, "critic_epochs": 10}, critic_learning_rate=0.2, critic_tolerance=0.0, critic_patience=10
    )
    trainer = make_trainer(method)
    scores = {}

    def observer(record):
        if record.stage == "critics":
            scores[record.epoch] = record.score

    trainer._observer = observer
    best = trainer.run().stages[1]
    assert best.best_score == scores[best.best_epoch] == max(scores.values())
    assert best.best_epoch < best.epochs
    assert method.score == pytest.approx(best.best_score)


def test_constant_weights_are_one_and_give_the_sum(rows, batch, logits):
    losses = losses_of(logits, batch)
    loss, weights = ConstantWeights(TASKS).combine(losses, logits, batch)
    assert weights.tolist() == [1.0, 1.0]
    torch.testing.assert_close(loss, losses.per_sample.mean(0).sum())
