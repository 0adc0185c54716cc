from __future__ import annotations

import inspect
from importlib import import_module

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench_weightings.plugin import rmtl_weightings

NAMES = [info.name for info in rmtl_weightings()]


@pytest.mark.parametrize("info", rmtl_weightings(), ids=lambda info: info.name)
def test_described_parameters_and_defaults_are_those_of_the_constructor(info):
    module, _, target = info.target.partition(":")
    signature = inspect.signature(getattr(import_module(module), target).__init__)
    defaults = {n: p.default for n, p in signature.parameters.items() if n not in ("self", "tasks")}
    assert defaults == info.resolve({})
    assert all(parameter.help for parameter in info.parameters.values())


@pytest.mark.parametrize("tasks", [1, 2, 3, 5])
def test_the_loss_is_a_finite_scalar_and_the_weights_are_one_a_task(name, tasks, make, combine):
    per_sample = torch.rand(7, tasks, requires_grad=True)
    loss, weights = combine(make(name, tasks), per_sample)
    assert loss.shape == ()
    assert loss.isfinite()
    assert weights.shape == (tasks,)
    assert not weights.requires_grad
    assert (weights > 0).all()


def test_the_gradient_of_each_loss_is_its_reported_weight(name, make, combine):
    weighting = make(name, 3)
    weighting.after_epoch(torch.tensor([0.9, 0.5, 0.2]))
    weighting.after_epoch(torch.tensor([0.6, 0.4, 0.19]))
    per_sample = torch.rand(7, 3, requires_grad=True)
    loss, weights = combine(weighting, per_sample)
    (gradient,) = torch.autograd.grad(loss, per_sample)
    torch.testing.assert_close(gradient.sum(0), weights)


def test_missing_labels_are_ignored(name, make, combine):
    known = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 0.0]])
    mask = torch.tensor([[True, True], [True, True], [True, False]])
    loss, weights = combine(make(name), known, mask)
    means = torch.tensor([3.0, 3.0])
    torch.testing.assert_close(loss, (weights * means).sum())


def test_a_batch_without_any_label_of_a_task_gives_it_no_gradient(name, make, combine):
    weighting = make(name)
    per_sample = torch.tensor([[0.3, 0.0], [0.5, 0.0]], requires_grad=True)
    loss, weights = combine(weighting, per_sample, torch.tensor([[True, False], [True, False]]))
    torch.testing.assert_close(loss, weights[0] * 0.4)
    loss.backward()
    for parameter in weighting.parameters():
        assert parameter.grad is not None
        assert parameter.grad[1] == 0


@pytest.mark.parametrize("permuted", [n for n in NAMES if n != "random"])
@settings(deadline=None)
@given(
    epochs=st.lists(st.lists(st.floats(0.01, 2.0), min_size=3, max_size=3), max_size=4), order=st.permutations(range(3))
)
def test_permuting_the_tasks_permutes_the_weights(permuted, epochs, order, make, combine):
    one, other = make(permuted, 3), make(permuted, 3)
    for epoch in epochs:
        one.after_epoch(torch.tensor(epoch))
        other.after_epoch(torch.tensor(epoch)[order])
    per_sample = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    loss, weights = combine(one, per_sample)
    permuted_loss, permuted_weights = combine(other, per_sample[:, order])
    torch.testing.assert_close(permuted_weights, weights[order])
    torch.testing.assert_close(permuted_loss, loss)


def test_weights_already_reported_do_not_change_later(name, make, combine):
    weighting = make(name)
    reported = []
    optimizer = torch.optim.Adam([*weighting.parameters(), torch.nn.Parameter(torch.zeros(1))], 0.1)
    for epoch in range(4):
        optimizer.zero_grad()
        loss, weights = combine(weighting, torch.tensor([[0.9 / (epoch + 1), 0.8]], requires_grad=True))
        loss.backward()
        optimizer.step()
        weighting.after_step()
        weighting.after_epoch(torch.tensor([0.9 / (epoch + 1), 0.8]))
        reported.append((weights, weights.clone()))
    assert all(torch.equal(weights, then) for weights, then in reported)


def test_the_global_generator_is_left_alone(name, make, combine):
    weighting = make(name)
    before = torch.get_rng_state()
    combine(weighting, torch.ones(3, 2))
    weighting.after_epoch(torch.ones(2))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("resumed", ["dwa", "uncertainty"])
def test_a_saved_state_resumes_identically(resumed, make, combine):
    history = torch.rand(6, 5, 2, generator=torch.Generator().manual_seed(0))

    def train(weighting, epochs):
        optimizer = torch.optim.SGD([*weighting.parameters(), torch.nn.Parameter(torch.zeros(1))], 0.1)
        used = []
        for per_sample in epochs:
            optimizer.zero_grad()
            loss, weights = combine(weighting, per_sample.clone().requires_grad_())
            loss.backward()
            optimizer.step()
            weighting.after_step()
            weighting.after_epoch(per_sample.mean(0))
            used.append(weights.clone())
        return torch.stack(used)

    whole = train(make(resumed), history)
    for stop in (1, 2, 4):
        first, second = make(resumed), make(resumed)
        train(first, history[:stop])
        second.load_state_dict(first.state_dict())
        assert torch.equal(train(second, history[stop:]), whole[stop:])
