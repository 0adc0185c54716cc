"""The temporal-difference update, by hand on rows of which each is known."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench_rmtl.actions import TrainingActions
from rmtl_bench_rmtl.critic_stage import ActedRows, CriticStage, correlations
from rmtl_bench_rmtl.sessions import CUT, END, INSIDE, rewards

# Rows 0 and 1 are a session, row 2 one of its own, rows 3 and 4 the beginning of one that goes on elsewhere.
ENDS = [INSIDE, END, END, INSIDE, CUT]
LABELS = [[1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]
P = torch.tensor([[0.5, 0.2], [0.2, 0.1], [0.8, 0.4], [0.1, 0.3], [0.6, 0.3]])
# The probability given to what happened, hence the reward's exponential.
LIKELIHOOD = torch.tensor([[0.5, 0.8], [0.8, 0.9], [0.8, 0.4], [0.9, 0.7], [0.6, 0.7]])
OWN = TrainingActions(0.0, 0.0)
TASKS = ("t0", "t1")


class Known(torch.nn.Module):
    """Critics, one a twin, that know rows by their number, ignore actions, and remember what they were asked."""

    def __init__(self, *by_row):
        super().__init__()
        self.table = torch.nn.Parameter(torch.tensor(by_row))
        self.twins = len(by_row)
        self.asked = []

    def states(self, batch):
        return batch

    def all_values(self, states, logits):
        numbers = states.numerical[:, 0].long()
        self.asked.append((numbers.tolist(), logits.clone()))
        return self.table[:, numbers].unsqueeze(2).expand(-1, -1, logits.shape[1])

    def pessimistic(self, batch, logits):
        return self.all_values(batch, logits).amin(0)

    def forward(self, batch, logits):
        return self.all_values(batch, logits)[0]


def stage_of(context, critics, target=None, **parameters):
    """A stage; with ``target``, the values of its target network by row."""
    chosen = {"discount": 0.5, "soft_update": 0.2, "actions": OWN, **parameters}
    stage = CriticStage(critics, context, **chosen)
    if target is not None:
        with torch.no_grad():
            stage.target.table.copy_(torch.tensor(target))
    return stage


def masked(mask):
    return [[y * m for y, m in zip(*pair, strict=True)] for pair in zip(LABELS, mask, strict=True)]


def losses_by_row(stage, rows):
    """The loss of each row as a batch of its own: its squared TD error, or 0 where it is left out."""
    return torch.stack([stage.backward(rows.batch(torch.tensor([row]))).losses for row in range(len(rows))])


@pytest.fixture
def rows(make_rows):
    return make_rows(ENDS, LABELS)


# The TD error


def test_td_errors_by_hand(rows, make_context):
    q = [-1.0, -2.0, -3.0, -4.0, -5.0]
    stage = stage_of(make_context(rows, P.logit()), Known(q), [[-10.0, -20.0, -30.0, -40.0, -50.0]])
    # The target's value of the next row inside a session, also where that is the row of a cut, and none at an end.
    bootstrap = torch.tensor([0.5 * -20, 0.0, 0.0, 0.5 * -50])
    target = LIKELIHOOD[:4].log() + bootstrap.unsqueeze(1)
    expected = (target - torch.tensor(q[:4]).unsqueeze(1)).square()
    losses = losses_by_row(stage, rows)
    torch.testing.assert_close(losses[:4], expected)
    # The row of the cut is not known to be the last: it is left out, never taken for an end.
    assert losses[4].tolist() == [0, 0]
    stage.critics.table.grad = None
    stage.backward(rows.batch(torch.tensor([4])))
    assert not stage.critics.table.grad.any()


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.95, 1.0])
def test_targets_of_sessions_of_one_row_are_the_rewards_under_any_discount(discount, make_rows, make_context):
    rows = make_rows([END] * 5, LABELS)
    stage = stage_of(make_context(rows, P.logit()), Known([-1.0] * 5), [[-100.0] * 5], discount=discount)
    torch.testing.assert_close(losses_by_row(stage, rows), (LIKELIHOOD.log() + 1).square())


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.95, 1.0])
def test_before_a_cut_rows_bootstrap_and_at_a_cut_they_are_left_out(discount, make_rows, make_context):
    rows = make_rows([INSIDE, INSIDE, CUT, INSIDE, END], LABELS)
    target = [-10.0, -20.0, -30.0, -40.0, -50.0]
    stage = stage_of(make_context(rows, P.logit()), Known([-1.0] * 5), [target], discount=discount)
    losses = losses_by_row(stage, rows)
    bootstrap = discount * torch.tensor([[-20.0], [-30.0]])
    torch.testing.assert_close(losses[:2], (LIKELIHOOD[:2].log() + bootstrap + 1).square())
    assert losses[2].tolist() == [0, 0]


def test_td_errors_do_not_depend_on_the_order_of_the_batch(rows, make_context):
    def gradient(order):
        critics = Known([-1.0, -2.0, -3.0, -4.0, -5.0])
        stage = stage_of(make_context(rows, P.logit()), critics, [[-1.0, -5.0, -2.0, -4.0, -3.0]])
        report = stage.backward(rows.batch(torch.tensor(order)))
        return report.losses, critics.table.grad

    losses, by_row = gradient([0, 1, 3, 4])
    again, by_row_again = gradient([3, 0, 4, 1])
    torch.testing.assert_close(again, losses)
    torch.testing.assert_close(by_row_again, by_row)
    assert (by_row[0, [0, 1, 3]] != 0).all()


def test_the_critic_is_asked_about_the_action_taken_and_the_target_about_the_actors_next_one(rows, make_context):
    other = SimpleNamespace(draw=lambda actor, generator: actor + 1)
    stage = stage_of(make_context(rows, P.logit()), Known([0.0] * 5), actions=other)
    stage.backward(rows.batch(torch.tensor([0, 3])))
    ((states, actions),) = stage.critics.asked
    assert states == [0, 3]
    torch.testing.assert_close(actions, P[[0, 3]].logit() + 1)
    ((states, actions),) = stage.target.asked
    assert states == [1, 4]
    torch.testing.assert_close(actions, P[[1, 4]].logit())


def test_the_reward_is_that_of_the_action_taken(rows, make_context):
    other = SimpleNamespace(draw=lambda actor, generator: torch.full_like(actor, math.log(3)))
    stage = stage_of(make_context(rows, P.logit()), Known([0.0] * 5), [[0.0] * 5], actions=other)
    reward = torch.where(torch.tensor(LABELS) == 1, math.log(0.75), math.log(0.25))
    torch.testing.assert_close(losses_by_row(stage, rows)[:4], reward[:4].square())


def test_of_twins_both_learn_the_target_of_the_smaller(rows, make_context):
    critics = Known([-1.0] * 5, [-3.0] * 5)
    target = [[-10.0, -20.0, -30.0, -40.0, -50.0], [-11.0, -19.0, -31.0, -39.0, -51.0]]
    stage = stage_of(make_context(rows, P.logit()), critics, target)
    bootstrap = torch.tensor([0.5 * -20, 0.0, 0.0, 0.5 * -51])
    value = LIKELIHOOD[:4].log() + bootstrap.unsqueeze(1)
    torch.testing.assert_close(losses_by_row(stage, rows)[:4], (value + 1).square() + (value + 3).square())


def test_no_gradient_flows_through_the_bootstrapped_value(rows, make_context, make_critics):
    critics = make_critics(rows.schema)
    stage = stage_of(make_context(rows, P.logit()), critics)
    stage.backward(rows.batch(torch.tensor([0])))
    # Row 1 is the next state of row 0, and its embedding is used there alone.
    assert critics.networks[0].embedding.table.grad.any(1).tolist() == [True, False, False, False, False]
    assert all(p.grad is None for p in stage.target.parameters())


def test_nor_does_it_where_a_variant_bootstraps_from_the_critics_themselves(rows, make_context):
    class Bootstrapped(CriticStage):
        def next_values(self, target, following, logits):
            return self.critics.pessimistic(following, logits)

    critics = Known([-1.0, -2.0, -3.0, -4.0, -5.0])
    stage = Bootstrapped(critics, make_context(rows, P.logit()), discount=0.5, soft_update=0.2, actions=OWN)
    stage.backward(rows.batch(torch.tensor([0])))
    assert critics.table.grad[0].bool().tolist() == [True, False, False, False, False]


# What is left out of the loss


def test_a_missing_label_is_no_reward_and_trains_no_critic(make_rows):
    mask = [[True, False], [True, True], [False, True], [True, True], [True, True]]
    rows = make_rows(ENDS, masked(mask), mask)
    reward = rewards(P.logit(), rows.labels, rows.label_mask)
    torch.testing.assert_close(reward, LIKELIHOOD.log() * torch.tensor(mask))
    assert ActedRows(rows, P.logit(), TASKS).known.tolist() == [*mask[:4], [False, False]]


def test_the_loss_is_the_mean_over_what_is_known_and_the_rest_has_no_gradient(make_rows, make_context):
    mask = [[True, False], [True, False], [True, True], [False, True], [True, True]]
    rows = make_rows(ENDS, masked(mask), mask)
    critics = Known([-1.0, -2.0, -3.0, -4.0, -5.0])
    stage = stage_of(make_context(rows, P.logit()), critics, [[-10.0, -20.0, -30.0, -40.0, -50.0]])
    squared = losses_by_row(stage, rows)
    critics.table.grad = None
    report = stage.backward(rows.batch(torch.arange(5)))
    torch.testing.assert_close(report.losses, torch.stack((squared[[0, 1, 2], 0].mean(), squared[[2, 3], 1].mean())))
    assert not report.losses.requires_grad
    # The row of the cut is in no other row's future here but row 3's, and targets carry no gradient.
    assert critics.table.grad[0].bool().tolist() == [True, True, True, True, False]


def test_a_batch_without_any_label_of_a_task_has_loss_zero(make_rows, make_context, make_critics):
    rows = make_rows([END, CUT], [[1.0, 0.0], [1.0, 0.0]], [[True, False], [True, False]])
    critics = make_critics(rows.schema)
    stage = stage_of(make_context(rows, torch.zeros(2, 2)), critics)
    report = stage.backward(rows.batch(torch.arange(2)))
    assert report.losses[0] > 0
    assert report.losses[1] == 0
    assert all(p.grad.isfinite().all() for p in critics.parameters())
    assert not critics.networks[0].heads.weights[0].grad[1].any()
    values = stage.evaluate().values
    assert all(math.isfinite(value) for (_, quantity), value in values.items() if quantity != "return-correlation")


# Weights by class


def importance(make_rows, make_context, labels, mask=None, ends=None):
    """The stage with importance weights of one task on all of these rows, and its weights [B, 1]."""
    mask = None if mask is None else [[known] for known in mask]
    rows = make_rows(ends or [END] * len(labels), [[float(y)] for y in labels], mask)
    context = make_context(rows, torch.zeros(len(labels), 1))
    stage = stage_of(context, Known([-1.0] * len(labels)), importance=True)
    return stage, rows, stage.importance_weights(rows.batch(torch.arange(len(labels))))


@settings(deadline=None)
@given(labels=st.lists(st.booleans(), min_size=1, max_size=30))
def test_positives_and_negatives_weigh_the_same_up_to_one_row_of_each_class(make_rows, make_context, labels):
    _, _, weights = importance(make_rows, make_context, labels)
    y = torch.tensor(labels)
    assert weights.isfinite().all()
    assert (weights > 0).all()
    half = (len(labels) + 2) / 2
    for of_class in (y, ~y):
        if of_class.any():
            weight = weights[of_class, 0].unique()
            assert weight.item() * (of_class.sum().item() + 1) == pytest.approx(half, rel=1e-6)


def test_a_positive_of_many_rows_weighs_as_much_as_its_rarity_says_and_no_more(make_rows, make_context):
    _, _, weights = importance(make_rows, make_context, [True] * 10 + [False] * 90)
    positive, negative = weights[0].item(), weights[-1].item()
    assert positive == pytest.approx(102 / 22)
    # The sum of the two, as in the published code, would be 5.2.
    assert negative == pytest.approx(102 / 182)
    assert (10 * positive) / (90 * negative) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("label", [True, False])
def test_the_weights_of_a_batch_of_one_class_are_finite(label, make_rows, make_context):
    stage, rows, weights = importance(make_rows, make_context, [label] * 6)
    assert weights.isfinite().all()
    assert stage.backward(rows.batch(torch.arange(6))).losses.isfinite().all()


def test_missing_labels_do_not_count_as_negatives_in_the_weights(make_rows, make_context):
    labels, mask = [True] * 10 + [False] * 30, [True] * 20 + [False] * 20
    _, _, weights = importance(make_rows, make_context, labels, mask)
    # Ten known positives, ten known negatives: no class is the rarer one.
    assert weights[:10].sum().item() == pytest.approx(weights[10:20].sum().item(), rel=1e-6)


def test_the_loss_is_weighted_where_importance_is_asked_for(make_rows, make_context):
    labels = [True, False, False, False]
    stage, rows, weights = importance(make_rows, make_context, labels)
    batch = rows.batch(torch.arange(4))
    squared = (math.log(0.5) + 1) ** 2
    assert stage.backward(batch).losses.item() == pytest.approx(squared * weights.mean().item(), rel=1e-5)
    plain = stage_of(make_context(rows, torch.zeros(4, 1)), Known([-1.0] * 4))
    assert plain.backward(batch).losses.item() == pytest.approx(squared, rel=1e-5)


# The target


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


# The training actions


def test_actions_are_drawn_anew_in_every_step_from_the_runs_own_seed(rows, make_context):
    def drawn(seed):
        stage = stage_of(make_context(rows, P.logit(), seed), Known([0.0] * 5), actions=TrainingActions(0.3, 0.0))
        for _ in range(2):
            stage.backward(rows.batch(torch.arange(5)))
        return [actions for _, actions in stage.critics.asked], [actions for _, actions in stage.target.asked]

    (first, second), following = drawn(1)
    assert all(torch.equal(*pair) for pair in zip((first, second), drawn(1)[0], strict=True))
    assert not torch.equal(first, drawn(2)[0][0])
    for actions in (first, second):
        assert (actions != P.logit()).all()
        assert (actions - P.logit()).abs().max() < 2
    assert not torch.equal(first, second)
    # The next state's action is the actor's own.
    assert all(torch.equal(actions, P[[1, 1, 2, 4, 4]].logit()) for actions in following)


def test_the_actions_of_validation_are_one_draw_of_the_runs_own_seed(rows, make_context):
    def errors(seed):
        stage = stage_of(make_context(rows, P.logit(), seed), Known([0.0] * 5), actions=TrainingActions(3.0, 0.1))
        first = stage.evaluate()
        stage.backward(rows.batch(torch.arange(5)))
        assert stage.evaluate().values == pytest.approx(dict(first.values), nan_ok=True)
        return first.values["t0", "return-error"]

    assert errors(1) == errors(1)
    assert errors(1) != errors(2)


# Validation


def by_task(evaluation, quantity):
    return [evaluation.values[task, quantity] for task in TASKS]


def test_values_are_judged_by_the_exact_return_of_the_action_taken(rows, make_context):
    other = SimpleNamespace(draw=lambda actor, generator: torch.full_like(actor, math.log(3)))
    critics = Known([-1.0, -2.0, -3.0, -4.0, -5.0])
    evaluation = stage_of(make_context(rows, P.logit()), critics, actions=other).evaluate()
    reward = torch.where(torch.tensor(LABELS) == 1, math.log(0.75), math.log(0.25))
    # The action taken is another one in the row itself; from the next row on the actor acts.
    returns = torch.stack((reward[0] + 0.5 * LIKELIHOOD[1].log(), reward[1], reward[2]))
    errors = (returns - torch.tensor([[-1.0], [-2.0], [-3.0]])).square().mean(0)
    assert by_task(evaluation, "return-error") == pytest.approx(errors.tolist(), rel=1e-5)
    assert evaluation.score == pytest.approx(-errors.mean().item(), rel=1e-5)
    bootstrap = 0.5 * torch.tensor([[-2.0], [0.0], [0.0], [-5.0]])
    td = (reward[:4] + bootstrap - torch.tensor([[-1.0], [-2.0], [-3.0], [-4.0]])).square().mean(0)
    assert by_task(evaluation, "td-error") == pytest.approx(td.tolist(), rel=1e-5)


def test_the_correlation_is_that_with_the_actors_own_returns(rows, make_context):
    other = SimpleNamespace(draw=lambda actor, generator: actor + torch.linspace(-4, 4, 10).view(5, 2))
    values = [-1.0, -2.5, -3.0, -4.0, -5.0]
    evaluation = stage_of(make_context(rows, P.logit()), Known(values), actions=other).evaluate()
    log = LIKELIHOOD.log()
    returns = torch.stack((log[0] + 0.5 * log[1], log[1], log[2])).double().numpy()
    expected = [np.corrcoef(values[:3], returns[:, task])[0, 1] for task in range(2)]
    assert by_task(evaluation, "return-correlation") == pytest.approx(expected, rel=1e-5)


def test_the_td_error_of_twins_is_their_mean(rows, make_context):
    def td_error(*tables):
        return by_task(stage_of(make_context(rows, P.logit()), Known(*tables), discount=0.0).evaluate(), "td-error")

    one, other, both = td_error([-1.0] * 5), td_error([-3.0] * 5), td_error([-1.0] * 5, [-3.0] * 5)
    assert both == pytest.approx([(a + b) / 2 for a, b in zip(one, other, strict=True)], rel=1e-5)


def test_a_correlation_is_of_the_chosen_rows_and_undefined_without_spread():
    values = torch.tensor([[1.0, 1.0, 1.0], [2.0, 1.0, 5.0], [4.0, 1.0, 3.0], [9.0, 1.0, 7.0]])
    others = torch.tensor([[2.0, 1.0, 4.0], [3.0, 2.0, 4.0], [1.0, 3.0, 2.0], [7.0, 4.0, 1.0]])
    chosen = torch.tensor([[True, True, True], [True, True, False], [True, True, False], [False, True, False]])
    first, constant, single = correlations(values, others, chosen)
    assert first == pytest.approx(np.corrcoef([1, 2, 4], [2, 3, 1])[0, 1])
    assert math.isnan(constant)
    assert math.isnan(single)


def test_where_every_session_is_cut_the_td_error_is_the_score(make_rows, make_context, make_critics):
    rows = make_rows([INSIDE, CUT, INSIDE, INSIDE, CUT], LABELS)
    evaluation = stage_of(make_context(rows, P.logit()), make_critics(rows.schema)).evaluate()
    td_errors = by_task(evaluation, "td-error")
    assert min(td_errors) > 0
    assert evaluation.score == pytest.approx(-sum(td_errors) / 2)


def test_the_return_error_is_taken_where_the_whole_rest_of_the_session_is_known(make_rows, make_context):
    # Of task t1, row 1 has no label: what follows row 0 is not known. Rows 3 and 4 are cut.
    mask = [[True, True], [True, False], [True, True], [True, True], [True, True]]
    rows = make_rows(ENDS, masked(mask), mask)
    stage = stage_of(make_context(rows, P.logit()), Known([0.0] * 5))
    values = stage.evaluate().values
    log = LIKELIHOOD.log()
    first = torch.stack((log[0, 0] + 0.5 * log[1, 0], log[1, 0], log[2, 0])).square().mean()
    assert values["t0", "return-error"] == pytest.approx(first.item(), rel=1e-5)
    assert values["t1", "return-error"] == pytest.approx(log[2, 1].square().item(), rel=1e-5)


# Training


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
        critics.networks[0].heads.biases[-1].fill_(4.0)  # values near -4, where none belongs
    stage = stage_of(make_context(rows, P.logit()), critics)
    before = stage.evaluate()
    after = fit(stage, rows, 100, learning_rate=0.05)
    for task in TASKS:
        assert after.values[task, "td-error"] < before.values[task, "td-error"] / 10
    assert after.score == pytest.approx(-sum(by_task(after, "return-error")) / 2)


def test_where_the_state_tells_rows_apart_the_values_become_the_exact_returns(rows, make_context, make_critics):
    stage = stage_of(make_context(rows, P.logit()), make_critics(rows.schema, dropout=0.0, bottom=(16,), tower=(16,)))
    evaluation = fit(stage, rows, 600)
    log = LIKELIHOOD[:3].log()
    exact = torch.stack((log[0] + 0.5 * log[1], log[1], log[2]))
    values = stage.critics(rows.batch(torch.arange(3)), P[:3].logit())
    torch.testing.assert_close(values, exact, rtol=0, atol=0.05)
    assert max(by_task(evaluation, "return-error")) < 1e-3
    assert min(by_task(evaluation, "return-correlation")) > 0.99
