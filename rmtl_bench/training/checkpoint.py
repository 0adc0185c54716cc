"""The checkpoint of a run: what a training that was broken off goes on from, after its last epoch that was saved.

A run that goes on has the numbers of one that was never broken off, on the CPU bit for bit: its history, its weights,
the state its backbone is left in. In the file (:mod:`~rmtl_bench.training.checkpoint_file`) are

- of each stage that has ended: its module's state, what it carries besides (``Stage.get_extra_state``), what ended it,
  the weighting's state if the module holds it not, and where torch's generators stood;
- of the stage that is under way the same, and its optimizers' state, its progress and its best state until now;
- the history, the seconds spent, and where the run has gone on from before.

The stages are made anew, by ``Weighting.stages``; those that had ended are put into their last state and not run.
Batch order and dropout are no part of it: every epoch seeds them.

When it is written: after an epoch or a stage, at the earliest ``interval`` seconds (60) after the run has begun or the
last one was written, and 20 times as long after it as the writing took: a run spends a twentieth of its time on it at
most, and a run of less than a minute none. The file is replaced as a whole. A disk that is full, or a state that is
none that can be written, ends no run: the run warns, once.

When it is not used: where it is of another run or another format, torch or kind of device, damaged, or where its states
do not fit the modules and optimizers of the run, in names, shapes or types. The run then begins anew, and warns. So it
does where the first epoch after it fails, since a file from a stranger may say anything. To read one runs no code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rmtl_bench.contracts.errors import DivergedError
from rmtl_bench.contracts.run_request import CHECKPOINT_SECONDS
from rmtl_bench.contracts.stage import Stage
from rmtl_bench.training.checkpoint_file import CheckpointError, is_there, read, tidy, write
from rmtl_bench.training.course import StageCourse, state_of
from rmtl_bench.training.history import History
from rmtl_bench.training.streams import RandomState

if TYPE_CHECKING:
    from rmtl_bench.training.trainer import Trainer

FORMAT = "1"
SHARE = 20
"""How many times as long as the last checkpoint took the next one is waited for."""

_NOT_OF_A_CHECKPOINT = (CheckpointError, DivergedError, MemoryError, torch.OutOfMemoryError)
OptimizerStates = Sequence[Mapping[str, Any]]
Place = tuple[int, int]


class Checkpoint:
    """The checkpoint of one run, told of its epochs and stages by the trainer.

    ``path``: the file, which need not be there, in a folder that is; ``None``: nothing is read or written. ``resumes``:
    whether a file that is there is gone on from. ``resumed`` says where it was, each time; ``seconds_before``, how long
    the training had taken then. ``interval``: the least seconds from one writing to the next, by default
    :data:`~rmtl_bench.contracts.run_request.CHECKPOINT_SECONDS`; 0: after every epoch and stage, whatever it costs.
    """

    def __init__(
        self, path: Path | None = None, run_id: str = "", *, resumes: bool = True, interval: float | None = None
    ) -> None:
        self.path = path
        self.run_id = run_id
        self.resumes = resumes
        self.interval = CHECKPOINT_SECONDS if interval is None else interval
        self.resumed: list[dict[str, Any]] = []
        self.seconds_before = 0.0
        self._began = self._last = time.monotonic()
        self._took = 0.0
        self._ended: list[dict[str, Any]] = []
        self._asked = 0
        self._going: dict[str, Any] | None = None
        self._unproven = False
        self._warned = False
        self._begun = False
        self._behind = False

    @property
    def place(self) -> Place:
        """Where the run is, or goes on from: how many stages have ended, and the next one's epoch, 0 at its start."""
        return len(self._ended), int(self._going["progress"]["epochs"]) if self._going else 0

    def begin(self, trainer: Trainer) -> None:
        """Take the trainer whose run it is, and its history as it was if there is a checkpoint to go on from; once."""
        if self._begun:
            return
        self._begun = True
        self._trainer = trainer
        self._began = self._last = time.monotonic()
        if self.path is None:
            return
        tidy(self.path)
        if not self.resumes or not is_there(self.path):
            return
        try:
            self._take(read(self.path, self._identity(), trainer.device))
        except CheckpointError as error:
            trainer.warn(begun_anew(error))

    def _identity(self) -> dict[str, str]:
        device = self._trainer.device.type
        return {"format": FORMAT, "run": self.run_id, "torch": str(torch.__version__), "device": device}

    def _take(self, state: Mapping[str, Any]) -> None:
        trainer = self._trainer
        try:
            history = History.from_data(state["history"])
            ended, going, seconds = list(state["ended"]), state["going"], float(state["seconds"])
            place = (going["name"], int(going["progress"]["epochs"])) if going else _last_stage(history)
            resumed = [{"stage": str(at["stage"]), "epoch": int(at["epoch"])} for at in state["resumed"]]
        except Exception as error:
            raise CheckpointError(f"it is damaged: {_first_line(error)}") from error
        if history.tasks != tuple(trainer.history.tasks) or len(history.stages) != len(ended):
            raise CheckpointError("its history is of another run")
        warnings, trainer.history = trainer.history.warnings, history
        for text in warnings:
            trainer.warn(text)
        self._ended, self._going, self.seconds_before = ended, going, seconds
        self.resumed = [*resumed, {"stage": place[0], "epoch": place[1]}]
        self._unproven = True

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Within, what fails before an epoch after the checkpoint has ended is laid to it: a ``CheckpointError``."""
        try:
            yield
        except _NOT_OF_A_CHECKPOINT:
            raise
        except Exception as error:
            if self._unproven:
                raise CheckpointError(_first_line(error)) from error
            raise

    def had_ended(self, stage: Stage) -> bool:
        """Return whether the run's next stage had ended before; it is then as it was at its end."""
        place, self._asked = self._asked, self._asked + 1
        if place >= len(self._ended):
            return False
        # A copy: what a stage or a weighting is given it may go on to change.
        saved = _copied(self._ended[place])
        stage.ended_by = saved["ended_by"]
        stage.module.eval()
        self._restore(stage, saved)
        return True

    def no_more_stages(self) -> None:
        """Note that the run has no further stage; raises ``CheckpointError`` where the checkpoint has one."""
        if self._asked < len(self._ended) or self._going is not None:
            raise CheckpointError("it has more stages than this run")

    def goes_on(self, course: StageCourse) -> OptimizerStates | None:
        """Put a stage and its course to where they were, if it was under way; return its optimizers' states."""
        saved, self._going = self._going, None
        if saved is None:
            return None
        module = course.stage.module
        best = saved["best"]
        if best is not None:
            load_module(module, best)
            best = state_of(module)
        self._restore(course.stage, saved)
        course.go_on_from(saved["progress"], state_of(module) if best is None else best)
        states: OptimizerStates = saved["optimizers"]
        return states

    def epoch_ended(self, course: StageCourse, optimizers: Callable[[], OptimizerStates]) -> None:
        """Note the end of an epoch, and write if it is time to; ``optimizers`` returns their states."""
        self.holds()
        if not course.ended_by and self.is_due():
            self.write(course, optimizers)

    def holds(self) -> None:
        """Note that an epoch after the checkpoint has ended: what fails from now on is not laid to it."""
        self._unproven = False

    def stage_ended(self, course: StageCourse) -> None:
        """Note the end of a stage, and write if it is time to."""
        if self.path is None or course.ended_by == "diverged":
            return
        try:
            self._ended.append(
                {"ended_by": course.ended_by, **_copied(self._of_stage(course.stage, course.best_state))}
            )
        except Exception as error:
            self.path = None
            self._warn(error)
        self._behind = True
        if self.is_due():
            self.write()

    def is_due(self) -> bool:
        """Return whether it is time to write."""
        since = time.monotonic() - self._last
        waited = not self.interval or since >= max(self.interval, SHARE * self._took)
        return waited and self.path is not None

    def write(self, course: StageCourse | None = None, optimizers: Callable[[], OptimizerStates] = list) -> None:
        """Write, with the stage that is under way if there is one; warn where that cannot be."""
        if self.path is None:
            return
        started = time.monotonic()
        try:
            state = {
                "history": self._trainer.history.as_data(),
                "ended": self._ended,
                "going": None if course is None else self._of_course(course, optimizers()),
                "seconds": self.seconds_before + started - self._began,
                "resumed": self.resumed,
            }
            write(self.path, self._identity(), state)
        except Exception as error:
            # Whatever a plugin's state is made of, the training needs no checkpoint.
            self._warn(error)
        self._behind = False
        self.wrote_in(time.monotonic() - started)

    def wrote_in(self, seconds: float) -> None:
        """Note how long the writing has taken that has just ended: the next is waited for as many times as long."""
        self._last = time.monotonic()
        self._took = seconds

    def catch_up(self) -> None:
        """Write if a stage has ended since the last writing."""
        if self._behind:
            self.write()

    def _of_course(self, course: StageCourse, optimizers: OptimizerStates) -> dict[str, Any]:
        return {
            **self._of_stage(course.stage, course.stage.module.state_dict()),
            "progress": course.progress(),
            # The best epoch's state may be the one that the module is in.
            "best": None if course.best_epoch == course.epochs else course.best_state,
            "optimizers": list(optimizers),
        }

    def _of_stage(self, stage: Stage, module: Mapping[str, Any]) -> dict[str, Any]:
        weighting, random = self._trainer.weighting, RandomState.of(self._trainer.device)
        held = any(part is weighting for part in stage.module.modules())
        return {
            "name": stage.name,
            "module": module,
            "extra": stage.get_extra_state(),
            "weighting": None if held else weighting.state_dict(),
            "random": {"cpu": random.cpu, "cuda": random.cuda},
        }

    def _restore(self, stage: Stage, saved: Mapping[str, Any]) -> None:
        if saved["name"] != stage.name:
            raise CheckpointError(f"it is in stage {saved['name']!r}, where this run comes to {stage.name!r}")
        if saved["weighting"] is not None:
            load_module(self._trainer.weighting, saved["weighting"])
        load_module(stage.module, saved["module"])
        stage.set_extra_state(saved["extra"])
        RandomState(**saved["random"], device=self._trainer.device).restore()

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._trainer.warn(f"a checkpoint could not be written: {_first_line(error)}")
        self._warned = True


def at_one_place(places: Mapping[int, Place]) -> list[int]:
    """Return, of runs by number, as many as possible that can go on side by side from where each of them is.

    They are at the same epoch of the same stage, or have ended that stage and wait for the others at the next.
    """

    def beside(stage: int, epoch: int) -> list[int]:
        waiting = (stage + 1, 0) if epoch else (stage, epoch)
        return [number for number, place in places.items() if place in ((stage, epoch), waiting)]

    return max((beside(*place) for place in sorted(set(places.values()))), key=len, default=[])


def begun_anew(error: CheckpointError) -> str:
    """Return what a run says that could not go on from its checkpoint."""
    return f"the run began anew, as its checkpoint is of no use: {error}"


def load_module(module: nn.Module, state: Mapping[str, Any]) -> None:
    """Load a module's state; raises ``CheckpointError`` unless names, shapes and types are those of the module."""
    own = module.state_dict()
    if own.keys() != state.keys():
        raise CheckpointError(f"a module's state has other names: {', '.join(sorted(own.keys() ^ state.keys()))[:200]}")
    for name, tensor in own.items():
        if isinstance(tensor, Tensor) and not _alike(tensor, state[name]):
            raise CheckpointError(f"{name} in a module's state is no {tensor.dtype} of shape {list(tensor.shape)}")
    module.load_state_dict(state)


def load_optimizers(optimizers: Sequence[torch.optim.Optimizer], states: OptimizerStates) -> None:
    """Load the states of optimizers; raises ``CheckpointError`` unless they are of such groups and parameters."""
    for optimizer, state in zip(optimizers, states, strict=True):
        own = optimizer.state_dict()["param_groups"]
        if [_kinds(group) for group in own] != [_kinds(group) for group in state["param_groups"]]:
            raise CheckpointError("an optimizer's groups are others")
        moved = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for number, gathered in state["state"].items():
            for name, value in gathered.items():
                if isinstance(value, Tensor) and value.dim() and not _alike(moved[number], value):
                    raise CheckpointError(f"an optimizer's {name} has not the shape and type of its parameter")
        optimizer.load_state_dict(dict(state))


def _kinds(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a group of another state has to have in common with a group of an optimizer."""
    return {name: value if name == "params" else type(value) for name, value in group.items()}


def _alike(own: Tensor, other: object) -> bool:
    return isinstance(other, Tensor) and own.shape == other.shape and own.dtype == other.dtype


def _last_stage(history: History) -> tuple[str, int]:
    return history.stages[-1].name, history.stages[-1].epochs


def _copied(value: Any) -> Any:
    """Return a part of a state whose tensors are its own."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {key: _copied(own) for key, own in value.items()}
    return type(value)(_copied(own) for own in value) if type(value) in (list, tuple) else value


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    return text if isinstance(error, CheckpointError) else f"{type(error).__name__}: {text}"
