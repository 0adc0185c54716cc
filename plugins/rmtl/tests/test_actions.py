"""The actions that critics are trained on."""

from __future__ import annotations

import math

import pytest
import torch

from rmtl_bench_rmtl.actions import TrainingActions

ROWS = 4000


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def actor():
    """Logits [ROWS, 2] that lie about -3 and -1."""
    return torch.randn(ROWS, 2, generator=generator(9)) + torch.tensor([-3.0, -1.0])


def distance_from_uniform(values):
    """Return the Kolmogorov-Smirnov distance of values from U(0, 1)."""
    ordered = values.sort().values
    steps = torch.arange(1, len(ordered) + 1) / len(ordered)
    return max((steps - ordered).max().item(), (ordered - steps + 1 / len(ordered)).max().item())


def test_without_noise_and_uniform_rows_actions_are_the_actors_own(actor):
    assert torch.equal(TrainingActions(0.0, 0.0).draw(actor, generator()), actor)


def test_the_actors_logits_are_left_as_they_are(actor):
    before = actor.clone()
    TrainingActions(3.0, 0.5).draw(actor, generator())
    assert torch.equal(actor, before)


@pytest.mark.parametrize("noise", [0.5, 3.0])
def test_noise_is_normal_on_the_logits_and_independent_by_row_and_task(actor, noise):
    added = TrainingActions(noise, 0.0).draw(actor, generator()) - actor
    # Four and a half standard errors.
    assert added.mean(0).abs().max() < 4.5 * noise / math.sqrt(ROWS)
    assert added.std(0).tolist() == pytest.approx([noise, noise], rel=0.06)
    for task in range(2):
        uniform = 0.5 * (1 + torch.erf(added[:, task] / noise / math.sqrt(2)))
        assert distance_from_uniform(uniform) < 2 / math.sqrt(ROWS)
    pairs = torch.cat([added.T, actor.T])
    assert (torch.corrcoef(pairs) - torch.eye(4))[:2].abs().max() < 4.5 / math.sqrt(ROWS)


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_uniform_actions_know_nothing_of_the_actor(actor, noise):
    drawn = TrainingActions(noise, 1.0).draw(actor, generator())
    other = TrainingActions(noise, 1.0).draw(-2 * actor, generator())
    assert torch.equal(drawn, other)
    probabilities = torch.sigmoid(drawn)
    for task in range(2):
        assert distance_from_uniform(probabilities[:, task]) < 2 / math.sqrt(ROWS)
    assert abs(torch.corrcoef(probabilities.T)[0, 1]) < 4.5 / math.sqrt(ROWS)


def test_uniform_actions_are_finite_and_keep_their_distance_from_0_and_1():
    drawn = TrainingActions(0.0, 1.0).draw(torch.zeros(200_000, 1), generator())
    # Beyond, the reward's clip at a logit of 15 and its slope there would be all that is learnt.
    assert drawn.abs().max() < 9.3


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_share_of_the_rows_is_uniform_in_all_tasks_and_the_rest_is_the_actors(actor, share):
    uniform = TrainingActions(0.0, share).draw(actor, generator()) != actor
    assert torch.equal(uniform[:, 0], uniform[:, 1])
    error = math.sqrt(share * (1 - share) / ROWS)
    assert uniform[:, 0].float().mean().item() == pytest.approx(share, abs=4.5 * error)


def test_the_same_generator_draws_the_same_and_goes_on_with_others(actor):
    actions = TrainingActions(3.0, 0.1)
    one, other = generator(1), generator(1)
    first = actions.draw(actor, one)
    assert torch.equal(first, actions.draw(actor, other))
    assert not torch.equal(first, actions.draw(actor, one))
    assert not torch.equal(first, actions.draw(actor, generator(2)))


def test_the_global_random_state_is_left_alone(actor):
    before = torch.get_rng_state()
    TrainingActions(3.0, 0.1).draw(actor, generator())
    assert torch.equal(torch.get_rng_state(), before)
