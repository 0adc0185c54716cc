"""Rows of an embedding table by their numbers, with a gradient that costs less on a CPU than torch's own.

The gradient is dense, like the table: Adam moves every row at every step, whether a batch touched it or not, and to
leave the others out would be another optimizer. What can be left out is to make it anew: torch fills a gradient of the
table's size with zeros at every step. :class:`KeptGradient` keeps its memory and clears the rows that the last step
touched. It also adds up by ``index_add_``, which takes a third to a half of the time of torch's kernel for it. Values
and gradient are those of ``torch.nn.functional.embedding``, to the bit.
"""

from __future__ import annotations

import sys
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_OURS_ALONE = 2
"""What ``sys.getrefcount`` says of an array that has one name and no tensor."""

_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}


class KeptGradient:
    """The memory of a table's gradient, between one backward pass and the next. A copy of it begins empty.

    It is used again only when no tensor that was made of it is left; nobody may write into rows of such a gradient that
    the batch did not touch, other than zeros.
    """

    def __init__(self) -> None:
        self._array: np.ndarray[Any, np.dtype[Any]] | None = None
        self._touched = torch.empty(0, dtype=torch.int64)

    def gradient(self, shape: torch.Size, rows: Tensor, values: Tensor) -> Tensor:
        """Return zeros of ``shape`` [V, d] with ``values`` [N, d] added to the ``rows``, int64 [N], on the CPU."""
        if values.dtype not in _NUMPY:
            return values.new_zeros(shape).index_add_(0, rows, values)
        array, self._array = self._array, None
        if array is not None and sys.getrefcount(array) == _OURS_ALONE and _fits(array, shape, values):
            gradient = torch.from_numpy(array).index_fill_(0, self._touched, 0.0)
        else:
            array = np.zeros(tuple(shape), _NUMPY[values.dtype])
            gradient = torch.from_numpy(array)
        self._array, self._touched = array, rows
        return gradient.index_add_(0, rows, values)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)()

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()


def _fits(array: np.ndarray[Any, np.dtype[Any]], shape: torch.Size, values: Tensor) -> bool:
    return array.shape == tuple(shape) and array.dtype == _NUMPY[values.dtype]


def lookup(table: Tensor, index: Tensor, kept: KeptGradient | None = None) -> Tensor:
    """Return the rows [..., d] of ``table`` [V, d] at the positions ``index`` [...], int32 or int64.

    ``kept``: the table's own, where the gradient's memory is to be used again. Elsewhere than on a CPU, this is torch's
    function.
    """
    if table.device.type != "cpu":
        return F.embedding(index, table)
    rows: Tensor = _Lookup.apply(table, index.long(), kept)  # type: ignore[no-untyped-call]
    return rows


class _Lookup(torch.autograd.Function):
    """``table[index]``."""

    @staticmethod
    def forward(table: Tensor, index: Tensor, _kept: KeptGradient | None) -> Tensor:
        return F.embedding(index, table)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, KeptGradient | None], _output: Tensor) -> None:
        table, index, ctx.kept = inputs
        ctx.save_for_backward(index)
        ctx.shape = table.shape

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (index,) = ctx.saved_tensors
        (gradient,) = gradients
        values, rows = gradient.reshape(-1, gradient.shape[-1]), index.reshape(-1)
        # A gradient that has one itself, or is one of several under vmap, is no matter of this memory.
        if ctx.kept is None or torch.is_grad_enabled() or torch._C._are_functorch_transforms_active():
            return gradient.new_zeros(ctx.shape).index_add_(0, rows, values), None, None
        return ctx.kept.gradient(ctx.shape, rows, values), None, None

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, int | None, None],
        table: Tensor,
        index: Tensor,
        kept: KeptGradient | None,
    ) -> tuple[Tensor, int]:
        """Stacked tables are one table, whose rows follow each other."""
        index = index.expand(info.batch_size, *index.shape) if in_dims[1] is None else index.movedim(in_dims[1], 0)
        if in_dims[0] is None:
            return _Lookup.apply(table, index, kept), 0  # type: ignore[no-untyped-call]
        stacked = table.movedim(in_dims[0], 0)
        starts = torch.arange(info.batch_size) * stacked.shape[1]
        index = index + starts.view(-1, *[1] * (index.dim() - 1))
        rows: Tensor = _Lookup.apply(stacked.flatten(0, 1), index, kept)  # type: ignore[no-untyped-call]
        return rows, 0
