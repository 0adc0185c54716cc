"""The weights and directions of every gradient weighting, and the losses of every loss weighting, on known numbers.

J = [[-4, 1, 1], [6, 1, 1]] in float64. Closed forms where there is one, else torchjd 0.18 or scipy.
"""

from __future__ import annotations

import pytest
import torch

J = torch.tensor([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], dtype=torch.float64)
L = torch.tensor([0.2, 0.05], dtype=torch.float64)

GRADIENT = [
    ("mgda", {}, (0.6, 0.4), (0, 1, 1)),
    ("pcgrad", {}, (2.22222, 1.57895), (0.58480, 3.80117, 3.80117)),
    ("gradvac", {}, (2.22222, 1.57895), (0.58480, 3.80117, 3.80117)),
    ("upgrad", {}, (1.11092, 0.78943), (0.29290, 1.90035, 1.90035)),
    ("dualproj", {}, (0.61092, 0.5), (0.55632, 1.11092, 1.11092)),
    ("imtl-g", {}, (0.59233, 0.40767), (0.07670, 1, 1)),
    ("nash-mtl", {}, (0.59146, 0.40707), (0.07658, 0.99853, 0.99853)),
    ("fairgrad", {"alpha": 1.0}, (0.59146, 0.40707), (0.07658, 0.99853, 0.99853)),
    ("fairgrad", {"alpha": 2.0}, (0.47136, 0.31945), (0.03127, 0.79082, 0.79082)),
    ("aligned-mtl", {}, (0.55907, 0.40826), (0.21328, 0.96733, 0.96733)),
    ("cagrad", {}, (0.70412, 0.5), (0.18350, 1.20412, 1.20412)),
    ("cagrad", {"rescale": True}, (0.56330, 0.4), (0.14680, 0.96330, 0.96330)),
    ("cagrad", {"c": 0.0}, (0.5, 0.5), (1, 1, 1)),
    ("config", {}, (1.22648, 0.84412), (0.15881, 2.07061, 2.07061)),
]


@pytest.mark.parametrize(("name", "parameters", "weights", "direction"), GRADIENT)
@pytest.mark.parametrize("parts", [(3,), (2, 1)], ids=["whole", "in parts"])
def test_weights_and_direction(name, parameters, weights, direction, parts, make):
    directions, found = make(name, **parameters).directions(J.split(parts, dim=1), L)
    torch.testing.assert_close(found, torch.tensor(weights, dtype=torch.float64), rtol=0, atol=1e-5)
    expected = torch.tensor(direction, dtype=torch.float64)
    torch.testing.assert_close(torch.cat(tuple(directions)), expected, rtol=0, atol=1e-5)


LOSS = [
    ("fixed", {}, 0.25, (1, 1)),
    ("gls", {}, 0.1, (0.25, 1.0)),
    ("stch", {"smoothing": 0.1}, 0.138687, (0.33959, 0.16041)),
    ("famo", {}, None, (0.2, 0.8)),
    ("uncertainty", {}, 0.25, (1, 1)),
    ("uncertainty-regression", {}, 0.125, (0.5, 0.5)),
    ("imtl-l", {}, 0.25, (1, 1)),
    ("dwa", {}, 0.25, (1, 1)),
    # 0.125 - 0.1 cos; d cos / dL_k = (1/sqrt 2 - cos L_k / |L|) / |L|
    ("cosmos", {"cosine": 0.1}, 0.0392507, (0.56053, 0.25788)),
    # d_1 = .25 / sqrt 2, d_2 = .15 / sqrt 2; derivatives (1 +- 5) / sqrt 2
    ("pbi", {"penalty": 5.0}, 0.7071068, (4.24264, -2.82843)),
]


@pytest.mark.parametrize(("name", "parameters", "value", "weights"), LOSS)
def test_loss_and_weights(name, parameters, value, weights, make, combine):
    loss, found = combine(make(name, **parameters), L[None].clone().requires_grad_())
    torch.testing.assert_close(found.double(), torch.tensor(weights, dtype=torch.float64), rtol=0, atol=1e-5)
    if value is not None:
        assert loss.item() == pytest.approx(value, abs=1e-6)


def test_famo_moves_its_logits_by_adams_first_step_and_the_softmaxs_jacobian(make, combine):
    weighting = make("famo")
    losses = L[None].clone().requires_grad_()
    combine(weighting, losses)
    weighting.look_again(lambda: torch.tensor([0.1, 0.05], dtype=torch.float64))
    # delta = (log 2, 0), J_softmax^T delta = (log 2 / 4, -log 2 / 4): Adam's first step is .025 against the sign.
    logits = torch.tensor([-0.025, 0.025])
    torch.testing.assert_close(weighting.method._w.detach(), logits, rtol=0, atol=1e-5)
    z = logits.softmax(0)
    expected = z / L / (z / L).sum()
    torch.testing.assert_close(combine(weighting, losses).weights.float(), expected.float(), rtol=0, atol=1e-5)


def test_gradvac_turns_towards_the_usual_cosine(make):
    weighting = make("gradvac", decay=1.0)
    agreeing = torch.tensor([[1.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    weighting.task_weights(agreeing, L)
    # With decay 1 the target is the last cosine, .5. Now the gradients are orthogonal: phi = 0 < t = .5.
    added = 0.5 / (3**0.5 / 2)
    expected = torch.full((2,), 1 + added, dtype=torch.float64)
    torch.testing.assert_close(
        weighting.task_weights(torch.eye(2, dtype=torch.float64), L), expected, rtol=0, atol=1e-6
    )


def test_excess_mtl_weighs_by_the_exponent_of_the_excess_risk(make):
    weighting = make("excess-mtl")
    first = (J**2 / (J**2 + 1e-7).sqrt()).sum(1)
    torch.testing.assert_close(weighting.direction(J, L)[1], first.softmax(0), rtol=0, atol=1e-6)
    # Twice the same gradient: S = 2 g^2, so that e falls to 1 / sqrt 2 of its first value for both tasks alike.
    torch.testing.assert_close(weighting.direction(J, L)[1], first.softmax(0), rtol=0, atol=1e-5)


def test_modo_takes_one_projected_step_from_even_weights(make):
    gramian = torch.tensor([[2.0, -1.0], [0.0, 1.0]], dtype=torch.float64)
    found = make("modo", step_size=0.1, ridge=0.1).task_weights(gramian, L)
    stepped = torch.tensor([0.5 - 0.1 * (0.5 + 0.05), 0.5 - 0.1 * (0.5 + 0.05)], dtype=torch.float64)
    expected = stepped + (1 - stepped.sum()) / 2
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_sdmgrad_takes_projected_steps_from_even_weights_and_adds_the_pull(make):
    gramian = torch.tensor([[1.0, 0.2], [0.2, 1.0]], dtype=torch.float64)
    even = make("sdmgrad").task_weights(gramian, L)
    torch.testing.assert_close(even, torch.full((2,), 0.5).double(), rtol=0, atol=1e-9)
    # Mean length 1.366: a = G / 1.866; .5 - 10 a (.65, .65) = (-3.68, -10.65) is projected to (1, 0).
    uneven = torch.tensor([[1.0, 0.2], [0.2, 3.0]], dtype=torch.float64)
    expected = torch.tensor([1.15, 0.15], dtype=torch.float64) / 1.3
    torch.testing.assert_close(make("sdmgrad", steps=1).task_weights(uneven, L), expected, rtol=0, atol=1e-9)


def test_graddrop_keeps_one_sign_of_each_element_with_its_purity(make):
    weighting = make("graddrop")
    drawn = torch.stack([weighting.direction(J, L)[0] for _ in range(2000)])
    assert set(drawn[:, 0].tolist()) == {-4.0, 6.0}
    assert (drawn[:, 1:] == 2).all()
    # P = (1 + (6 - 4) / (6 + 4)) / 2 = .6
    assert (drawn[:, 0] == 6).double().mean().item() == pytest.approx(0.6, abs=0.05)
    assert set(make("graddrop", leak=0.5).direction(J, L)[0][:1].tolist()) <= {-4 + 3.0, 6 - 2.0}
