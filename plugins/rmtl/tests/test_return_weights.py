"""rmtl-mc: omega = 1 - lambda R of the logged session, against sums written out row by row."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench.contracts import Task
from rmtl_bench_rmtl.rmtl import RMTL
from rmtl_bench_rmtl.weights import ReturnWeights

INSIDE, END, CUT = 0, 1, 2


def reward(logit, label):
    logit = max(-15.0, min(15.0, logit))
    # log sigmoid(l) = -log(1 + exp(-l)), in double precision.
    return -math.log1p(math.exp(-logit)) if label else -math.log1p(math.exp(logit))


def by_hand(rows, current, policy, lambda_q, discount):
    """The weights of all rows in double precision, one loop for each: the current action, then the policy's."""
    ends, labels = rows.session_end.tolist(), rows.labels.tolist()
    known = None if rows.label_mask is None else rows.label_mask.tolist()
    weights = []
    for row in range(len(ends)):
        of_row = []
        for task in range(len(labels[0])):
            total, factor, at, actions = 0.0, 1.0, row, current
            while True:
                if known is None or known[at][task]:
                    total += factor * reward(actions[at][task], labels[at][task])
                if ends[at] != INSIDE:
                    break
                at, factor, actions = at + 1, factor * discount, policy
            of_row.append(1 - lambda_q * total)
        weights.append(of_row)
    return torch.tensor(weights, dtype=torch.float64)


def random_sessions(make_rows, *, seed, tasks, rows, mean_length, missing):
    generator = torch.Generator().manual_seed(seed)
    ends = (torch.rand(rows, generator=generator) < 1 / mean_length).long()
    ends = torch.where(torch.rand(rows, generator=generator) < 0.3, ends * CUT, ends)
    ends[-1] = END
    mask = torch.rand(rows, tasks, generator=generator) < 0.7
    labels = (torch.rand(rows, tasks, generator=generator) < 0.3).float()
    made = make_rows(ends.tolist(), (labels * mask if missing else labels).tolist(), mask.tolist() if missing else None)
    current, policy = (5 * torch.randn(rows, tasks, generator=generator) for _ in range(2))
    return made, current, policy


def weights_of(rows, current, policy, lambda_q, discount):
    tasks = tuple(Task(f"t{k}") for k in range(current.shape[1]))
    return ReturnWeights(tasks, rows, policy, lambda_q, discount), rows.batch(torch.arange(len(rows)))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    tasks=st.integers(1, 5),
    count=st.integers(1, 60),
    mean_length=st.sampled_from([1, 3, 20, 1000]),
    missing=st.booleans(),
    lambda_q=st.sampled_from([0.1, 0.7, 2.0]),
    discount=st.sampled_from([0.0, 0.5, 0.95, 1.0]),
)
def test_weights_are_those_summed_by_hand(make_rows, seed, tasks, count, mean_length, missing, lambda_q, discount):
    rows, current, policy = random_sessions(
        make_rows, seed=seed, tasks=tasks, rows=count, mean_length=mean_length, missing=missing
    )
    rule, batch = weights_of(rows, current, policy, lambda_q, discount)
    expected = by_hand(rows, current.tolist(), policy.tolist(), lambda_q, discount)
    # Sums reach hundreds in single precision: the bound is relative there.
    torch.testing.assert_close(rule.weights(current, batch).double(), expected, rtol=1e-5, atol=1e-4)


def test_a_batch_in_any_order_has_the_weights_of_its_rows(make_rows):
    rows, current, policy = random_sessions(make_rows, seed=1, tasks=2, rows=40, mean_length=4, missing=True)
    rule, batch = weights_of(rows, current, policy, 0.7, 0.95)
    some = torch.tensor([31, 4, 4, 17, 0])
    expected = rule.weights(current, batch)[some]
    assert torch.equal(rule.weights(current[some], rows.batch(some)), expected)


def test_a_cut_session_ends_at_the_cut(make_rows):
    labels = [[1.0], [1.0], [1.0]]
    policy = torch.zeros(3, 1)
    cut, whole = (weights_of(make_rows([0, end, 1], labels), policy, policy, 1.0, 1.0) for end in (CUT, INSIDE))
    step = math.log(2)
    torch.testing.assert_close(cut[0].weights(policy, cut[1])[:, 0], 1 + step * torch.tensor([2.0, 1.0, 1.0]))
    torch.testing.assert_close(whole[0].weights(policy, whole[1])[:, 0], 1 + step * torch.tensor([3.0, 2.0, 1.0]))


def test_without_discount_the_weight_is_that_of_the_row_alone(make_rows):
    rows, current, policy = random_sessions(make_rows, seed=2, tasks=2, rows=30, mean_length=5, missing=False)
    rule, batch = weights_of(rows, current, policy, 0.7, 0.0)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(current.clamp(-15, 15), rows.labels, reduction="none")
    torch.testing.assert_close(rule.weights(current, batch), 1 + 0.7 * loss)


class Watched(RMTL):
    def sample_weights(self, context, rows):
        self.policy = context.predict(rows)
        self.rule = super().sample_weights(context, rows)
        return self.rule


@pytest.mark.parametrize("missing", [False, True])
def test_the_policy_stays_the_pre_trained_actor_while_the_backbone_changes(missing, make_trainer):
    method = Watched(
        (Task("t0"), Task("t1")),
        weights="return",
        fine_tune_learning_rate=0.05,
        fine_tune_epochs=3,
        pre_trained_counts=False,
    )
    trainer = make_trainer(method, missing=missing)
    history = trainer.run()
    assert [stage.name for stage in history.stages] == ["pre-train", "fine-tune"]
    rows = trainer.train
    batch, current, policy = rows.batch(torch.arange(len(rows))), trainer.predict(rows), method.policy
    assert (current - policy).abs().mean() > 0.1
    expected = by_hand(rows, current.tolist(), policy.tolist(), 0.7, 0.95)
    torch.testing.assert_close(method.rule.weights(current, batch).double(), expected, rtol=0, atol=1e-4)
    # What the change of the backbone changed is the first reward, and nothing else.
    changed = method.rule.weights(current, batch) - method.rule.weights(policy, batch)
    losses = [
        torch.nn.functional.binary_cross_entropy_with_logits(a, batch.labels, reduction="none")
        for a in (current, policy)
    ]
    difference = losses[0] - losses[1]
    if missing:
        difference = difference * batch.label_mask
    torch.testing.assert_close(changed, 0.7 * difference, rtol=0, atol=1e-5)


def test_fine_tuning_weighs_by_returns(make_trainer):
    method = Watched((Task("t0"), Task("t1")), weights="return", fine_tune_learning_rate=0.0, fine_tune_epochs=1)
    trainer = make_trainer(method)
    history = trainer.run()
    rows = trainer.train
    # A backbone that does not move, but drops units: the weights used are near those without dropout.
    expected = method.rule.weights(method.policy, rows.batch(torch.arange(len(rows)))).mean(0).tolist()
    weights = history.weights
    means = [m for m, stage in zip(weights["mean"], weights["stage"], strict=True) if stage == "fine-tune"]
    assert means == pytest.approx(expected, rel=0.03)
    assert min(means) > 1.5
