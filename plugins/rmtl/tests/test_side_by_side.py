"""Seeds side by side have the numbers that they have alone: every form of the weights, every stage of critics."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rmtl_bench.contracts import Backbone, FieldEmbedding, ModuleStack, ParallelMLP, Schema, Task, TaskLosses
from rmtl_bench.training.device_operations import DeviceOperations
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide
from rmtl_bench_rmtl import weights as weights_module
from rmtl_bench_rmtl.actions import TrainingActions
from rmtl_bench_rmtl.actor_critic import ActorCritic
from rmtl_bench_rmtl.critic_stage import soft_update, soft_update_stacked
from rmtl_bench_rmtl.official import NoisyWeights, OfficialRMTL
from rmtl_bench_rmtl.plugin import rmtl_weightings
from rmtl_bench_rmtl.rmtl import RMTL
from rmtl_bench_rmtl.weights import OF_CRITICS, ConstantWeights, ReturnWeights

TASKS = (Task("t0"), Task("t1"))
SEEDS = 3
SIZES = {"embedding_dim": 3, "bottom": (8,), "tower": (4,)}
SHORT = {"critic_epochs": 2, "fine_tune_epochs": 2, "fine_tune_learning_rate": 0.02}
INFOS = {info.name: info for info in rmtl_weightings()}
SETTINGS = {"max_epochs": 2, "evaluation_batch_size": 16}


class Actor(Backbone):
    """A layer with the dropout whose masks are a seed's own side by side, too."""

    def __init__(self, schema: Schema, dropout: float) -> None:
        super().__init__(schema)
        self.embedding = FieldEmbedding(schema, 4)
        self.bottom = ParallelMLP(1, self.embedding.width, (6,), dropout=dropout)
        self.heads = nn.Linear(6, len(schema.tasks))

    def forward(self, batch):
        return self.heads(self.bottom(self.embedding(batch))[0])


def rmtl(**parameters):
    return partial(RMTL, TASKS, **{**SIZES, **SHORT, "dropout": 0.0, **parameters})


def official(**parameters):
    given = {**SIZES, "critic_epochs": 3, "fine_tune_epochs": 2, "dropout": 0.0, **parameters}
    return partial(OfficialRMTL, TASKS, **INFOS["rmtl-official"].resolve(given))


def actor_critic(name, **parameters):
    given = {**SIZES, "critic_epochs": 2, "epochs": 2, "dropout": 0.0, **parameters}
    return partial(ActorCritic, TASKS, **INFOS[name].resolve(given))


@pytest.fixture
def both(make_trainer):
    def both_of(make_method, *, seeds=SEEDS, dropout=0.0, **settings):
        """The trainers of these seeds after they ran alone, and after they ran side by side."""
        settings = {**SETTINGS, **settings}
        actor = partial(Actor, dropout=dropout)
        ran = []
        for _ in range(2):
            ran.append([make_trainer(make_method(), seed=seed, actor=actor, **settings) for seed in range(seeds)])
        alone, together = ran
        for trainer in alone:
            trainer.run()
        assert SeedsSideBySide(together).run() == [None] * seeds
        return list(zip(alone, together, strict=True))

    return both_of


def assert_same(alone, together):
    """Whether two runs of a seed went the same way, to rounding."""
    assert not [text for text in together.history.warnings if "one after another" in text]
    stages = [[(s.name, s.epochs, s.best_epoch, s.ended_by) for s in each.history.stages] for each in (alone, together)]
    assert stages[0] == stages[1]
    expected, found = alone.history.epochs, together.history.epochs
    for key in ("stage", "epoch", "task", "quantity"):
        assert expected[key] == found[key]
    for quantity, one, other in zip(expected["quantity"], expected["value"], found["value"], strict=True):
        if quantity == "train-loss":
            assert other == pytest.approx(one, rel=1e-5)
        elif quantity != "seconds":
            assert other == pytest.approx(one, rel=1e-4, abs=1e-4, nan_ok=True)
    assert together.history.weights["mean"] == pytest.approx(alone.history.weights["mean"], rel=1e-4)
    states = [each.backbone.state_dict() for each in (alone, together)]
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, rtol=1e-3, atol=1e-4)


def assert_same_critics(alone, together):
    """Whether they kept the same critics, whose tensors are their own again."""
    critics = [each.weighting._critics[0].state_dict() for each in (alone, together)]
    for name, tensor in critics[0].items():
        torch.testing.assert_close(critics[1][name], tensor, rtol=1e-3, atol=1e-4)
        assert critics[1][name].untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("form", [*sorted(OF_CRITICS), "constant", "return"])
def test_every_form_of_the_weights_trains_as_alone(form, missing, both):
    for alone, together in both(rmtl(weights=form), missing=missing):
        assert_same(alone, together)
        if form in OF_CRITICS:
            assert_same_critics(alone, together)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(
    "parameters",
    [{"twin_critics": True}, {"shared_bottom": False, "twin_critics": True}, {"importance": True}],
    ids=["twins", "separate twins", "importance"],
)
def test_every_form_of_the_critics_trains_as_alone(parameters, missing, both):
    for alone, together in both(rmtl(**parameters), missing=missing):
        assert_same(alone, together)
        assert_same_critics(alone, together)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(
    "parameters", [{}, {"importance": True, "standardised_ids": False}], ids=["published", "others"]
)
def test_the_published_codes_choices_train_as_alone(parameters, missing, both):
    for alone, together in both(official(**parameters), missing=missing):
        assert_same(alone, together)
        assert_same_critics(alone, together)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("name", ["ddpg", "td3-bc"])
def test_actors_trained_by_critics_train_as_alone(name, missing, both):
    for alone, together in both(actor_critic(name), missing=missing):
        assert_same(alone, together)
        assert_same_critics(alone, together)


@pytest.mark.parametrize(
    "make_method",
    [
        rmtl(dropout=0.2),
        official(dropout=0.2, target_minimum=True),
        official(dropout=0.2, dropout_everywhere=False),
        actor_critic("td3-bc", dropout=0.2),
    ],
    ids=["rmtl", "official", "official without dropout in targets", "td3-bc"],
)
def test_each_seed_drops_the_units_that_it_drops_alone(make_method, both):
    for alone, together in both(make_method, dropout=0.3):
        assert_same(alone, together)
        assert_same_critics(alone, together)


@pytest.mark.parametrize(
    ("make_method", "stage"),
    [
        (rmtl(critic_epochs=12, critic_patience=1, critic_tolerance=0.05, critic_learning_rate=0.03), "critics"),
        (actor_critic("ddpg", epochs=8, patience=1), "actor-critic"),
        (rmtl(fine_tune_epochs=8), "fine-tune"),
    ],
    ids=["critics", "actor-critic", "fine-tune"],
)
def test_a_seed_that_ends_a_stage_earlier_keeps_its_best_state_and_the_others_go_on(make_method, stage, both):
    pairs = both(make_method, seeds=4, patience=1)
    ends = {found.epochs for alone, _ in pairs for found in alone.history.stages if found.name == stage}
    assert len(ends) > 1
    for alone, together in pairs:
        assert_same(alone, together)
        assert_same_critics(alone, together)


def test_what_critics_say_of_themselves_afterwards_is_what_they_say_alone(both):
    for alone, together in both(rmtl(), seeds=2, optimum=True):
        expected, found = (list(each.weighting.diagnose(each, each.valid)) for each in (alone, together))
        assert [d[:2] for d in found] == [d[:2] for d in expected]
        values = [d.value for d in expected]
        assert [d.value for d in found] == pytest.approx(values, rel=1e-3, abs=1e-3, nan_ok=True)


# The weights themselves


def weightings_of(kind, rows, make_critics, seeds=SEEDS):
    def one(seed):
        if kind is ReturnWeights:
            policy = torch.randn(len(rows), 2, generator=torch.Generator().manual_seed(seed))
            made = ReturnWeights(TASKS, rows, policy, 0.7, 0.95)
        else:
            made = kind(TASKS) if kind is ConstantWeights else kind(TASKS, make_critics(rows.schema, seed), 0.7)
        made.generator.manual_seed(seed)
        return made

    return [one(seed) for seed in range(seeds)]


def stacked_losses(logits, batch):
    losses = F.binary_cross_entropy_with_logits(logits, batch.labels, reduction="none")
    return TaskLosses(losses if batch.label_mask is None else losses * batch.label_mask, batch.label_mask)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("kind", [*OF_CRITICS.values(), NoisyWeights, ReturnWeights, ConstantWeights])
def test_weights_of_several_seeds_are_those_of_each(kind, missing, make_rows, make_critics):
    torch.manual_seed(1)
    labels, mask = torch.bernoulli(torch.full((40, 2), 0.4)), torch.rand(40, 2) < 0.7
    ends = [0, 0, 1, 2] * 10
    rows = make_rows(ends, (labels * mask).tolist() if missing else labels.tolist(), mask.tolist() if missing else None)
    alone, together = (weightings_of(kind, rows, make_critics) for _ in range(2))
    # The second time the first seed has left the pass.
    for places in ([0, 1, 2], [1, 2], [1, 2]):
        batch = rows.batch(torch.stack([torch.randperm(40)[:16] for _ in places]))
        logits = torch.randn(len(places), 16, 2, requires_grad=True)
        losses = stacked_losses(logits, batch)
        chosen = [together[place] for place in places]
        scalars, weights = kind.combine_side_by_side(chosen, losses, logits, batch)
        assert not weights.requires_grad
        for own, place in enumerate(places):
            expected = alone[place].combine(losses.replica(own), logits[own], batch.replica(own))
            torch.testing.assert_close(weights[own], expected.weights)
            torch.testing.assert_close(scalars[own], expected.loss)


def test_frozen_critics_are_stacked_once_for_as_long_as_the_seeds_are_the_same(make_rows, make_critics, monkeypatch):
    rows = make_rows([1] * 8, [[0.0, 1.0]] * 8)
    stacked = []
    monkeypatch.setattr(
        weights_module, "ModuleStack", lambda modules: stacked.append(len(modules)) or ModuleStack(modules)
    )
    kind = OF_CRITICS["critic"]
    seeds = weightings_of(kind, rows, make_critics)
    for places in ([0, 1, 2], [0, 1, 2], [0, 2], [0, 2], [2]):
        batch = rows.batch(torch.arange(8).expand(len(places), 8))
        kind.weights_side_by_side([seeds[place] for place in places], torch.zeros(len(places), 8, 2), batch)
    assert stacked == [3, 2, 1]


RECORDED = [*(kind for kind in OF_CRITICS.values() if kind.capturable), ReturnWeights, ConstantWeights]


def test_weights_that_draw_on_the_cpu_in_every_step_do_not_claim_to_stay_on_the_device():
    assert {kind for kind in (*OF_CRITICS.values(), NoisyWeights) if not kind.capturable} == {
        OF_CRITICS["shuffled"],
        NoisyWeights,
    }


@pytest.mark.parametrize("kind", RECORDED)
def test_a_step_under_weights_stays_on_the_device_alone_and_side_by_side(kind, make_rows, make_critics):
    rows = make_rows([0, 0, 1, 2] * 4, [[0.0, 1.0]] * 16, [[True, False], [True, True]] * 8)
    seeds = weightings_of(kind, rows, make_critics)
    batch = rows.batch(torch.arange(16).expand(SEEDS, 16))
    logits = torch.randn(SEEDS, 16, 2, requires_grad=True)
    losses = stacked_losses(logits, batch)
    kind.combine_side_by_side(seeds, losses, logits, batch)
    with DeviceOperations(torch.device("cpu")) as operations:
        scalars, _ = kind.combine_side_by_side(seeds, losses, logits, batch)
        scalars.sum().backward()
        seeds[0].combine(losses.replica(0), logits[0], batch.replica(0))
    assert operations.found == []


# What is drawn, and how targets move


@pytest.mark.parametrize(("noise", "uniform"), [(3.0, 0.1), (0.0, 0.5), (0.2, 0.0), (0.0, 0.0)])
def test_several_seeds_draw_the_actions_that_each_draws_alone(noise, uniform):
    actions, actors = TrainingActions(noise, uniform), torch.randn(3, 50, 2)
    alone, together = ([torch.Generator().manual_seed(seed) for seed in range(3)] for _ in range(2))
    for _ in range(2):
        expected = torch.stack([actions.draw(actor, own) for actor, own in zip(actors, alone, strict=True)])
        assert torch.equal(actions.draw_side_by_side(actors, together), expected)


def test_a_stack_of_targets_moves_as_each_target_does():
    torch.manual_seed(0)
    sources, targets = ([nn.Linear(3, 2) for _ in range(3)] for _ in range(2))
    for module in (*sources, *targets):
        module.register_buffer("seen", torch.randn(2))
    expected = copy.deepcopy(targets)
    for target, source in zip(expected, sources, strict=True):
        soft_update(target, source, 0.3)
    soft_update_stacked(ModuleStack(targets), ModuleStack(sources), 0.3)
    for target, found, source in zip(expected, targets, sources, strict=True):
        assert torch.equal(target.seen, source.seen)
        for name, tensor in target.state_dict().items():
            torch.testing.assert_close(found.state_dict()[name], tensor)
