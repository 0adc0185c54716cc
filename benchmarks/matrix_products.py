"""The matrix products that a computation makes, recorded while it runs, and made again alone.

What they take alone is what a model's arithmetic allows: no training step can be shorter than its own products, and how
near it comes to them says how much time goes elsewhere (activations, dropout, the optimizer, Python).

    share = matrix_product_seconds(step) / seconds of a step

Only the product A B of every ``mm``, ``addmm``, ``bmm`` and ``baddbmm`` is made again, forward and backward, from
operands of the same shapes, strides and types into memory that is there already: the sum with a bias, and the making of
the result, can be spared by a better step and are none of the limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.clock import least_seconds

_FIRST_OPERAND = {"mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1, "addmm_": 1, "baddbmm_": 1}
"""The position of A among the arguments, by operation; B follows."""


@dataclass(frozen=True)
class Operand:
    """A tensor without its numbers."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, tensor: Tensor) -> Operand:
        """Return what a tensor is but for its numbers."""
        return cls(tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.device)

    def fresh(self, dtype: torch.dtype | None = None) -> Tensor:
        """Return a tensor like this, of another type if one is given, in memory of its own, of normal numbers."""
        span = 1 + sum(stride * (size - 1) for size, stride in zip(self.shape, self.stride, strict=True))
        return torch.randn(span, dtype=dtype or self.dtype, device=self.device).as_strided(self.shape, self.stride)


@dataclass(frozen=True)
class Product:
    """A product A B of matrices [M, K] and [K, N], or of C pairs of them, [C, M, K] and [C, K, N]."""

    left: Operand
    right: Operand

    @property
    def flops(self) -> int:
        """The multiplications and additions."""
        return 2 * math.prod(self.left.shape) * self.right.shape[-1]

    def __str__(self) -> str:
        *count, rows, inner = self.left.shape
        return "x".join(map(str, (*count, rows, inner, self.right.shape[-1])))


class Recorder(TorchDispatchMode):
    """While it is entered, notes every matrix product, and counts the operations that are no mere views."""

    def __init__(self) -> None:
        super().__init__()
        self.products: list[Product] = []
        self.operations = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.operations += not func.is_view
        first = _FIRST_OPERAND.get(func.overloadpacket.__name__)
        if first is not None and func.namespace == "aten":
            product = Product(Operand.of(args[first]), Operand.of(args[first + 1]))
            if product.flops:
                self.products.append(product)
        return func(*args, **(kwargs or {}))


class Replay:
    """Makes recorded products again, one after another, each on tensors of its own; it holds them all in memory.

    ``dtype``: of the operands, in place of their own.
    """

    def __init__(self, products: Sequence[Product], dtype: torch.dtype | None = None) -> None:
        self.flops = sum(product.flops for product in products)
        pairs = [(product.left.fresh(dtype), product.right.fresh(dtype)) for product in products]
        self._made = [(*pair, torch.matmul(*pair)) for pair in pairs]

    def __call__(self) -> None:
        """Make all products once."""
        for left, right, result in self._made:
            torch.matmul(left, right, out=result)


def record(step: Callable[[], object]) -> Recorder:
    """Return what one call of ``step`` made, its backward passes included."""
    recorder = Recorder()
    with recorder:
        step()
    return recorder


def matrix_product_seconds(step: Callable[[], object], rounds: int = 5) -> float:
    """Return the seconds that the matrix products of one call of ``step`` take alone: the least of the rounds.

    ``step`` is called once. The time is that of torch's present number of threads.
    """
    products = record(step).products
    return least_seconds(Replay(products), rounds, products[0].left.device) if products else 0.0
