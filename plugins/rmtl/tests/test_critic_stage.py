"""The temporal-difference update, by hand on rows of which each is known."""

from __future__ import annotations

import math

import pytest
import torch

from rmtl_bench_rmtl.critic_stage import ActedRows, CriticStage
from rmtl_bench_rmtl.sessions import CUT, END, INSIDE

# Rows 0 and 1 are a session, row 2 one of its own, rows 3 and 4 the beginning of one that goes on elsewhere.
ENDS = [INSIDE, END, END, INSIDE, CUT]
LABELS = [[1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]
P = torch.tensor([[0.5, 0.2], [0.2, 0.1], [0.8, 0.4], [0.1, 0.3], [0.6, 0.3]])
# The probability given to what happened, hence the reward's exponential.
LIKELIHOOD = torch.tensor([[0.5, 0.8], [0.8, 0.9], [0.8, 0.4], [0.9, 0.7], [0.6, 0.7]])


def values_of(*by_row):
    """A critic that knows rows by their number and ignores actions."""
    table = torch.tensor(by_row)
    return lambda batch, logits: table[batch.numerical[:, 0].long()].unsqueeze(1).expand(-1, logits.shape[1])


def stage_of(context, critics, **parameters):
    chosen = {"discount": 0.5, "soft_update": 0.2, "action_noise": 0.0, **parameters}
    return CriticStage(critics, context, **chosen)


@pytest.fixture
def rows(make_rows):
    return make_rows(ENDS, LABELS)


def test_td_errors_by_hand(rows):
    acted = ActedRows(rows, P.logit(), P.logit(), 0.5)
    q, q_target = [-1.0, -2.0, -3.0, -4.0, -5.0], [-10.0, -20.0, -30.0, -40.0, -50.0]
    squared, known = acted.squared_td_errors(rows.batch(torch.arange(5)), values_of(*q), values_of(*q_target))
    # The target's value of the next row inside a session, none at its end.
    bootstrap = torch.tensor([0.5 * -20, 0.0, 0.0, 0.5 * -50])
    target = LIKELIHOOD[:4].log() + bootstrap.unsqueeze(1)
    torch.testing.assert_close(squared[:4], (target - torch.tensor(q[:4]).unsqueeze(1)).square())
    assert known[:, 0].tolist() == [True, True, True, True, False]
    assert torch.equal(known[:, 0], known[:, 1])


def test_td_errors_do_not_depend_on_the_order_of_the_batch(rows):
    acted = ActedRows(rows, P.logit(), P.logit(), 0.5)
    critics = values_of(-1.0, -2.0, -3.0, -4.0, -5.0), values_of(-1.0, -5.0, -2.0, -4.0, -3.0)
    whole, _ = acted.squared_td_errors(rows.batch(torch.arange(5)), *critics)
    order = torch.tensor([3, 0, 4, 1])
    part, _ = acted.squared_td_errors(rows.batch(order), *critics)
    assert torch.equal(part, whole[order])


def test_the_critic_is_asked_about_the_action_taken_and_the_target_about_the_actors_next_one(rows):
    acted = ActedRows(rows, P.logit(), P.logit() + 1, 0.5)
    asked = {}

    def remember(name):
        def critic(batch, logits):
            asked[name] = batch.numerical[:, 0].tolist(), logits
            return torch.zeros_like(logits)

        return critic

    acted.squared_td_errors(rows.batch(torch.tensor([0, 3])), remember("critic"), remember("target"))
    states, actions = asked["critic"]
    assert states == [0.0, 3.0]
    torch.testing.assert_close(actions, P[[0, 3]].logit() + 1)
    states, actions = asked["target"]
    assert states == [1.0, 4.0]
    torch.testing.assert_close(actions, P[[1, 4]].logit())


def test_a_missing_label_is_no_reward_and_trains_no_critic(make_rows):
    mask = [[True, False], [True, True], [False, True], [True, True], [True, True]]
    labels = [[y * m for y, m in zip(*pair, strict=True)] for pair in zip(LABELS, mask, strict=True)]
    rows = make_rows(ENDS, labels, mask)
    acted = ActedRows(rows, P.logit(), P.logit(), 0.5)
    assert acted.reward[0, 1] == 0
    assert acted.reward[2, 0] == 0
    assert acted.known.tolist() == [*mask[:4], [False, False]]


def test_the_loss_is_the_mean_over_what_is_known_and_the_rest_has_no_gradient(make_rows, make_context, make_critics):
    mask = [[True, False], [True, False], [True, True], [False, True], [True, True]]
    rows = make_rows(ENDS, [[y * m for y, m in zip(*p, strict=True)] for p in zip(LABELS, mask, strict=True)], mask)
    critics = make_critics(rows.schema).eval()
    stage = stage_of(make_context(rows, P.logit()), critics)
    batch = rows.batch(torch.arange(5))
    squared, _ = stage.train.squared_td_errors(batch, critics, stage.target)
    report = stage.backward(batch)
    expected = torch.stack((squared[[0, 1, 2], 0].mean(), squared[[2, 3], 1].mean()))
    torch.testing.assert_close(report.losses, expected.detach())
    assert not report.losses.requires_grad
    # The row of the cut is in no other row's future here but row 3's, and targets carry no gradient.
    assert critics.embedding.table.grad.abs().sum(1).bool().tolist() == [True, True, True, True, False]


def test_a_batch_without_any_label_of_a_task_has_loss_zero(make_rows, make_context, make_critics):
    rows = make_rows([END, CUT], [[1.0, 0.0], [1.0, 0.0]], [[True, False], [True, False]])
    critics = make_critics(rows.schema)
    stage = stage_of(make_context(rows, torch.zeros(2, 2)), critics)
    report = stage.backward(rows.batch(torch.arange(2)))
    assert report.losses[0] > 0
    assert report.losses[1] == 0
    assert all(p.grad.isfinite().all() for p in critics.parameters())
    assert not critics.heads.weights[0].grad[1].any()
    assert all(math.isfinite(value) for value in stage.evaluate().values.values())


def test_the_target_moves_by_the_share_of_the_new_critic(rows, make_context, make_critics):
    critics = make_critics(rows.schema)
    stage = stage_of(make_context(rows, P.logit()), critics, soft_update=0.2)
    before = [p.clone() for p in stage.target.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, critics.parameters(), strict=True))
    with torch.no_grad():
        for parameter in critics.parameters():
            parameter.add_(1.0)
    stage.after_step()
    for old, new, moved in zip(before, critics.parameters(), stage.target.parameters(), strict=True):
        torch.testing.assert_close(moved, 0.2 * new + 0.8 * old)
        torch.testing.assert_close(moved, old + 0.2)


def test_the_target_is_frozen_and_drops_nothing_out_while_critics_train(rows, make_context, make_critics):
    critics = make_critics(rows.schema, dropout=0.5)
    stage = stage_of(make_context(rows, P.logit()), critics)
    stage.module.train()
    stage.backward(rows.batch(torch.arange(5)))
    assert critics.training
    assert not any(module.training for module in stage.target.modules())
    assert all(p.grad is None and not p.requires_grad for p in stage.target.parameters())
    trained = {id(p) for group in stage.parameter_groups() for p in group["params"]}
    assert trained == {id(p) for p in critics.parameters()}


def test_no_gradient_flows_through_the_bootstrapped_value(rows, make_critics):
    critics = make_critics(rows.schema).eval()
    acted = ActedRows(rows, P.logit(), P.logit(), 0.5)
    squared, _ = acted.squared_td_errors(rows.batch(torch.tensor([0])), critics, critics)
    squared.sum().backward()
    # Row 1 is the next state of row 0, and its embedding is used there alone.
    assert critics.embedding.table.grad.any(1).tolist() == [True, False, False, False, False]


def test_noise_is_on_the_trained_actions_alone_and_is_that_of_the_seed(rows, make_context, make_critics):
    def stage(seed):
        context = make_context(rows, P.logit(), seed)
        return stage_of(context, make_critics(rows.schema), action_noise=0.3)

    one, again, other = stage(1), stage(1), stage(2)
    assert torch.equal(one.train.acted, again.train.acted)
    assert not torch.equal(one.train.acted, other.train.acted)
    assert (one.train.acted != P.logit()).all()
    torch.testing.assert_close(one.train.actor, P.logit())
    torch.testing.assert_close(one.valid.acted, P.logit())
    assert (one.train.acted - P.logit()).abs().max() < 2


def fit(stage, rows, steps, learning_rate=0.02):
    optimizer = torch.optim.Adam(stage.module.parameters(), learning_rate)
    for _ in range(steps):
        optimizer.zero_grad()
        stage.backward(rows.batch(torch.arange(len(rows))))
        optimizer.step()
        stage.after_step()
    return stage.evaluate()


def test_training_lowers_the_td_error(rows, make_context, make_critics):
    critics = make_critics(rows.schema, dropout=0.0)
    with torch.no_grad():
        critics.heads.biases[-1].fill_(4.0)  # values near -4, where none belongs
    stage = stage_of(make_context(rows, P.logit()), critics)
    before = stage.evaluate()
    after = fit(stage, rows, 100, learning_rate=0.05)
    for task in ("t0", "t1"):
        assert after.values[task, "td-error"] < before.values[task, "td-error"] / 10
    assert after.score == pytest.approx(-sum(after.values[t, "return-error"] for t in ("t0", "t1")) / 2)


def test_where_every_session_is_cut_the_td_error_is_the_score(make_rows, make_context, make_critics):
    rows = make_rows([INSIDE, CUT, INSIDE, INSIDE, CUT], LABELS)
    evaluation = stage_of(make_context(rows, P.logit()), make_critics(rows.schema)).evaluate()
    td_errors = [evaluation.values[task, "td-error"] for task in ("t0", "t1")]
    assert min(td_errors) > 0
    assert evaluation.score == pytest.approx(-sum(td_errors) / 2)


def test_where_the_state_tells_rows_apart_the_values_become_the_exact_returns(rows, make_context, make_critics):
    stage = stage_of(make_context(rows, P.logit()), make_critics(rows.schema, dropout=0.0, bottom=(16,), tower=(16,)))
    evaluation = fit(stage, rows, 600)
    log = LIKELIHOOD[:3].log()
    exact = torch.stack((log[0] + 0.5 * log[1], log[1], log[2]))
    values = stage.critics(rows.batch(torch.arange(3)), P[:3].logit())
    torch.testing.assert_close(values, exact, rtol=0, atol=0.05)
    assert max(evaluation.values[task, "return-error"] for task in ("t0", "t1")) < 1e-3


def test_the_return_error_is_taken_where_the_whole_rest_of_the_session_is_known(make_rows, make_context):
    # Of task t1, row 1 has no label: what follows row 0 is not known. Rows 3 and 4 are cut.
    mask = [[True, True], [True, False], [True, True], [True, True], [True, True]]
    rows = make_rows(ENDS, [[y * m for y, m in zip(*p, strict=True)] for p in zip(LABELS, mask, strict=True)], mask)

    class Zero(torch.nn.Linear):
        def forward(self, batch, logits):
            return torch.zeros_like(logits)

    stage = stage_of(make_context(rows, P.logit()), Zero(1, 1))
    values = stage.evaluate().values
    log = LIKELIHOOD.log()
    first = torch.stack((log[0, 0] + 0.5 * log[1, 0], log[1, 0], log[2, 0])).square().mean()
    assert values["t0", "return-error"] == pytest.approx(first.item(), rel=1e-5)
    assert values["t1", "return-error"] == pytest.approx(log[2, 1].square().item(), rel=1e-5)
