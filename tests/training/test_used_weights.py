from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench.training.used_weights import QUANTILES, UsedWeights


@settings(deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_few_weights_give_the_numbers_of_all_of_them(sizes, seed):
    steps = [torch.randn(size, 3, generator=torch.Generator().manual_seed(seed)) for size in sizes]
    mean, quantiles = UsedWeights(3, steps).summary()
    together = torch.cat(steps).double()
    assert mean == together.mean(0).tolist()
    expected = np.quantile(together.numpy(), QUANTILES, axis=0)
    np.testing.assert_allclose(quantiles.numpy(), expected, rtol=1e-12)


@settings(deadline=None, max_examples=50)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=30), most=st.integers(2, 50))
def test_of_many_weights_an_even_sample_is_kept(sizes, most):
    count = sum(sizes)
    steps = torch.arange(count, dtype=torch.float32).reshape(-1, 1).split(sizes)
    weights = UsedWeights(1, steps, most_rows=most)
    kept = weights.kept().squeeze(1).tolist()
    stride = int(kept[1]) if len(kept) > 1 else count
    assert kept == list(range(0, count, stride))
    assert stride & (stride - 1) == 0 or len(kept) == 1
    assert len(kept) <= most
    assert len(kept) > most // 2 - 1 or stride == 1 or len(kept) == 1
    assert len(weights) == count
    assert weights.summary()[0] == pytest.approx([(count - 1) / 2], rel=1e-12)


def test_what_is_kept_does_not_keep_the_steps():
    weights = UsedWeights(2)
    for step in range(1000):
        weights.append(torch.full((2,), float(step)))
    assert weights.kept().untyped_storage().nbytes() <= 2 * 1000 * 2 * 4
    assert weights.kept()[:, 0].tolist() == list(range(1000))
    thinned = UsedWeights(2, [torch.ones(64, 2)] * 50, most_rows=100)
    assert thinned.kept().untyped_storage().nbytes() <= 2 * 100 * 2 * 4
    assert thinned.summary()[0] == [1.0, 1.0]


def test_a_step_of_one_weight_a_task_is_a_row():
    weights = UsedWeights(2, [torch.tensor([1.0, 3.0]), torch.tensor([2.0, 3.0])])
    assert len(weights) == 2
    assert weights.summary()[0] == [1.5, 3.0]
