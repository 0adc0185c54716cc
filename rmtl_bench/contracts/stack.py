"""Modules of one architecture as one: their parameters stacked, their computations made in one pass.

Several seeds of a cell train the same architecture on the same data. Small models spend their time on starting
operations, not on arithmetic; stacked, S models start each operation once. ``torch.func`` does it: a function written
for one module is mapped over the stacked parameters by ``vmap(functional_call)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.torch_dropout import OwnMasks


class NotStackableError(Exception):
    """Modules that cannot be one: they differ in more than their numbers. The text says in what."""


class ModuleStack:
    """S modules of one architecture, in one order. Each parameter is stacked into one leaf [S, ...].

    The modules go on to exist, and see every change: their parameters and buffers become views into the stack. They are
    their own again after :meth:`keep` has left them out or :meth:`dissolve`. Buffers that are equal in all modules and
    hold no floating-point numbers are shared. Raises :class:`NotStackableError` for modules whose parameters or buffers
    differ in name, shape or dtype, and for one that holds a tensor which is neither.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        _refuse_loose_tensors(modules[0])
        self.modules = list(modules)
        self.uses_torch_dropout = False
        self.was_trained = False
        first = {id(own): name for name, own in modules[0].named_parameters()}
        # A parameter that two parts have is one leaf with two names; a part in two places is exchanged in one of them.
        self.names = {
            f"{path}.{name}".lstrip("."): first[id(own)]
            for path, part in modules[0].named_modules()
            for name, own in part.named_parameters(recurse=False, remove_duplicate=False)
        }
        stacked = _stacked([dict(module.named_parameters()) for module in modules])
        self.parameters = {
            name: nn.Parameter(stacked[name], requires_grad=own.requires_grad)
            for name, own in modules[0].named_parameters()
        }
        buffers = [dict(module.named_buffers()) for module in modules]
        self.shared_buffers = {
            name: buffer for name, buffer in buffers[0].items() if _is_shared([own.get(name) for own in buffers])
        }
        self.buffers = _stacked([{n: b for n, b in own.items() if n not in self.shared_buffers} for own in buffers])
        self._point()

    def __len__(self) -> int:
        return len(self.modules)

    def leaves(self) -> list[tuple[nn.Parameter, nn.Parameter]]:
        """Return the parameters of the first module, each with the stacked leaf [S, ...] that it is a view of."""
        return [(own, self.parameters[name]) for name, own in self.modules[0].named_parameters()]

    def keep(self, places: Sequence[int]) -> None:
        """Go on with the modules at these places alone; the others own their tensors again."""
        self._part([place for place in range(len(self)) if place not in set(places)])
        self.modules = [self.modules[place] for place in places]
        chosen = torch.tensor(places, dtype=torch.long)
        for name, parameter in self.parameters.items():
            kept = parameter.detach()[chosen.to(parameter.device)]
            self.parameters[name] = nn.Parameter(kept, requires_grad=parameter.requires_grad)
        self.buffers = {name: buffer[chosen.to(buffer.device)] for name, buffer in self.buffers.items()}
        self._point()

    def dissolve(self) -> None:
        """Give every module tensors of its own."""
        self._part(range(len(self)))

    def train(self, mode: bool = True) -> None:
        """Put every module into training mode, or out of it."""
        for module in self.modules:
            module.train(mode)

    def _point(self) -> None:
        for place, module in enumerate(self.modules):
            for name, own in module.named_parameters():
                own.data = self.parameters[name].data[place]
            own_buffers = {name: buffer[place] for name, buffer in self.buffers.items()}
            _set_buffers(module, {**own_buffers, **self.shared_buffers})

    def _part(self, places: Sequence[int]) -> None:
        for place in places:
            module = self.modules[place]
            for own in module.parameters():
                own.data = own.data.clone()
            names = (*self.buffers, *self.shared_buffers)
            _set_buffers(module, {name: module.get_buffer(name).clone() for name in names})


def map_stacked(function: Callable[..., Any], stacks: Sequence[ModuleStack], *arguments: Any, shared: int = 0) -> Any:
    """Return ``function(*modules, *arguments)`` of every replica, its tensors stacked [S, ...], made in one pass.

    ``function`` is written for one module of each stack; it may return tensors in tuples. ``arguments``: tensors or
    batches whose tensors are stacked [S, ...]; the first ``shared`` of them are the same for all and not stacked. The
    gradient reaches ``parameters`` of the stacks. Random numbers differ between replicas; dropout's are each one's own.
    A module may write into a buffer; one that exchanges it for another raises :class:`NotStackableError`.
    """
    holder = _Call([stack.modules[0] for stack in stacks], function)
    mapped: dict[str, Tensor] = {}
    common: dict[str, Tensor] = {}
    buffers: list[str] = []
    for position, stack in enumerate(stacks):
        buffers += [f"held.{position}.{name}" for name in (*stack.buffers, *stack.shared_buffers)]
        parameters = {name: stack.parameters[leaf] for name, leaf in stack.names.items()}
        for tensors, target in ((parameters, mapped), (stack.buffers, mapped), (stack.shared_buffers, common)):
            target.update((f"held.{position}.{name}", tensor) for name, tensor in tensors.items())
    given = [_tensors_of(argument) for argument in arguments]
    names, leaves = list(mapped), [tensor for tensors in given for tensor in tensors]
    dims = [None if position < shared else 0 for position, tensors in enumerate(given) for _ in tensors]

    def one(*tensors: Tensor) -> Any:
        own = common | dict(zip(names, tensors, strict=False))
        before = [own[name] for name in buffers]
        rest = iter(tensors[len(names) :])
        restored = tuple(_like(argument, rest) for argument in arguments)
        returned = functional_call(holder, own, restored, tie_weights=False)
        # What a module has put in a buffer's place would be forgotten with the dictionary.
        for name, buffer in zip(buffers, before, strict=True):
            if own[name] is not buffer:
                raise NotStackableError(f"a forward pass exchanges the buffer {name.split('.', 2)[2]}")
        return returned

    # Flat arguments: vmap would take nested ones apart and put them together again at every call.
    mapping = vmap(one, in_dims=(*[0] * len(names), *dims), randomness="different")
    inputs = (*mapped.values(), *leaves)
    training = [stack for stack in stacks if any(module.training for module in stack.modules[0].modules())]
    # To watch for torch's dropout takes time: only until a pass in training mode has shown that there is none.
    if not any(stack.uses_torch_dropout or not stack.was_trained for stack in training):
        return mapping(*inputs)
    with OwnMasks() as masks:
        found = mapping(*inputs)
    for stack in training:
        stack.uses_torch_dropout = stack.uses_torch_dropout or masks.used
        stack.was_trained = True
    return found


class _Call(nn.Module):
    """Makes a function of modules a module, so that ``functional_call`` can exchange their tensors."""

    def __init__(self, modules: Sequence[nn.Module], function: Callable[..., Any]) -> None:
        super().__init__()
        self.held = nn.ModuleList(modules)
        self.function = function

    def forward(self, *arguments: Any) -> Any:
        return self.function(*self.held, *arguments)


def _tensors_of(argument: Any) -> list[Tensor]:
    if not isinstance(argument, Batch):
        return [argument]
    values = [getattr(argument, field.name) for field in fields(argument)]
    return [value for value in values if value is not None]


def _like(argument: Any, tensors: Iterator[Tensor]) -> Any:
    """Return the next of ``tensors``, as many as the argument has, put together like it."""
    if not isinstance(argument, Batch):
        return next(tensors)
    names = [field.name for field in fields(argument)]
    restored: dict[str, Any] = {name: None if getattr(argument, name) is None else next(tensors) for name in names}
    return Batch(**restored)


def _stacked(tensors: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    first = tensors[0]
    for own in tensors:
        if own.keys() != first.keys():
            raise NotStackableError(f"they differ in what they hold: {', '.join(sorted(own.keys() ^ first.keys()))}")
        for name, tensor in own.items():
            if (tensor.shape, tensor.dtype) != (first[name].shape, first[name].dtype):
                shapes = f"{list(first[name].shape)} and {list(tensor.shape)}"
                raise NotStackableError(f"{name} has the shapes {shapes} or different types")
    return {name: torch.stack([own[name].detach() for own in tensors]) for name in first}


def _is_shared(buffers: Sequence[Tensor | None]) -> bool:
    first, *others = buffers
    if first is None or first.is_floating_point() or first.is_complex():
        return False
    return all(other is not None and torch.equal(first, other) for other in others)


def _set_buffers(module: nn.Module, buffers: Mapping[str, Tensor]) -> None:
    for name, buffer in buffers.items():
        path, _, last = name.rpartition(".")
        setattr(module.get_submodule(path), last, buffer)


def _refuse_loose_tensors(module: nn.Module) -> None:
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if isinstance(value, Tensor):
                raise NotStackableError(f"{path or type(module).__name__} holds {name!r}, no parameter and no buffer")
