from __future__ import annotations

import pytest
import torch

from rmtl_bench_backbones.parts import mixture_of


@pytest.mark.parametrize("width", [2, 300])
@pytest.mark.parametrize(
    ("weights", "experts"), [((3, 5, 2), (3, 5, 2)), ((3, 5, 2), (5, 2)), ((5, 2), (5, 2))], ids=str
)
def test_a_mixture_is_the_weighted_sum_of_the_experts(weights, experts, width):
    torch.manual_seed(0)
    weights, experts = torch.rand(weights), torch.randn(*experts, width)
    expected = sum(weights[..., e, None] * experts[..., e, :] for e in range(2))
    torch.testing.assert_close(mixture_of(weights, experts), expected)
