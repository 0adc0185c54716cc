"""Closed forms and solvers against each other, against brute force, and on gradients of any size."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from rmtl_bench_weightings.dual_cone import LeastSquaresProjector

LENGTHS = st.floats(0.01, 100.0)
COSINES = st.floats(-0.99, 0.99)


def gramian_of_two(first, second, cosine):
    return torch.tensor([[first**2, cosine * first * second], [cosine * first * second, second**2]]).double()


def jacobian(tasks, seed, size=6):
    return torch.randn(tasks, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights_of(weighting, gramian):
    return weighting.task_weights(gramian, torch.ones(len(gramian), dtype=torch.float64))


@settings(deadline=None, max_examples=40)
@given(first=LENGTHS, second=LENGTHS, cosine=COSINES)
def test_nash_solves_its_equation_at_two_tasks(first, second, cosine, make):
    gramian = gramian_of_two(first, second, cosine)
    w = weights_of(make("nash-mtl"), gramian)
    torch.testing.assert_close(gramian @ w * w, torch.ones(2).double(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e3])
@pytest.mark.parametrize(("name", "parameters", "power"), [("nash-mtl", {}, 1.0), ("fairgrad", {"alpha": 2.0}, 0.5)])
@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_fair_weights_solve_their_equation_however_small_the_gradients(name, parameters, power, tasks, scale, make):
    j = scale * jacobian(tasks, seed=1)
    w = weights_of(make(name, tasks, **parameters), j @ j.T)
    assert (w > 0).all()
    torch.testing.assert_close(j @ j.T @ w * w**power, torch.ones(tasks).double(), rtol=1e-3, atol=1e-3)


@settings(deadline=None, max_examples=40)
@given(first=LENGTHS, second=LENGTHS, cosine=COSINES, c=st.floats(0.0, 2.0))
def test_cagrad_at_two_tasks_is_the_best_on_a_fine_grid(first, second, cosine, c, make):
    gramian = gramian_of_two(first, second, cosine)
    even = torch.full((2,), 0.5, dtype=torch.float64)
    radius = c * (even @ gramian @ even).sqrt()

    def value(w):
        return w @ gramian @ even + radius * ((w @ gramian) * w).sum(-1).clamp(min=0).sqrt()

    found = weights_of(make("cagrad", c=c), gramian)
    shares = torch.linspace(0, 1, 2001, dtype=torch.float64)
    grid = torch.stack([shares, 1 - shares], 1)
    best = value(grid).min()
    if c > 0.01:
        worst = (found - even) / (found - even).sum()
        assert value(worst) <= best + 1e-6 * gramian.trace()
        assert (worst >= -1e-9).all()


def test_cagrad_at_three_tasks_is_the_best_on_a_fine_grid(make):
    j = jacobian(3, seed=3)
    gramian, even = j @ j.T, torch.full((3,), 1 / 3, dtype=torch.float64)
    radius = 0.5 * (even @ gramian @ even).sqrt()
    steps = 60
    corners = [p for p in itertools.product(range(steps + 1), repeat=3) if sum(p) == steps]
    grid = torch.tensor(corners, dtype=torch.float64) / steps
    found = weights_of(make("cagrad", 3), gramian) - even
    worst = found / found.sum()
    values = [(w @ gramian @ even + radius * ((w @ gramian) * w).sum(-1).sqrt()).min() for w in (grid, worst[None])]
    assert values[1] <= values[0] + 1e-9


@settings(deadline=None, max_examples=40)
@given(first=LENGTHS, second=LENGTHS, cosine=COSINES)
def test_mgda_at_two_tasks_is_the_shortest_vector(first, second, cosine, make):
    gramian = gramian_of_two(first, second, cosine)
    w = weights_of(make("mgda"), gramian)
    shares = torch.linspace(0, 1, 2001, dtype=torch.float64)
    grid = torch.stack([shares, 1 - shares], 1)
    assert w @ gramian @ w <= ((grid @ gramian) * grid).sum(1).min() + 1e-9
    assert w.sum().item() == pytest.approx(1)


@pytest.mark.parametrize(("name", "rows"), [("upgrad", "each"), ("dualproj", "mean")])
@pytest.mark.parametrize("scale", [1e-4, 1.0])
@pytest.mark.parametrize("tasks", [2, 4])
def test_the_dual_cone_is_that_of_a_general_solver(name, rows, scale, tasks, make):
    j = scale * jacobian(tasks, seed=5)
    gramian = (j @ j.T).numpy()
    regular = gramian / np.trace(gramian) + 1e-4 * np.eye(tasks)

    def projected(u):
        bounds = [(low, None) for low in u]
        start = u + 0.1
        found = minimize(
            lambda v: v @ regular @ v, start, jac=lambda v: 2 * regular @ v, bounds=bounds, options={"ftol": 1e-15}
        )
        return found.x

    even = np.full(tasks, 1 / tasks)
    expected = sum(projected(row) for row in np.diag(even)) if rows == "each" else projected(even)
    found = weights_of(make(name, tasks), j @ j.T)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=2e-4)
    assert ((j @ j.T @ found) >= -2e-3 * scale**2).all()


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_config_has_the_same_angle_with_every_gradient(tasks, make):
    j = jacobian(tasks, seed=7)
    direction, weights = make("config", tasks).direction(j, torch.ones(tasks).double())
    cosines = j @ direction / j.norm(dim=1) / direction.norm()
    torch.testing.assert_close(cosines, cosines[0].expand(tasks))
    torch.testing.assert_close(weights @ j, direction)
    torch.testing.assert_close(direction.norm(), (j @ direction / direction.norm()).sum())


def test_a_vector_outside_the_dual_cone_loses_what_is_against_it():
    gramian = torch.eye(2, dtype=torch.float64)
    vectors = torch.tensor([[1.0, -1.0], [0.5, 0.5]], dtype=torch.float64)
    expected = torch.tensor([[1.0, 0.0], [0.5, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(LeastSquaresProjector()(vectors, gramian), expected)
