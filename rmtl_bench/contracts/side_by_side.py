"""The contract of stages side by side: the same stage of several seeds, which takes its steps in one pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.errors import DivergedError
from rmtl_bench.contracts.stack import ModuleStack

if TYPE_CHECKING:
    from rmtl_bench.contracts.stage import Evaluation, Stage, StepReport

S = TypeVar("S", bound="Stage")


class StageGroup(ABC, Generic[S]):
    """The same stage of several seeds of one cell.

    ``stages`` are those that have not ended, in the order in which their modules are stacked. What a stage is asked one
    at a time (``after_epoch``, the state to keep, the mode of its modules) it is asked as ever: modules in a stack are
    views of it. A subclass says which modules are stacked, by attributes that are :class:`ModuleStack`, and takes the
    steps. Each seed gets the numbers that it would get alone, to rounding.
    """

    def __init__(self, stages: Sequence[S]) -> None:
        self.stages = list(stages)

    def __len__(self) -> int:
        return len(self.stages)

    @property
    def stacks(self) -> list[ModuleStack]:
        """The stacks among the attributes."""
        return [value for value in vars(self).values() if isinstance(value, ModuleStack)]

    @property
    def capturable(self) -> bool:
        """Whether a CUDA graph may record a step (see ``Stage.capturable``): by default, where every stage's may be."""
        return all(stage.capturable for stage in self.stages)

    def optimizers(self, learning_rate: float, weight_decay: float) -> list[torch.optim.Optimizer]:
        """Return the first stage's optimisers, moving stacked parameters in place of its own.

        What is trained and not stacked, the few numbers of a weighting, they move of all seeds.
        """
        each = [stage.optimizers(learning_rate, weight_decay) for stage in self.stages]
        leaves = {id(own): leaf for stack in self.stacks for own, leaf in stack.leaves()}
        in_stacks = {id(own) for stack in self.stacks for module in stack.modules for own in module.parameters()}
        for place, optimizer in enumerate(each[0]):
            for number, group in enumerate(optimizer.param_groups):
                stacked = [leaves[id(own)] for own in group["params"] if id(own) in leaves]
                of_all = [own for each_of in each for own in each_of[place].param_groups[number]["params"]]
                group["params"] = [*stacked, *(own for own in of_all if id(own) not in in_stacks)]
        return list(each[0])

    @abstractmethod
    def backward(self, batch: Batch) -> StepReport:
        """Compute the gradients of one step of every seed, from batches stacked [S, B, ...].

        The report is stacked, too: losses [S, K], weights [S, K] or [S, B, K].
        """

    def after_step(self) -> None:
        """Called after each step of the optimisers: by default, every stage is told."""
        for stage in self.stages:
            stage.after_step()

    def evaluate(self) -> Sequence[Evaluation | DivergedError]:
        """Return the validation result of every seed; by default, they are asked one after another."""
        return [_evaluated(stage.evaluate) for stage in self.stages]

    def optimizers_of_seeds(
        self, optimizers: Sequence[torch.optim.Optimizer], learning_rate: float, weight_decay: float
    ) -> list[Sequence[torch.optim.Optimizer]]:
        """Return each seed's own optimisers, with what the group's, made by :meth:`optimizers`, have gathered for it.

        They share its memory.
        """
        each = [stage.optimizers(learning_rate, weight_decay) for stage in self.stages]
        for place, of_seed in enumerate(each):
            leaves = self._leaves_of(place)
            for own, joint in zip(of_seed, optimizers, strict=True):
                for parameter in _moved_by(own):
                    leaf = leaves.get(id(parameter), parameter)
                    gathered = joint.state.get(leaf)
                    if gathered is not None:
                        stacked = leaf is not parameter
                        own.state[parameter] = {
                            name: value[place] if stacked and _is_of_each(value, leaf, name) else value
                            for name, value in gathered.items()
                        }
        return each

    def gather(
        self, optimizers: Sequence[torch.optim.Optimizer], each: Sequence[Sequence[torch.optim.Optimizer]]
    ) -> None:
        """Let the group's optimisers go on with what each seed's own have gathered: see :meth:`optimizers_of_seeds`."""
        leaves = self._leaves_of(0)
        for number, joint in enumerate(optimizers):
            for together in zip(*(_moved_by(of_seed[number]) for of_seed in each), strict=True):
                gathered = [of_seed[number].state.get(own) for of_seed, own in zip(each, together, strict=True)]
                known = {own: state for own, state in zip(together, gathered, strict=True) if state is not None}
                leaf = leaves.get(id(together[0]))
                if leaf is None or not known:
                    joint.state.update(known)
                    continue
                joint.state[leaf] = {
                    name: torch.stack([state[name] for state in known.values()])
                    if _is_of_each(value, together[0], name)
                    else value
                    for name, value in known[together[0]].items()
                }

    def _leaves_of(self, place: int) -> dict[int, nn.Parameter]:
        """Return the stacked leaves by the identities of the parameters, views of them, of the seed at a place."""
        return {
            id(own): stack.parameters[name]
            for stack in self.stacks
            for name, own in stack.modules[place].named_parameters()
        }

    def keep(self, places: Sequence[int], optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Go on with the stages at these places alone; the others' modules own their tensors again."""
        ended = [stage for place, stage in enumerate(self.stages) if place not in set(places)]
        self.stages = [self.stages[place] for place in places]
        for stack in self.stacks:
            before = dict(stack.parameters)
            stack.keep(places)
            for name, leaf in before.items():
                _exchange(optimizers, leaf, stack.parameters[name], places)
        dropped = {id(own) for stage in ended for own in stage.module.parameters()}
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["params"] = [own for own in group["params"] if id(own) not in dropped]

    def dissolve(self) -> None:
        """Give every module tensors of its own."""
        for stack in self.stacks:
            stack.dissolve()


def _evaluated(evaluate: Callable[[], Evaluation]) -> Evaluation | DivergedError:
    try:
        return evaluate()
    except DivergedError as error:
        return error


def _moved_by(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _is_of_each(value: Any, parameter: Tensor, name: str) -> bool:
    """Return whether what an optimiser has gathered under a name is of each of a parameter's numbers."""
    return isinstance(value, Tensor) and value.shape == parameter.shape and name != "step"


def _exchange(
    optimizers: Sequence[torch.optim.Optimizer], old: Tensor, new: nn.Parameter, places: Sequence[int]
) -> None:
    """Let optimisers move ``new``, the rows of ``old`` at ``places``, with what they have gathered on them."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["params"] = [new if own is old else own for own in group["params"]]
        if old in optimizer.state:
            state: dict[str, Any] = optimizer.state.pop(old)
            chosen = torch.tensor(places, device=old.device)
            optimizer.state[new] = {
                key: value[chosen] if isinstance(value, Tensor) and value.shape == old.shape else value
                for key, value in state.items()
            }
