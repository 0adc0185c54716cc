from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from rmtl_bench.contracts import Task, UsageError
from rmtl_bench_weightings.pe_ltr import ParetoEfficient

GOLDEN = np.array([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]])


def weights_of(jacobian, **parameters):
    weighting = ParetoEfficient([Task(f"t{k}") for k in range(len(jacobian))], **parameters)
    direction, weights = weighting.direction(torch.tensor(jacobian), torch.ones(len(jacobian), dtype=torch.float64))
    assert direction.tolist() == pytest.approx((weights.numpy() @ jacobian).tolist(), rel=1e-9, abs=1e-12)
    return weights.numpy()


@pytest.mark.parametrize("least", [0.0, 0.1, 0.4])
def test_bounds_that_do_not_bind_give_the_golden_vector_of_mgda(least):
    weights = weights_of(GOLDEN, least=least)
    assert weights.tolist() == pytest.approx([0.6, 0.4], abs=1e-9)
    assert (weights @ GOLDEN).tolist() == pytest.approx([0.0, 1.0, 1.0], abs=1e-9)


@pytest.mark.parametrize(("least", "expected"), [(0.0, [1.0, 0.0]), (0.1, [0.9, 0.1]), (0.5, [0.5, 0.5])])
def test_bounds_that_bind_are_kept(least, expected):
    assert weights_of(np.array([[1.0, 0.0], [3.0, 0.0]]), least=least).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("least", [0.0, 0.05, 0.2])
def test_the_two_steps_are_those_of_the_paper(least, seed):
    jacobian = np.random.default_rng(seed).normal(size=(4, 6)) * [[1.0], [3.0], [0.3], [1.0]]
    gramian = jacobian @ jacobian.T
    system = np.block([[gramian, np.ones((4, 1))], [np.ones((1, 4)), np.zeros((1, 1))]])
    shifted = np.linalg.solve(system, np.append(-gramian @ np.full(4, least), 1 - 4 * least))[:4]
    nearest = minimize(
        lambda w: np.sum((w - shifted) ** 2),
        np.full(4, 0.25 - least),
        bounds=[(0, None)] * 4,
        constraints={"type": "eq", "fun": lambda w: w.sum() - (1 - 4 * least)},
        options={"ftol": 1e-14},
    )
    assert weights_of(jacobian, least=least).tolist() == pytest.approx((nearest.x + least).tolist(), abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_weights_sum_to_one_and_keep_the_bound(seed):
    weights = weights_of(np.random.default_rng(seed).normal(size=(5, 8)), least=0.15)
    assert weights.sum() == pytest.approx(1.0)
    assert weights.min() >= 0.15


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_scale_of_all_gradients_is_no_matter(scale):
    jacobian = np.random.default_rng(0).normal(size=(3, 4))
    assert weights_of(scale * jacobian).tolist() == pytest.approx(weights_of(jacobian).tolist())


def test_gradients_of_very_different_lengths_are_solved():
    jacobian = np.diag([1.0, 1e-4, 2e-4])
    expected = np.array([1e-8, 1.0, 0.25])
    assert weights_of(jacobian, least=0.0).tolist() == pytest.approx((expected / expected.sum()).tolist(), rel=1e-6)


def test_equal_gradients_share_evenly():
    weights = weights_of(np.vstack([GOLDEN[:1], GOLDEN[:1], GOLDEN[:1]]).astype(np.float32).astype(float), least=0.0)
    assert weights.tolist() == pytest.approx([1 / 3] * 3)


def test_a_task_without_a_label_has_no_weight():
    assert weights_of(np.vstack([GOLDEN, np.zeros(3)])).tolist() == pytest.approx([0.6, 0.4, 0.0])


@pytest.mark.parametrize(("tasks", "least"), [(3, 0.34), (11, 0.1), (2, -0.1)])
def test_bounds_that_cannot_all_be_kept_are_refused_in_one_line(tasks, least):
    expected = (
        rf"^weighting 'pe-ltr': parameter 'least' is {least}; with {tasks} tasks it takes values from 0 to 1/{tasks}$"
    )
    with pytest.raises(UsageError, match=expected):
        ParetoEfficient([Task(f"t{k}") for k in range(tasks)], least=least)
