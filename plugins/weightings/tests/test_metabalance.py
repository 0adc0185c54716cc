from __future__ import annotations

import numpy as np
import pytest
import torch

from rmtl_bench.contracts import Task, UsageError
from rmtl_bench_weightings.metabalance import MetaBalance

GOLDEN = torch.tensor([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], dtype=torch.float64)
NAMES = ("click", "pay", "like")


def make(tasks=2, **parameters):
    return MetaBalance([Task(name) for name in NAMES[:tasks]], **parameters)


def losses(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_golden_vector():
    (direction,), weights = make(beta=0.0).directions([GOLDEN], losses(0.2, 0.05))
    torch.testing.assert_close(direction, losses(0.69064, 1.78177, 1.78177), rtol=0, atol=1e-5)
    assert weights.tolist() == pytest.approx([1.0, 0.78177], abs=1e-5)


@pytest.mark.parametrize("target", [0, 2])
def test_each_tensor_has_averages_of_its_own_as_in_the_paper(target):
    generator = np.random.default_rng(0)
    weighting = make(3, target=NAMES[target], beta=0.8, relax=0.6)
    sizes = (4, 1, 3)
    averages = np.zeros((4, 3))
    for _ in range(4):
        jacobians = [generator.normal(size=(3, size)) * [[1.0], [4.0], [0.3]] for size in sizes]
        directions, weights = weighting.directions([torch.tensor(j) for j in jacobians], losses(1.0, 1.0, 1.0))
        for row, jacobian in enumerate([*jacobians, np.concatenate(jacobians, axis=1)]):
            for k in range(3):
                averages[row, k] = 0.8 * averages[row, k] + 0.2 * np.linalg.norm(jacobian[k])
        for row, (direction, jacobian) in enumerate(zip(directions, jacobians, strict=True)):
            ratios = averages[row, target] / averages[row]
            expected = sum(0.6 * ratios[k] * jacobian[k] + 0.4 * jacobian[k] for k in range(3))
            assert direction.tolist() == pytest.approx(expected.tolist())
        assert weights.tolist() == pytest.approx((0.6 * averages[3, target] / averages[3] + 0.4).tolist())


def test_full_relaxation_gives_every_gradient_the_targets_length():
    _, weights = make(3, target="like", beta=0.0, relax=1.0).directions(
        [torch.diag(losses(1.0, 4.0, 2.0))], losses(1, 1, 1)
    )
    assert weights.tolist() == pytest.approx([2.0, 0.5, 1.0])


def test_no_relaxation_is_the_sum_of_the_gradients():
    (direction,), weights = make(relax=0.0).directions([GOLDEN], losses(0.2, 0.05))
    assert direction.tolist() == [2.0, 2.0, 2.0]
    assert weights.tolist() == [1.0, 1.0]


def test_an_unknown_target_is_refused_in_one_line():
    with pytest.raises(
        UsageError, match=r"^weighting 'metabalance': target 'clik' is no task; did you mean 'click'\?$"
    ):
        make(target="clik")


@pytest.mark.parametrize("target", ["click", "pay"])
def test_a_task_without_a_label_keeps_its_averages(target):
    weighting = make(target=target, beta=0.5)
    weighting.directions([GOLDEN], losses(0.2, 0.05))
    kept = weighting.averages[..., 1].clone()
    (direction,), _ = weighting.directions([GOLDEN * losses(1.0, 0.0)[:, None]], losses(0.2, 0.0))
    assert torch.equal(weighting.averages[..., 1], kept)
    factor = 1.0 if target == "click" else 0.7 * 38**0.5 / 18**0.5 + 0.3
    torch.testing.assert_close(direction, factor * GOLDEN[0])


def test_a_task_first_seen_late_is_not_taken_for_a_short_gradient():
    weighting = make(beta=0.9)
    for _ in range(5):
        weighting.directions([GOLDEN * losses(1.0, 0.0)[:, None]], losses(0.2, 0.0))
    _, weights = weighting.directions([GOLDEN], losses(0.2, 0.05))
    assert weights.tolist() == pytest.approx([1.0, 0.78177], abs=1e-5)


def test_a_tensor_without_a_gradient_of_the_target_is_left_as_it_is():
    tower = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    (shared, alone), _ = make(beta=0.0).directions([GOLDEN, tower], losses(0.2, 0.05))
    assert shared.tolist() == pytest.approx([0.69064, 1.78177, 1.78177], abs=1e-5)
    assert alone.tolist() == [3.0, 4.0]
