"""Scopes, halves, steps of a weighting's own, penalties and second looks, on a backbone with a representation."""

from __future__ import annotations

import copy

import pytest
import torch

from rmtl_bench.contracts import GradientWeighting, LossWeighting, PluginError, UsageError, Weighted
from rmtl_bench.training.backbone_stage import task_losses
from rmtl_bench.training.gradient_stage import task_jacobians


class _Recorder(GradientWeighting):
    """Weights that the Gramian decides, and what was seen of it."""

    def task_weights(self, gramian, losses):
        self.seen = gramian
        return gramian.diagonal().sqrt()


class _Elsewhere(GradientWeighting):
    """A direction that is no sum of the gradients."""

    def direction(self, jacobian, losses):
        return torch.full_like(jacobian[0], 0.25), torch.tensor([2.0, 0.5])


class _PartByPart(GradientWeighting):
    """Each tensor's longest gradient."""

    def directions(self, jacobians, losses):
        self.sizes = [tuple(jacobian.shape) for jacobian in jacobians]
        return [jacobian[jacobian.norm(dim=1).argmax()] for jacobian in jacobians], torch.ones(2)


@pytest.fixture
def backbone(toy):
    """The toy with its hidden layer as representation."""

    class WithRepresentation(toy.Backbone):
        penalised = 0.0

        def represent(self, batch):
            hidden = torch.tanh(self.shared(self.embedding(batch)))
            return self.heads(torch.nn.functional.dropout(hidden, 0.1, self.training)), hidden

        def forward(self, batch):
            return self.represent(batch)[0]

        def penalty(self, logits, batch):
            return self.penalised * logits.square().mean() if self.penalised else None

    return WithRepresentation


@pytest.fixture
def step(make_trainer, backbone):
    def step(weighting, rows=64, penalised=0.0):
        trainer = make_trainer(weighting, backbone=backbone)
        trainer.backbone.penalised = penalised
        trainer.backbone.eval()
        report = trainer.backbone_stage("s", weighting).backward(trainer.train.batch(torch.arange(rows)))
        return {n: p.grad for n, p in trainer.backbone.named_parameters()}, report, trainer

    return step


def plain_gradients(trainer, weights, rows=64, tensors=None):
    model = copy.deepcopy(trainer.backbone)
    model.zero_grad()
    batch = trainer.train.batch(torch.arange(rows))
    logits, hidden = model.represent(batch)
    losses = task_losses(logits, batch).mean()
    chosen = {"shared": model.shared_parameters(), "representation": [hidden], "all": list(model.parameters())}
    jacobian = torch.cat(task_jacobians(losses, chosen[tensors or "shared"]), 1)
    penalty = model.penalty(logits, batch)
    total = (weights * losses).sum()
    (total if penalty is None else total + penalty).backward()
    return {n: p.grad for n, p in model.named_parameters()}, jacobian


@pytest.mark.parametrize("scope", ["shared", "representation", "all"])
@pytest.mark.parametrize("penalised", [0.0, 0.3])
def test_the_gramian_is_that_of_the_scope_and_everything_gets_the_weighted_sum(scope, penalised, step, table):
    weighting = _Recorder(table.schema.tasks, scope)
    found, report, trainer = step(weighting, penalised=penalised)
    expected, jacobian = plain_gradients(trainer, report.weights, tensors=scope)
    torch.testing.assert_close(weighting.seen, jacobian @ jacobian.T)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scope", ["shared", "all"])
def test_a_direction_of_its_own_goes_to_the_scope_and_the_weighted_sum_elsewhere(scope, step, table):
    found, report, trainer = step(_Elsewhere(table.schema.tasks, scope))
    expected, _ = plain_gradients(trainer, report.weights)
    for name, gradient in found.items():
        inside = scope == "all" or name.startswith("shared.")
        torch.testing.assert_close(gradient, torch.full_like(gradient, 0.25) if inside else expected[name])


@pytest.mark.parametrize("penalised", [0.0, 0.3])
def test_a_direction_on_the_representation_is_backpropagated_from_there(penalised, step, table, backbone):
    found, report, trainer = step(_Elsewhere(table.schema.tasks, "representation"), penalised=penalised)
    expected, _ = plain_gradients(trainer, report.weights)
    batch = trainer.train.batch(torch.arange(64))
    logits, hidden = trainer.backbone.represent(batch)
    moved = (0.25 * hidden).sum() + penalised * logits.square().mean()
    below = torch.autograd.grad(moved, trainer.backbone.shared_parameters())
    for parameter, gradient in zip(trainer.backbone.shared_parameters(), below, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["heads.weight"], expected["heads.weight"])


def test_directions_come_tensor_by_tensor(step, table):
    weighting = _PartByPart(table.schema.tasks)
    found, _, trainer = step(weighting)
    shared = trainer.backbone.shared_parameters()
    assert weighting.sizes == [(2, parameter.numel()) for parameter in shared]
    assert all(gradient.isfinite().all() for gradient in found.values())


def test_two_halves_give_the_crossed_gramian_and_both_the_gradient(step, table):
    weighting = _Recorder(table.schema.tasks)
    weighting.two_halves = True
    weighting.task_weights = lambda gramian, losses: (setattr(weighting, "seen", gramian), torch.tensor([2.0, 0.5]))[1]
    found, report, trainer = step(weighting, rows=64)
    expected, _ = plain_gradients(trainer, report.weights)
    halves = []
    for rows in (torch.arange(32), torch.arange(32, 64)):
        batch = trainer.train.batch(rows)
        losses = task_losses(trainer.backbone(batch), batch).mean()
        halves.append(torch.cat(task_jacobians(losses, trainer.backbone.shared_parameters()), 1))
    torch.testing.assert_close(weighting.seen, halves[0] @ halves[1].T)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


def test_a_batch_of_one_row_has_no_halves(step, table):
    weighting = _Recorder(table.schema.tasks)
    weighting.two_halves = True
    step(weighting, rows=1)
    torch.testing.assert_close(weighting.seen, weighting.seen.T)


class _Step(GradientWeighting):
    preconditions = True

    def direction(self, jacobian, losses):
        return torch.ones_like(jacobian[0]), torch.ones(2)


def test_steps_of_its_own_are_applied_as_they_are_and_adam_moves_the_rest(make_trainer, backbone, table):
    trainer = make_trainer(_Step(table.schema.tasks), backbone=backbone)
    stage = trainer.backbone_stage("s", trainer.weighting)
    before = {n: p.detach().clone() for n, p in trainer.backbone.named_parameters()}
    stage.backward(trainer.train.batch(torch.arange(64)))
    for optimizer in stage.optimizers(0.01, 0.0):
        optimizer.step()
    for name, parameter in trainer.backbone.named_parameters():
        if name.startswith("shared."):
            torch.testing.assert_close(parameter, before[name] - 0.01)
        else:
            assert not torch.equal(parameter, before[name])


@pytest.mark.parametrize("what", ["preconditions", "two_halves"])
def test_what_needs_parameters_cannot_take_the_representation(what, make_trainer, backbone, table):
    weighting = _Recorder(table.schema.tasks, "representation")
    setattr(weighting, what, True)
    with pytest.raises(PluginError, match="needs gradients of parameters; a representation has none"):
        make_trainer(weighting, backbone=backbone).backbone_stage("s", weighting)


def test_a_backbone_without_a_representation_says_so(make_trainer, table):
    weighting = _Recorder(table.schema.tasks, "representation")
    trainer = make_trainer(weighting)
    with pytest.raises(UsageError, match="ToyBackbone has no shared representation that _Recorder could use"):
        trainer.backbone_stage("s", weighting).backward(trainer.train.batch(torch.arange(8)))


class _SecondLook(LossWeighting):
    learning_rate = 0.5

    def __init__(self, tasks):
        super().__init__(tasks)
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.seen = []

    def combine(self, losses, logits, batch):
        self.means = losses.mean().detach()
        return Weighted(self.scale * losses.mean().sum(), torch.ones(2))

    def look_again(self, losses):
        self.seen.append((self.means, losses(), losses()))


def test_a_second_look_drops_the_same_units_and_leaves_the_stream_of_draws_alone(make_trainer, table):
    weighting = _SecondLook(table.schema.tasks)
    trainer = make_trainer(weighting)
    stage = trainer.backbone_stage("s", weighting)
    stage.module.train()
    torch.manual_seed(5)
    stage.backward(trainer.train.batch(torch.arange(64)))
    state = torch.get_rng_state()
    stage.after_step()
    assert torch.equal(torch.get_rng_state(), state)
    (before, after, again) = weighting.seen[0]
    assert torch.equal(after, again)
    # No optimiser has moved anything, so that the losses under the same dropout are the same.
    torch.testing.assert_close(after, before, rtol=0, atol=1e-7)


def test_a_weighting_may_set_the_step_size_of_its_own_parameters(make_trainer, table):
    weighting = _SecondLook(table.schema.tasks)
    stage = make_trainer(weighting).backbone_stage("s", weighting)
    (adam,) = stage.optimizers(0.001, 0.1)
    assert [(group["lr"], group["weight_decay"]) for group in adam.param_groups] == [(0.001, 0.1), (0.5, 0.0)]


def test_where_the_generator_stands_is_part_of_the_state(table):
    one, other = _Recorder(table.schema.tasks), _Recorder(table.schema.tasks)
    one.generator.manual_seed(4)
    torch.rand(3, generator=one.generator)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert torch.equal(torch.rand(5, generator=one.generator), torch.rand(5, generator=other.generator))


@pytest.mark.parametrize("penalised", [0.0, 0.5])
def test_a_loss_weighting_adds_the_backbones_penalty(penalised, step, table):
    found, _, trainer = step(_SecondLook(table.schema.tasks), penalised=penalised)
    expected, _ = plain_gradients(trainer, torch.ones(2))
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient)
