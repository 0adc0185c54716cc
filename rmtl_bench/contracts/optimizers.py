"""torch's Adam and SGD as they are, but for an import of its compiler that costs every run a second.

``torch.optim`` imports ``torch._dynamo`` when the first optimizer is made and takes its first step, in order to mark
what is not to be compiled. Training compiles no optimizer, so the marks are taken off: the methods are the ones that
torch wraps, and a step records no gradient, as without ``differentiable``, which these do not take. Numbers are the
same, bit for bit.
"""

from __future__ import annotations

import inspect
from typing import TypeVar

import torch

_MARKED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
Kind = TypeVar("Kind", bound=torch.optim.Optimizer)


def _unmarked(kind: type[Kind]) -> type[Kind]:
    for name in _MARKED:
        setattr(kind, name, inspect.unwrap(getattr(kind, name)))
    kind.step = torch.no_grad()(inspect.unwrap(kind.step))  # type: ignore[method-assign]
    return kind


@_unmarked
class Adam(torch.optim.Adam):
    """:class:`torch.optim.Adam`."""


@_unmarked
class SGD(torch.optim.SGD):
    """:class:`torch.optim.SGD`."""
