"""The published code's choices: each switch does what its name says, and none of them anything when off."""

from __future__ import annotations

import math

import pytest
import torch

from rmtl_bench.contracts import CategoricalField, Schema, Task
from rmtl_bench_rmtl.official import OfficialRMTL
from rmtl_bench_rmtl.plugin import rmtl_weightings
from rmtl_bench_rmtl.rmtl import RMTL

TASKS = (Task("t0"), Task("t1"))
SIZES = {"embedding_dim": 3, "bottom": (8,), "tower": (4,)}
SHORT = {
    **SIZES,
    "critic_epochs": 2,
    "fine_tune_epochs": 2,
    "fine_tune_learning_rate": 0.02,
    "pre_trained_counts": False,
}
SWITCHES = [
    "shifted_reward",
    "standardised_ids",
    "action_below_bottom",
    "target_minimum",
    "dropout_everywhere",
    "dead_zone",
    "identical_start",
    "cut_is_end",
]
OFF = {**dict.fromkeys(SWITCHES, False), "target_every": 1}
INFO = next(info for info in rmtl_weightings() if info.name == "rmtl-official")


def official(**parameters):
    """The method with every switch off but those given."""
    return OfficialRMTL(TASKS, **{**OFF, **SIZES, **parameters})


def stage_of(method, rows, logits, make_context, seed=0):
    context = make_context(rows, logits, seed)
    method._critics = [method.new_critics(context)]
    return method.new_critic_stage(context)


def all_of(rows):
    return rows.batch(torch.arange(len(rows)))


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def told(history):
    return [row for row in zip(*history.epochs.values(), strict=True) if row[3] != "seconds"]


def logit(p):
    return math.log(p / (1 - p))


@pytest.fixture
def rows(make_rows):
    torch.manual_seed(0)
    return make_rows([0, 0, 1, 0, 2, 1, 0, 0, 1], torch.bernoulli(torch.full((9, 2), 0.4)).tolist())


@pytest.fixture
def logits():
    return torch.randn(9, 2, generator=torch.Generator().manual_seed(1))


def two_fields(rows):
    """The rows with ids 0..8 twice: in a field of their own size, and behind a first one in the same table."""
    rows.categorical = torch.arange(9, dtype=torch.int32)[:, None].repeat(1, 2)
    rows.schema = Schema((CategoricalField("a", 9), CategoricalField("b", 9)), ("i",), TASKS)
    return rows


@pytest.mark.parametrize(("shifted", "rewarded_as"), [(True, 0.505), (False, 0.01)])
def test_shifted_reward_is_that_of_half_the_action_and_a_half(shifted, rewarded_as, make_rows, make_context):
    rows = make_rows([1, 1], [[0.0, 1.0], [0.0, 1.0]])
    acted = torch.full((2, 2), logit(0.01))
    stage = stage_of(official(shifted_reward=shifted), rows, acted, make_context)
    reward = stage.reward(all_of(rows), acted)
    expected = torch.tensor([math.log(1 - rewarded_as), math.log(rewarded_as)]).expand(2, 2)
    torch.testing.assert_close(reward, expected)


def test_the_shifted_reward_of_a_sure_action_stays_finite(make_rows, make_context):
    rows = make_rows([1], [[0.0, 1.0]])
    stage = stage_of(official(shifted_reward=True), rows, torch.zeros(1, 2), make_context)
    assert torch.isfinite(stage.reward(all_of(rows), torch.tensor([[40.0, 40.0]]))).all()


def test_of_standardised_ids_minus_one_zero_and_one_are_left(rows, logits, make_context):
    rows = two_fields(rows)
    stage = stage_of(official(standardised_ids=True), rows, logits, make_context)
    seen = stage.view(all_of(rows))
    # The ids 0..8 lie 1.55, 1.16, 0.77, 0.39 and 0 standard deviations from their mean.
    assert seen.categorical[:, 1].tolist() == [-1, -1, 0, 0, 0, 0, 0, 1, 1]
    # Before the first field there is no row to read.
    assert seen.categorical[:, 0].tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 1]
    assert torch.equal(seen.numerical, rows.numerical)
    off = stage_of(official(), rows, logits, make_context)
    assert torch.equal(off.view(all_of(rows)).categorical, rows.categorical)


@pytest.mark.parametrize("outlier", [0, 1])
def test_standardised_ids_never_leave_the_table(outlier, make_rows, make_context):
    n = 400
    rows = make_rows([1] * n, [[0.0, 1.0]] * n)
    rows.schema = Schema((CategoricalField("a", 2), CategoricalField("b", 2)), (), TASKS)
    rows.categorical = torch.full((n, 2), 1 - outlier, dtype=torch.int32)
    # One row 20 standard deviations from the mean.
    rows.categorical[7] = outlier
    stage = stage_of(official(standardised_ids=True), rows, torch.zeros(n, 2), make_context)
    seen = stage.view(all_of(rows)).categorical + torch.tensor([0, 2])
    assert seen.min() >= 0
    assert seen.max() <= 3
    assert stage.view(rows.batch(torch.tensor([3]))).categorical.tolist() == [[0, 0]]


def test_the_next_state_is_standardised_by_its_own_statistics(rows, logits, make_context, monkeypatch):
    rows = two_fields(rows)
    stage = stage_of(official(standardised_ids=True), rows, logits, make_context)
    seen = []
    pessimistic = stage.target.pessimistic
    monkeypatch.setattr(stage.target, "pessimistic", lambda b, a: seen.append(b.categorical) or pessimistic(b, a))
    stage.backward(rows.batch(torch.tensor([0, 1, 3, 6, 7])))
    # The next rows, 1, 2, 4, 7, 8: their own mean is 4.4, their own standard deviation 2.7.
    assert seen[0][:, 1].tolist() == [-1, 0, 0, 0, 1]


def test_weights_are_asked_with_the_ids_themselves(rows, logits, make_context):
    rows = two_fields(rows)
    method = official(standardised_ids=True)
    stage = stage_of(method, rows, logits, make_context)
    weights = method.sample_weights(make_context(rows, logits), rows).weights(logits, all_of(rows))
    critics = stage.critics.eval()
    assert torch.equal(weights, 1 - 0.7 * critics(all_of(rows), logits))
    assert not torch.equal(weights, 1 - 0.7 * critics(stage.view(all_of(rows)), logits))


@pytest.mark.parametrize("below", [True, False])
def test_the_action_passes_the_bottom(below, rows, logits, make_context):
    critics = official(action_below_bottom=below).new_critics(make_context(rows, logits)).eval()
    for network in critics.networks:
        for parameter in network.bottom.parameters():
            torch.nn.init.zeros_(parameter)
    moved = (critics(all_of(rows), logits) != critics(all_of(rows), logits + 1)).any()
    assert bool(moved) is not below


def test_an_action_below_the_bottom_enters_as_a_probability_beside_the_embeddings(rows, logits, make_context):
    critics = official(action_below_bottom=True).new_critics(make_context(rows, logits)).eval()
    (network,) = critics.networks
    found = critics(all_of(rows), logits)
    for k in range(2):
        action = torch.sigmoid(logits[:, k : k + 1]) @ network.action.weight.T + network.action.bias
        z = network.heads(network.bottom(torch.cat([network.embedding(all_of(rows)), action], 1))[0])[k, :, 0]
        torch.testing.assert_close(found[:, k], -torch.nn.functional.softplus(z))


@pytest.mark.parametrize("minimum", [True, False])
def test_the_target_is_the_smaller_of_the_targets_and_the_current_value(minimum, rows, logits, make_context):
    stage = stage_of(official(target_minimum=minimum, dropout=0.0), rows, logits, make_context)
    torch.manual_seed(5)
    for parameter in stage.target.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    value = stage.next_values(stage.target, all_of(rows), logits)
    target, current = (critics(all_of(rows), logits) for critics in (stage.target, stage.critics))
    assert 0 < (target < current).sum() < target.numel()
    assert torch.equal(value, torch.minimum(target, current) if minimum else target)


@pytest.mark.parametrize("minimum", [True, False])
def test_targets_are_without_dropout_unless_it_is_everywhere(minimum, rows, logits, make_context):
    stage = stage_of(official(target_minimum=minimum, dropout=0.5), rows, logits, make_context)
    stage.module.train()
    first, second = (stage.next_values(stage.target, all_of(rows), logits) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("everywhere", [True, False])
def test_dropout_everywhere_is_dropout_in_targets_and_weights(everywhere, rows, logits, make_context):
    method = official(dropout_everywhere=everywhere, dropout=0.5)
    stage = stage_of(method, rows, logits, make_context)
    stage.module.train()
    values = [stage.next_values(stage.target, all_of(rows), logits) for _ in range(2)]
    assert torch.equal(*values) is not everywhere
    rule = method.sample_weights(make_context(rows, logits), rows)
    weights = [rule.weights(logits, all_of(rows)) for _ in range(2)]
    assert torch.equal(*weights) is not everywhere
    assert not stage.critics.training


def test_in_the_dead_zone_the_value_is_zero_and_the_weight_one(rows, logits, make_context):
    method = official(dead_zone=True, dropout=0.0)
    stage = stage_of(method, rows, logits, make_context)
    values = stage.critics(all_of(rows), logits)
    dead = values == 0
    assert dead.any()
    assert (values <= 0).all()
    weights = method.sample_weights(make_context(rows, logits), rows).weights(logits, all_of(rows))
    assert (weights[dead] == 1).all()
    assert (weights[~dead] > 1).all()
    off = stage_of(official(), rows, logits, make_context)
    assert (off.critics.eval()(all_of(rows), logits) < 0).all()


def test_no_gradient_comes_back_from_the_dead_zone(rows, logits, make_context):
    critics = official(dead_zone=True, dropout=0.0).new_critics(make_context(rows, logits))
    acted = logits.clone().requires_grad_()
    values = critics(all_of(rows), acted)
    values.sum().backward()
    assert (acted.grad[values == 0] == 0).all()


@pytest.mark.parametrize("identical", [True, False])
def test_separate_critics_start_as_copies_of_one(identical, rows, logits, make_context):
    method = official(identical_start=identical, shared_bottom=False)
    first, second = method.new_critics(make_context(rows, logits)).networks
    assert same(first.state_dict(), second.state_dict()) is identical
    assert first.embedding.table is not second.embedding.table


@pytest.mark.parametrize("ended", [True, False])
def test_the_row_at_a_cut_is_used_and_bootstraps_nothing(ended, rows, logits, make_context):
    method = official(cut_is_end=ended, dropout=0.0, action_noise=0.0, uniform_actions=0.0)
    stage = stage_of(method, rows, logits, make_context)
    at_cut = rows.batch(torch.tensor([4]))
    losses = stage.backward(at_cut).losses
    own = logits[[4]]
    reward = -torch.nn.functional.binary_cross_entropy_with_logits(own, at_cut.labels, reduction="none")
    expected = (reward - stage.critics(at_cut, own))[0].square().detach()
    torch.testing.assert_close(losses, expected if ended else torch.zeros(2))


def test_a_missing_label_at_a_cut_is_not_used(make_rows, make_context):
    rows = make_rows([0, 2], [[1.0, 0.0], [0.0, 1.0]], [[True, True], [False, True]])
    stage = stage_of(official(cut_is_end=True), rows, torch.zeros(2, 2), make_context)
    first, second = stage.backward(rows.batch(torch.tensor([1]))).losses.tolist()
    assert first == 0 < second


def test_the_target_moves_after_every_second_step_only(rows, logits, make_context):
    stage = stage_of(official(target_every=2, soft_update=0.25), rows, logits, make_context)
    with torch.no_grad():
        for parameter in stage.critics.parameters():
            parameter.add_(1.0)
    start = [parameter.clone() for parameter in stage.target.parameters()]
    for moved in (0.0, 0.25, 0.25, 0.4375):
        stage.after_step()
        for old, new in zip(start, stage.target.parameters(), strict=True):
            torch.testing.assert_close(new, old + moved, rtol=0, atol=1e-5)


def test_importance_gives_positives_the_weight_of_negatives_on_top(make_rows, make_context):
    rows = make_rows([1] * 4, [[1.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    stage = stage_of(official(importance=True), rows, torch.zeros(4, 2), make_context)
    # w_neg = 5 / (3 + 1), w_pos = 5 / (1 + 1); without negatives w_neg = 5 / 1, w_pos = 5 / 5.
    expected = torch.tensor([[3.75, 6.0], [1.25, 6.0], [1.25, 6.0], [1.25, 6.0]])
    torch.testing.assert_close(stage.importance_weights(all_of(rows)), expected)


def run_of(method, make_trainer, label, missing=False):
    trainer = make_trainer(method, label=label, missing=missing)
    history = trainer.run()
    return trainer.backbone.state_dict(), dict(method.kept()), told(history)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(
    "parameters", [{}, {"shared_bottom": False, "uniform_actions": 1.0, "action_noise": 0.0, "discount": 0.9}]
)
def test_with_every_switch_off_it_is_rmtl_bit_for_bit(parameters, missing, make_trainer):
    plain = run_of(RMTL(TASKS, **{**SHORT, **parameters}), make_trainer, "rmtl", missing)
    other = run_of(official(**{**SHORT, **parameters}), make_trainer, "rmtl-official", missing)
    assert same(other[0], plain[0])
    assert same(other[1], plain[1])
    assert other[2] == plain[2]


@pytest.mark.parametrize("switch", [*SWITCHES, "target_every"])
def test_each_switch_alone_changes_a_training(switch, make_trainer):
    on = {switch: 2 if switch == "target_every" else True}
    parameters = {**SHORT, "shared_bottom": False}
    states = [run_of(official(**{**parameters, **more}), make_trainer, "same")[0] for more in ({}, on)]
    assert not same(*states)


def test_dropout_in_the_weights_leaves_the_actors_own_dropout_alone(make_trainer):
    control = run_of(RMTL(TASKS, weights="constant", **SHORT), make_trainer, "control")
    # At lambda = 0 the weights are 1 whatever the critics say: all that can differ is what units the actor drops.
    noisy = run_of(official(**SHORT, dropout_everywhere=True, lambda_q=0.0), make_trainer, "noisy")
    assert same(noisy[0], control[0])


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("importance", [False, True])
def test_a_training_as_published_runs_through(importance, missing, make_trainer):
    given = {**SIZES, "critic_epochs": 3, "fine_tune_epochs": 2, "importance": importance}
    method = OfficialRMTL(TASKS, **INFO.resolve(given))
    history = make_trainer(method, missing=missing).run()
    assert [stage.name for stage in history.stages] == ["pre-train", "critics", "fine-tune"]
    assert history.stages[2].best_epoch >= 1
    # Where a critic is dead its correlation with anything is undefined.
    undefined = {row[3] for row in told(history) if not math.isfinite(row[4])}
    assert undefined <= {"return-correlation"}


def test_as_published_means_every_switch_is_on_and_the_rest_as_its_main_program_has_it():
    given = INFO.resolve({})
    assert all(given[switch] for switch in SWITCHES)
    assert given["target_every"] == 2
    expected = {"discount": 0.9, "lambda_q": 1.0, "soft_update": 0.2, "uniform_actions": 1.0, "action_noise": 0.0}
    assert given.items() >= {**expected, "shared_bottom": False, "importance": False}.items()
