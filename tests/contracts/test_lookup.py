from __future__ import annotations

import copy

import pytest
import torch
from torch.func import vmap
from torch.nn import functional as F

from rmtl_bench.contracts.lookup import KeptGradient, lookup


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


@pytest.mark.parametrize("decay", [0.0, 1e-2])
def test_steps_with_kept_memory_are_torchs_to_the_bit(decay):
    start, kept = torch.randn(50, 3, generator=torch.Generator().manual_seed(1)), KeptGradient()
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    steps = [torch.optim.Adam([table], weight_decay=decay) for table in (ours, theirs)]
    for step in range(6):
        index = torch.randint(50, (8, 2), generator=torch.Generator().manual_seed(step))
        for optimizer, rows in zip(steps, (lookup(ours, index, kept), F.embedding(index, theirs)), strict=True):
            optimizer.zero_grad(set_to_none=True)
            rows.square().sum().backward()
            optimizer.step()
        assert torch.equal(ours.grad, theirs.grad)
        assert torch.equal(ours, theirs)


def test_the_memory_is_used_again_once_nobody_holds_the_gradient():
    table, kept = torch.randn(50, 3).requires_grad_(), KeptGradient()

    def gradient():
        return torch.autograd.grad(lookup(table, torch.tensor([1, 2]), kept).sum(), table)[0]

    first = gradient()
    place, value = first.data_ptr(), first.clone()
    held = gradient()
    assert held.data_ptr() != place
    assert torch.equal(first, value)
    del first, held
    place = gradient().data_ptr()
    assert gradient().data_ptr() == place
    part = gradient()[1:2]
    assert gradient().data_ptr() != part.data_ptr() - 3 * 4


def test_gradients_that_add_up_are_torchs():
    start, kept = torch.randn(9, 2), KeptGradient()
    ours, theirs = (start.clone().requires_grad_() for _ in range(2))
    for step in range(3):
        ours.grad = theirs.grad = None
        for part in range(2):
            index = torch.randint(9, (4,), generator=torch.Generator().manual_seed(10 * step + part))
            lookup(ours, index, kept).square().sum().backward()
            F.embedding(index, theirs).square().sum().backward()
        assert torch.equal(ours.grad, theirs.grad)


def test_stacked_tables_share_no_memory_with_a_copy():
    tables, kept = torch.randn(3, 9, 2).requires_grad_(), KeptGradient()
    index = drawn(3, 6, rows=9)
    for _ in range(2):
        found = torch.autograd.grad(vmap(lambda own, at: lookup(own, at, kept))(tables, index).square().sum(), tables)[
            0
        ]
        expected = torch.stack([F.embedding(index[s], tables[s]) for s in range(3)]).square().sum()
        torch.testing.assert_close(found, torch.autograd.grad(expected, tables)[0])
    assert copy.deepcopy(kept)._array is None
