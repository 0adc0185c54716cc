"""What holds for every weighting that makes one scalar of the losses."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench_weightings.plugin import rmtl_weightings

NAMES = [info.name for info in rmtl_weightings() if info.form == "loss"]
every = pytest.mark.parametrize("name", NAMES)

# Their weights are not positive by construction, and say so.
SIGNED = {"cosmos", "pbi"}


@every
@pytest.mark.parametrize("tasks", [1, 2, 3, 5])
def test_the_loss_is_a_finite_scalar_and_the_weights_are_one_a_task(name, tasks, make, combine):
    loss, weights = combine(make(name, tasks), torch.rand(7, tasks, requires_grad=True))
    assert loss.shape == ()
    assert loss.isfinite()
    assert weights.shape == (tasks,)
    assert not weights.requires_grad
    assert (weights > 0).all() or name in SIGNED


@every
@pytest.mark.parametrize("unknown", [0.0, 123.0])
def test_missing_labels_are_ignored(name, unknown, make, combine):
    known = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 0.0]], requires_grad=True)
    mask = torch.tensor([[True, True], [True, True], [True, False]])
    whole = torch.tensor([[3.0, 3.0]], requires_grad=True)
    torch.testing.assert_close(combine(make(name), known, mask).weights, combine(make(name), whole).weights)
    torch.testing.assert_close(combine(make(name), known, mask).loss, combine(make(name), whole).loss)


@every
def test_a_batch_without_any_label_of_a_task_gives_it_no_gradient(name, make, combine):
    weighting = make(name)
    per_sample = torch.tensor([[0.3, 0.0], [0.5, 0.0]], requires_grad=True)
    loss, weights = combine(weighting, per_sample, torch.tensor([[True, False], [True, False]]))
    (gradient,) = torch.autograd.grad(loss, per_sample, retain_graph=True)
    torch.testing.assert_close(gradient[:, 0].sum(), weights[0])
    assert weights[0] > 0
    assert loss.isfinite()
    loss.backward()
    for parameter in weighting.parameters():
        assert parameter.grad is not None
        assert parameter.grad[1] == 0


@pytest.mark.parametrize("permuted", [n for n in NAMES if n != "random"])
@settings(deadline=None, max_examples=30)
@given(
    epochs=st.lists(st.lists(st.floats(0.01, 2.0), min_size=3, max_size=3), max_size=4), order=st.permutations(range(3))
)
def test_permuting_the_tasks_permutes_the_weights(permuted, epochs, order, make, combine):
    one, other = make(permuted, 3), make(permuted, 3)
    steps = torch.rand(4, 5, 3, generator=torch.Generator().manual_seed(0))
    for losses in steps:
        loss, weights = combine(one, losses.clone().requires_grad_())
        permuted_loss, permuted_weights = combine(other, losses[:, order].clone().requires_grad_())
        torch.testing.assert_close(permuted_weights, weights[order])
        torch.testing.assert_close(permuted_loss, loss)
        after = losses.mean(0) * torch.tensor([0.9, 0.7, 0.8])
        one.look_again(lambda after=after: after)
        other.look_again(lambda after=after: after[order])
        if epochs:
            epoch = torch.tensor(epochs.pop())
            one.after_epoch(epoch)
            other.after_epoch(epoch[order])


def test_random_weights_favour_no_task(make, combine):
    weighting = make("random", 3)
    drawn = torch.stack([combine(weighting, torch.ones(1, 3)).weights for _ in range(3000)])
    torch.testing.assert_close(drawn.mean(0), torch.full((3,), 1 / 3), rtol=0, atol=0.02)


@every
def test_losses_that_are_not_finite_give_a_loss_that_is_not_and_no_exception(name, make, combine):
    loss, _ = combine(make(name), torch.tensor([[float("nan"), 0.5]], requires_grad=True))
    assert not loss.isfinite()
