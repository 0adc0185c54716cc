"""Dropout (Srivastava et al., JMLR 2014) whose masks cost little on a CPU, and are each replica's own under ``vmap``.

In training an element is dropped with probability p: it becomes 0, and the others are divided by 1 - p; in evaluation
nothing happens. On a CPU, torch decides each element by ``bernoulli_``, scalar draws on a single thread, which cost
more than anything in a training step but its matrix products. Here::

    seed = one int64 of torch's default generator, the only thing that a call draws from it
    bits = SFC64(seed), 16 for each element, the elements in row-major order
    y    = x / (1 - q) where bits >= 65536 q, else 0            q = round(65536 p) / 65536

SFC64 is the 64-bit "small fast chaotic" generator of Chris Doty-Humphrey, the author of the PractRand test suite, where
it is published. numpy's implementation is used for its speed. numpy hashes the seed to a state by ``SeedSequence``, so
that streams of different seeds are independent and meet after 2^64 numbers at the earliest, and promises that a seed
has the same stream in all versions. Since the seed comes from torch, ``torch.manual_seed`` fixes every mask, and a
generator that is put back replays it. The number of threads changes nothing.

What differs from ``nn.Dropout``: p is rounded to q, the nearest multiple of 2^-16, and the division is by 1 - q, so
that the expectation is exact; p below 2^-17 does nothing, p = 1 is an error; for the same seed the masks are others.
Devices other than the CPU, and types other than float32 and float64, have torch's own masks, at the rate p itself.

**Replicas.** Under ``torch.func.vmap`` with ``randomness="different"``, every replica has a mask of its own, whether or
not x is mapped. Under :func:`replica_generators` it is the one that the replica would have drawn alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_LEVELS = 1 << 16
"""The number of values that 16 bits take."""

_PIECE = 1 << 16
"""How many elements are dropped at a time, a multiple of 4: their bits and values stay in a core's cache."""

_GENERATORS: ContextVar[tuple[torch.Generator, ...]] = ContextVar("replica generators", default=())


@contextmanager
def replica_generators(generators: Sequence[torch.Generator]) -> Iterator[None]:
    """Within, replica s of a ``vmap`` over S replicas draws its masks from ``generators[s]``, S generators on the CPU.

    It then drops what it would drop alone if torch's default generator stood where ``generators[s]`` stands. Enter the
    context outside of the ``vmap``. It holds where the outermost ``vmap`` is one over S; any other, and a call outside
    of ``vmap``, draws from the default generator. Contexts nest, and each thread has its own.
    """
    token = _GENERATORS.set(tuple(generators))
    try:
        yield
    finally:
        _GENERATORS.reset(token)


def generators_of_replicas() -> tuple[torch.Generator, ...]:
    """Return the generators of :func:`replica_generators` that hold here; none: empty."""
    return _GENERATORS.get()


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Return x, of any shape and floating type, with elements dropped at the rate p where ``training``.

    Raises ``ValueError`` unless 0 <= p < 1.
    """
    dropped = _dropped_levels(p)
    if not training or not dropped:
        return x
    if not _is_ours(x):
        return F.dropout(x, p)
    return x * _mask(_draw(), tuple(x.shape), x.dtype, dropped)


def relu_dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Return ``dropout(relu(x), p, training)``, in fewer passes over memory; for the backward pass, y alone is kept.

    Raises ``ValueError`` unless 0 <= p < 1.
    """
    dropped = _dropped_levels(p)
    if not training or not dropped:
        return F.relu(x)
    if not _is_ours(x):
        return F.dropout(F.relu(x), p)
    return _relu_dropout(x, _draw(), dropped)


def _dropped_levels(p: float) -> int:
    """Return how many of the 2^16 levels are dropped, never all of them."""
    if not 0 <= p < 1:
        raise ValueError(f"dropout {p} is not in [0, 1)")
    return min(round(p * _LEVELS), _LEVELS - 1)


def _is_ours(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64, torch.bfloat16)


def _draw() -> Tensor:
    # A tensor, so that vmap makes it one for each replica, the same for all, or an error, as its caller wants it.
    return torch.randint(2**63 - 1, (), device="cpu")


def _scale(dropped: int) -> float:
    return _LEVELS / (_LEVELS - dropped)


def _signed(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Note the function's signature on it: torch asks for it at every call, and to find it takes as long as a mask."""
    function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return function


class _Mask(torch.autograd.Function):
    """What x is multiplied by: 0 where dropped, else 1 / (1 - q). Stacked like ``seeds``, one mask each."""

    @staticmethod
    @_signed
    def forward(seeds: Tensor, shape: tuple[int, ...], dtype: torch.dtype, dropped: int) -> Tensor:
        mask = torch.full((*seeds.shape, *shape), _scale(dropped), dtype=dtype)
        _drop(mask, seeds, dropped)
        return mask

    @staticmethod
    def setup_context(ctx: Any, _inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def vmap(
        _info: Any, in_dims: tuple[Any, ...], seeds: Tensor, shape: tuple[int, ...], dtype: torch.dtype, dropped: int
    ) -> tuple[Tensor, int]:
        return _mask(seeds.movedim(in_dims[0], 0), shape, dtype, dropped), 0


_mask: Callable[..., Tensor] = _Mask.apply


class _ReluDropout(torch.autograd.Function):
    """ReLU and dropout of x, the leading axes of which are those of ``seeds``: replicas, one mask each."""

    @staticmethod
    @_signed
    def forward(x: Tensor, seeds: Tensor, dropped: int) -> Tensor:
        y = torch.clamp_min(x, 0.0, out=torch.empty(x.shape, dtype=x.dtype)).mul_(_scale(dropped))
        _drop(y, seeds, dropped)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(output)
        ctx.scale = _scale(inputs[2])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (y,) = ctx.saved_tensors
        # With alpha = 0 and y as the result: the gradient times the scale where y > 0, else 0, in a single pass.
        return torch.ops.aten.elu_backward(gradients[0], 0.0, ctx.scale, 1.0, True, y), None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], x: Tensor, seeds: Tensor, dropped: int) -> tuple[Tensor, int]:
        stacked = [
            tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip((x, seeds), in_dims[:2], strict=True)
        ]
        return _relu_dropout(*stacked, dropped), 0


_relu_dropout: Callable[..., Tensor] = _ReluDropout.apply


def _drop(y: Tensor, seeds: Tensor, dropped: int) -> None:
    """Set elements of contiguous y [*seeds.shape, ...] to 0 in place: those that each seed drops of its slice."""
    drawn = _drawn(seeds)
    # numpy has no bfloat16; as whole numbers, too, 1 keeps it and 0 makes it 0.
    y = y.view(torch.int16) if y.dtype == torch.bfloat16 else y
    # Values that are not finite become NaN, as torch makes them, without a warning.
    with np.errstate(invalid="ignore"):
        for row, seed in zip(y.view(len(drawn), y.numel() // len(drawn)).numpy(), drawn, strict=True):
            bits = np.random.SFC64(seed)
            for start in range(0, row.size, _PIECE):
                piece = row[start : start + _PIECE]
                levels = bits.random_raw(-(-piece.size // 4)).view(np.uint16)[: piece.size]
                np.multiply(piece, levels >= dropped, out=piece)


def _drawn(seeds: Tensor) -> list[int]:
    """Return the seeds as numbers: those given, or of the replicas' own generators."""
    generators = generators_of_replicas()
    if generators and seeds.dim() and len(seeds) == len(generators):
        seeds = torch.stack([torch.randint(2**63 - 1, seeds.shape[1:], generator=own) for own in generators])
    return seeds.flatten().tolist()
