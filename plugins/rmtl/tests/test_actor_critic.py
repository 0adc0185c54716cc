"""Actors trained by their critics: what gradient reaches whom, and that it teaches an actor to rank."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rmtl_bench.contracts import (
    Backbone,
    CategoricalField,
    Cell,
    Component,
    FieldEmbedding,
    Schema,
    SessionTable,
    Task,
)
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench.training.streams import Streams
from rmtl_bench.training.trainer import Trainer
from rmtl_bench_rmtl.actor_critic import ActorCritic, ActorCriticStage
from rmtl_bench_rmtl.critics import Critics
from rmtl_bench_rmtl.plugin import rmtl_weightings

TASKS = (Task("t0"), Task("t1"))
SIZES = {"embedding_dim": 3, "bottom": (8,), "tower": (4,)}
EXACT = {"dropout": 0.0, "action_noise": 0.0, "uniform_actions": 0.0}
TD3_BC = {"alpha": 2.5, "twin_critics": True}
INFOS = {info.name: info for info in rmtl_weightings()}


@pytest.fixture
def make_stage(make_trainer):
    def make(*, missing=False, seed=0, **parameters):
        """The joint stage, its actor without dropout: what it computes can be written down."""
        method = ActorCritic(TASKS, **{**SIZES, **parameters})
        context = make_trainer(method, missing=missing)
        torch.manual_seed(seed)
        critics = Critics(context.schema, **method.architecture)
        for parameter in critics.parameters():
            # Away from the nearly constant values of a fresh network.
            parameter.data += 0.3 * torch.randn_like(parameter)
        stage = ActorCriticStage(critics, context, method)
        stage.module.train()
        stage.actor.eval()
        return stage

    return make


def batch_of(stage, count=60):
    return stage.context.train.batch(torch.arange(count))


def grads(module):
    return [None if p.grad is None else p.grad.clone() for p in module.parameters()]


def step(stage, batch, seed=3):
    stage.module.zero_grad(set_to_none=True)
    torch.manual_seed(seed)
    stage.backward(batch)
    return grads(stage.actor), grads(stage.critics)


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_ddpgs_actor_has_the_gradient_of_its_critics_values_and_no_other(make_stage):
    stage = make_stage()
    batch = batch_of(stage)
    found, _ = step(stage, batch)
    critics = copy.deepcopy(stage.critics).eval()
    loss = -critics(batch, stage.actor(batch)).mean(0).sum()
    expected = torch.autograd.grad(loss, list(stage.actor.parameters()))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
    assert any((gradient != 0).any() for gradient in found)


def test_no_label_enters_ddpgs_actor(make_stage):
    stage = make_stage()
    batch = batch_of(stage)
    actor, critics = step(stage, batch)
    other_actor, other_critics = step(make_stage(), replace(batch, labels=1 - batch.labels))
    assert equal(actor, other_actor)
    assert not equal(critics, other_critics)


def test_labels_enter_the_actor_beside_values_in_td3_bc(make_stage):
    stage = make_stage(**TD3_BC)
    batch = batch_of(stage)
    actor, _ = step(stage, batch)
    other, _ = step(make_stage(**TD3_BC), replace(batch, labels=1 - batch.labels))
    assert not equal(actor, other)


@pytest.mark.parametrize("more", [{}, TD3_BC], ids=["ddpg", "td3-bc"])
def test_the_critics_gradient_is_the_same_whether_the_actor_steps_or_not(more, make_stage):
    stage = make_stage(**more, actor_every=1)
    batch = batch_of(stage)
    _, with_actor = step(stage, batch)
    actor, alone = step(make_stage(**more, actor_every=2), batch)
    assert equal(with_actor, alone)
    # And the TD error does not reach the actor.
    assert all(gradient is None for gradient in actor)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("twin", [False, True])
def test_the_critics_learn_from_rewards_and_the_targets_values_of_the_targets_actions(twin, missing, make_stage):
    stage = make_stage(**EXACT, twin_critics=twin, missing=missing, discount=0.8)
    torch.manual_seed(7)
    for target in (stage.target_actor, stage.target_critics):
        for parameter in target.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    rows, batch = stage.context.train, stage.context.train.batch(torch.arange(120))
    _, found = step(stage, batch)
    mask = torch.ones_like(batch.labels, dtype=torch.bool) if rows.label_mask is None else rows.label_mask
    actions = stage.actor(batch).detach()
    next_actions = stage.target_actor(batch).detach()
    of_target = stage.target_critics.all_values(stage.target_critics.states(batch), next_actions)
    if twin:
        # Both twins are the smaller one somewhere: a target of the first alone would be seen.
        assert 0 < (of_target[0] < of_target[1]).sum() < of_target[0].numel()
    values = stage.critics.all_values(stage.critics.states(batch), actions)
    loss = 0.0
    for k in range(2):
        terms = []
        for row, end in enumerate(rows.session_end.tolist()):
            if end == 2 or not mask[row, k]:
                continue
            reward = -F.binary_cross_entropy_with_logits(actions[row, k], rows.labels[row, k])
            later = min(of_target[:, row + 1, k].tolist()) if end == 0 else 0.0
            terms += [sum((reward + 0.8 * later - value).square() for value in values[:, row, k])]
        loss = loss + sum(terms) / len(terms)
    expected = torch.autograd.grad(loss, list(stage.critics.parameters()))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_both_targets_move_by_beta(make_stage):
    stage = make_stage(soft_update=0.25)
    with torch.no_grad():
        for parameter in stage.module.parameters():
            parameter.add_(1.0)
    before = [[p.clone() for p in m.parameters()] for m in (stage.target_actor, stage.target_critics)]
    stage.after_step()
    for old, target in zip(before, (stage.target_actor, stage.target_critics), strict=True):
        for a, b in zip(old, target.parameters(), strict=True):
            torch.testing.assert_close(b, a + 0.25)
            assert not b.requires_grad
        assert not target.training


def test_the_targets_action_has_the_noise_that_td3_gives_it(make_stage, monkeypatch):
    seen = {}
    for noise in (0.0, 0.2):
        stage = make_stage(target_noise=noise, twin_critics=True)
        pessimistic = stage.target_critics.pessimistic

        def watched(batch, action, noise=noise, pessimistic=pessimistic, stage=stage):
            seen[noise] = action - stage.target_actor(batch)
            return pessimistic(batch, action)

        monkeypatch.setattr(stage.target_critics, "pessimistic", watched)
        step(stage, batch_of(stage, 120))
    assert (seen[0.0] == 0).all()
    assert seen[0.2].std().item() == pytest.approx(0.2, rel=0.2)
    assert abs(seen[0.2].mean().item()) < 0.05


def test_the_actor_steps_every_second_time(make_stage):
    stage = make_stage(**TD3_BC, actor_every=2)
    batch = batch_of(stage)
    stepped = [step(stage, batch)[0][0] is not None for _ in range(4)]
    assert stepped == [False, True, False, True]


def doubled(stage):
    value = stage.critics.value
    stage.critics.value = lambda z: 2 * value(z)
    return stage


def test_alpha_makes_the_scale_of_the_values_immaterial(make_stage):
    batch = batch_of(make_stage())
    parameters = {"dropout": 0.0}
    scaled, twice = (step(make(make_stage(**parameters, alpha=2.5)), batch)[0] for make in (lambda s: s, doubled))
    for a, b in zip(scaled, twice, strict=True):
        torch.testing.assert_close(a, b)
    plain, twice = (step(make(make_stage(**parameters)), batch)[0] for make in (lambda s: s, doubled))
    for a, b in zip(plain, twice, strict=True):
        torch.testing.assert_close(2 * a, b)


def test_td3_bcs_actor_has_the_gradient_of_loss_and_scaled_values(make_stage):
    stage = make_stage(**TD3_BC, missing=True)
    batch = batch_of(stage)
    found, _ = step(stage, batch)
    critics, logits = copy.deepcopy(stage.critics).eval(), stage.actor(batch)
    loss = torch.tensor(0.0)
    for k in range(2):
        known = batch.label_mask[:, k]
        loss = loss + F.binary_cross_entropy_with_logits(logits[known, k], batch.labels[known, k])
        values = critics(batch, logits)[:, k]
        loss = loss - 2.5 * values.mean() / values.detach().abs().mean()
    expected = torch.autograd.grad(loss, list(stage.actor.parameters()))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("more", [{}, TD3_BC], ids=["ddpg", "td3-bc"])
def test_what_stands_where_a_label_is_missing_plays_no_part(more, make_stage):
    stage = make_stage(**more, missing=True)
    batch = batch_of(stage)
    assert not batch.label_mask.all()
    other = replace(batch, labels=torch.where(batch.label_mask, batch.labels, 1.0))
    first, second = step(stage, batch), step(make_stage(**more, missing=True), other)
    assert equal(first[0], second[0])
    assert equal(first[1], second[1])


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("name", ["ddpg", "td3-bc"])
@pytest.mark.parametrize("pre_train", [False, True])
def test_a_training_runs_through_and_keeps_the_best_actor(pre_train, name, missing, make_trainer):
    given = {**SIZES, "critic_epochs": 2, "epochs": 3, "pre_train": pre_train}
    trainer = make_trainer(ActorCritic(TASKS, **INFOS[name].resolve(given)), missing=missing)
    history = trainer.run()
    assert [s.name for s in history.stages] == ["pre-train"] * pre_train + ["critics", "actor-critic"]
    last = history.stages[-1]
    rows = zip(*history.epochs.values(), strict=True)
    scores = [row[4] for row in rows if (row[0], row[3]) == ("actor-critic", "score")]
    # Only where the actor was trained before may its start be the best.
    start = [history.stages[0].best_score] if pre_train else []
    assert last.best_score == max(scores + start) == trainer.validate().score


def test_the_actor_stands_still_while_the_critics_begin(make_trainer):
    trainer = make_trainer(ActorCritic(TASKS, **SIZES, critic_epochs=2, epochs=1))
    start = [p.clone() for p in trainer.backbone.parameters()]
    states = []

    def observer(record):
        if record.stage == "critics":
            states.append([p.clone() for p in trainer.backbone.parameters()])

    trainer._observer = observer
    trainer.run()
    assert len(states) == 2
    assert all(equal(start, state) for state in states)
    assert not equal(start, list(trainer.backbone.parameters()))


class Levels(Backbone):
    """One free logit for each level and task."""

    def __init__(self, schema):
        super().__init__(schema)
        self.embedding = FieldEmbedding(schema, 4)
        self.heads = nn.Linear(self.embedding.width, len(schema.tasks))

    def forward(self, batch):
        return self.heads(self.embedding(batch))


def auc(scores, labels):
    positive, negative = scores[labels == 1], scores[labels == 0]
    pairs = positive[:, None] - negative[None, :]
    return float(((pairs > 0).float() + 0.5 * (pairs == 0).float()).mean())


def test_ddpg_ranks_levels_by_their_probabilities_though_no_label_enters_the_actors_loss():
    n, rng = 1000, np.random.default_rng(5)
    # The second task falls where the first rises: one order of the levels cannot serve both.
    truth = np.array([[0.08, 0.9], [0.25, 0.7], [0.5, 0.5], [0.7, 0.25], [0.9, 0.08]], dtype=np.float32)
    level = rng.integers(0, 5, n)
    end = (rng.random(n) < 0.5).astype(np.uint8)
    end[[599, 799, 999]] = 1
    table = SessionTable(
        schema=Schema((CategoricalField("level", 5),), (), TASKS),
        categorical=level[:, None].astype(np.int32),
        numerical=np.zeros((n, 0), dtype=np.float32),
        labels=(rng.random((n, 2)) < truth[level]).astype(np.float32),
        session=np.append(0, np.cumsum(end[:-1])).astype(np.int32),
        user=np.zeros(n, dtype=np.int32),
        timestamp=np.arange(n, dtype=np.int64),
        session_end=end,
        split_sizes=(600, 200, 200),
    )
    given = {"bottom": (32,), "tower": (32,), "embedding_dim": 8, "critic_learning_rate": 0.01, "discount": 0.5}
    method = ActorCritic(TASKS, **given, dropout=0.0, critic_epochs=30, epochs=30, patience=30)
    settings = {"batch_size": 100, "learning_rate": 0.02}
    part = Component("x", "x", 1, "toy", "1")
    streams = Streams(Cell(part, "0", part, part, settings, ("auc",), 0))
    train, valid, test = (DeviceRows(table, s, torch.device("cpu")) for s in ("train", "valid", "test"))
    torch.manual_seed(0)
    trainer = Trainer(Levels(table.schema), method, train, valid, TrainerSettings.resolve(settings), streams)
    trainer.run()
    predicted = trainer.predict(test)
    best = torch.from_numpy(truth)[test.categorical[:, 0].long()]
    for k in range(2):
        reached, possible = (auc(scores[:, k], test.labels[:, k]) for scores in (predicted, best))
        assert possible > 0.8
        assert reached > possible - 0.02
