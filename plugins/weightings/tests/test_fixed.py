from __future__ import annotations

import re

import pytest
import torch
from torch.nn import functional as F

from rmtl_bench.contracts import UsageError


def test_unit_weights_are_the_default_and_give_the_sum(make, combine, losses_of):
    loss, weights = combine(make("fixed"), losses_of([0.5, 0.25]))
    assert torch.equal(weights, torch.ones(2))
    torch.testing.assert_close(loss, torch.tensor(0.75))


def test_given_weights_multiply(make, combine, losses_of):
    loss, weights = combine(make("fixed", weights=[2.0, 0.0]), losses_of([0.5, 0.25]))
    assert weights.tolist() == [2.0, 0.0]
    torch.testing.assert_close(loss, torch.tensor(1.0))


def test_one_task_alone_is_plain_cross_entropy_bit_for_bit(make, combine):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(257, 1, generator=generator, requires_grad=True)
    labels = torch.randint(2, (257, 1), generator=generator).float()
    plain = F.binary_cross_entropy_with_logits(logits, labels)
    loss, _ = combine(make("fixed", 1), F.binary_cross_entropy_with_logits(logits, labels, reduction="none"))
    assert torch.equal(loss, plain)
    assert torch.equal(*(torch.autograd.grad(value, logits)[0] for value in (loss, plain)))


def test_a_wrong_number_of_weights_names_the_weights_and_the_tasks(make):
    message = "weighting 'fixed': 3 weights (1, 2, 0.5) do not fit 2 tasks (t0, t1)"
    with pytest.raises(UsageError, match=re.escape(message)):
        make("fixed", weights=[1, 2, 0.5])
