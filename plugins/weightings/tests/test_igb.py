from __future__ import annotations

import math

import pytest
import torch

from rmtl_bench.contracts import Task
from rmtl_bench_weightings.igb import ImprovableGap


def make(*epochs):
    weighting = ImprovableGap([Task("click"), Task("pay")]).double()
    for epoch in epochs:
        weighting.after_epoch(torch.tensor(epoch, dtype=torch.float64))
    return weighting


def balance(weighting, losses, known=(True, True)):
    means = torch.tensor(losses, dtype=torch.float64, requires_grad=True)
    loss, weights = weighting.balance(means, torch.tensor(known))
    (gradient,) = torch.autograd.grad(loss, means)
    torch.testing.assert_close(gradient, weights)
    return loss.item(), weights.tolist()


def test_the_first_epoch_is_the_sum_of_the_logarithms():
    loss, weights = balance(make(), [0.5, 0.2])
    assert loss == pytest.approx(math.log(0.5) + math.log(0.2))
    assert weights == pytest.approx([2.0, 5.0])


def test_later_epochs_weigh_the_logarithms_by_what_is_left_of_the_loss():
    loss, weights = balance(make([1.0, 0.5]), [0.5, 0.4])
    parts = [math.exp(0.5 / 1.0), math.exp(0.4 / 0.5)]
    of_logarithms = [2 * part / sum(parts) for part in parts]
    assert loss == pytest.approx(of_logarithms[0] * math.log(0.5) + of_logarithms[1] * math.log(0.4))
    assert weights == pytest.approx([of_logarithms[0] / 0.5, of_logarithms[1] / 0.4])
    assert of_logarithms[1] > 1 > of_logarithms[0]


def test_the_base_is_that_of_the_first_epoch():
    assert balance(make([1.0, 0.5]), [0.5, 0.4]) == balance(make([1.0, 0.5], [0.7, 0.1], [9.0, 9.0]), [0.5, 0.4])


def test_a_task_without_labels_in_the_first_epoch_takes_its_base_later():
    assert make([1.0, 0.0]).base.tolist() == [1.0, 0.0]
    assert make([1.0, 0.0], [0.7, 0.4]).base.tolist() == [1.0, 0.4]
    _, weights = balance(make([1.0, 0.0]), [1.0, 0.3])
    assert weights == pytest.approx([1.0, 1 / 0.3])


def test_a_task_without_a_label_in_the_batch_is_left_out():
    loss, weights = balance(make([1.0, 0.5]), [0.5, 0.0], (True, False))
    assert loss == pytest.approx(math.log(0.5))
    assert weights == pytest.approx([2.0, 0.0])


def test_the_scale_of_a_loss_is_no_matter():
    _, weights = balance(make([1.0, 0.5]), [0.5, 0.4])
    _, scaled = balance(make([1.0, 50.0]), [0.5, 40.0])
    assert [scaled[0], scaled[1] * 100] == pytest.approx(weights)
