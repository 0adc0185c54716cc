from __future__ import annotations

import pytest
import torch
from torch.func import vmap
from torch.nn import functional as F

from rmtl_bench.contracts.lookup import lookup


def drawn(*shape, rows, dtype=torch.int64):
    return torch.randint(rows, shape, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize("shape", [(7,), (5, 3), (0, 3)])
def test_rows_and_gradient_are_torchs_to_the_bit(shape, dtype):
    table = torch.randn(11, 4, generator=torch.Generator().manual_seed(1))
    ours, theirs = (table.clone().requires_grad_() for _ in range(2))
    index = drawn(*shape, rows=11, dtype=dtype)
    direction = torch.randn(*shape, 4, generator=torch.Generator().manual_seed(2))
    found, expected = lookup(ours, index), F.embedding(index, theirs)
    assert torch.equal(found, expected)
    found.backward(direction)
    expected.backward(direction)
    assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.parametrize(("table_dim", "index_dim"), [(0, 0), (0, None), (None, 0)])
def test_stacked_tables_are_looked_up_each_with_its_own_numbers(table_dim, index_dim):
    tables = torch.randn(3, 9, 2, generator=torch.Generator().manual_seed(1)).requires_grad_()
    indices = drawn(3, 6, 2, rows=9)
    table = tables if table_dim == 0 else tables[0].detach().requires_grad_()
    index = indices if index_dim == 0 else indices[0]
    found = vmap(lookup, in_dims=(table_dim, index_dim))(table, index)
    expected = torch.stack(
        [F.embedding(index[s] if index_dim == 0 else index, table[s] if table_dim == 0 else table) for s in range(3)]
    )
    assert torch.equal(found, expected)
    (gradient,) = torch.autograd.grad(found.square().sum(), table)
    (wanted,) = torch.autograd.grad(expected.square().sum(), table)
    torch.testing.assert_close(gradient, wanted)


def test_the_gradient_has_a_gradient():
    table = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    index = drawn(6, rows=5)
    assert torch.autograd.gradgradcheck(lambda own: lookup(own, index).sin(), table)
