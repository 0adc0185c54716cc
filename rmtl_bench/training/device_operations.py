"""Whether a step is made of operations on its device alone: what a CUDA graph can record and repeat.

A graph repeats the operations that the device was given, and nothing else. Python does not run again, so a number that
the step fetched, drew on the CPU or decided by is that of the recording for ever; most of the time CUDA refuses to
record it, and it may not be in a state to go on afterwards. So a step is watched before it is recorded, by what torch
itself says of each operation: which tensors it takes and returns, and the tags ``data_dependent_output`` (a number
for Python, such as ``item``) and ``dynamic_output_shape`` (a shape that depends on data, such as ``nonzero``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_WAITING = frozenset({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape})
_INDEXING = frozenset({torch.ops.aten.index, torch.ops.aten.index_put_, torch.ops.aten.index_put})
"""Tagged for indices that are masks; any others have a shape that is known."""


class DeviceOperations(TorchDispatchMode):
    """Within, the operations of this thread and of the backward passes that it starts are watched.

    ``found`` then holds what no graph could repeat, each once, such as ``aten.randn.generator on the CPU``. What was
    watched has run as ever.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device
        self.found: list[str] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing here is compiled: to have the compiler skip it would import the compiler, which takes a second."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Note the operation if it is a wrong one, and run it."""
        if self._waits(func, args):
            self._note(f"{func} has the CPU wait for the device")
        returned = func(*args, **(kwargs or {}))
        for tensor in _tensors([args, kwargs or {}, returned]):
            if tensor.device.type != self.device.type:
                self._note(f"{func} on the {tensor.device.type.upper()}")
        return returned

    def _waits(self, func: Any, args: Sequence[Any]) -> bool:
        if func.overloadpacket in _INDEXING:
            return any(index.dtype in (torch.bool, torch.uint8) for index in _tensors(args[1]))
        return not _WAITING.isdisjoint(func.tags)

    def _note(self, text: str) -> None:
        if text not in self.found:
            self.found.append(text)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)
