"""The contract of an executor: where and how the processes of runs are started.

The harness decides what is run and in which order, keeps the store and publishes what comes back; an executor is told
of one request after another, makes as many at once as it has said it has room for, and says how each ended. What it
must see to: that the files of the runs lie in the folders that the request names when it says that they have ended.

How a request is made, wherever that is: ``python -P -m`` :data:`WORKER`, given ``request.to_line()`` and the end of
the line on its standard input. It answers with one line of JSON an event (see :data:`Tell`) on its standard output,
and what it has to say besides on its standard error; it ends when its standard input does, so that must stay open. Its
exit code is 0 once every run has its ``run.json``, however well the run went, and :data:`DISK_FULL` where there was no
room.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rmtl_bench.contracts.cell import Component
from rmtl_bench.contracts.run_request import NO_LIMITS, Limits, RunRequest

WORKER = "rmtl_bench.execution.worker"
"""The module whose process makes the runs of a request."""

DISK_FULL = 74
"""The exit code of a run's process that found no room for what it had to write; EX_IOERR of ``sysexits.h``."""

Tell = Callable[[RunRequest, Mapping[str, Any]], None]
"""Is told what a run that goes on says of itself.

``{"run": id, "begun": True}`` as a run of a request of several begins; ``{"stage", "epoch", "score"}`` after each
epoch, with ``run`` where the request has several.
"""


class PreparedData(NamedTuple):
    """A data set that runs are made on, its fingerprint, and the folder of its prepared table on this machine."""

    dataset: Component
    fingerprint: str
    folder: Path


@dataclass(frozen=True)
class Job:
    """What an executor is opened for.

    ``device`` as it was asked for: auto, cpu, cuda or cuda:N. ``jobs``: requests at once, 0 for as many as suit the
    place; ``threads`` of a process, 0 for what its share of the cores is. ``runs`` to be made, at least one; ``data``
    they are made on; ``plugins``: name and version of every distribution that offers something, ``plugin_files``:
    one-file plugins. ``data_dir`` and ``cache_dir``: where raw files and prepared tables lie here; ``None`` where it
    was not said and every machine has its own.
    """

    device: str
    jobs: int
    threads: int
    runs: int
    data: Sequence[PreparedData]
    plugins: Mapping[str, str]
    plugin_files: Sequence[Path] = ()
    data_dir: Path | None = None
    cache_dir: Path | None = None
    limits: Limits = NO_LIMITS


@dataclass(frozen=True)
class Room:
    """What an executor has room for: ``jobs`` requests at once, each with ``threads`` threads on ``device``.

    ``machine``: what is known of the machine already, see :attr:`RunRequest.machine`.
    """

    device: str
    jobs: int
    threads: int
    machine: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ending:
    """How what made a request has ended: ``status`` and ``error`` hold for those of its runs that left no ``run.json``.

    Where nothing went wrong there is none. ``status``: ``interrupted`` where it was ended from outside and may be made
    again as it is, ``timeout`` or ``oom`` where a limit ended it, ``failed`` where it ended by itself. ``disk_full``:
    there was no room for its result, and there will be none for that of any other run.
    """

    status: str = "failed"
    error: str = "left no result, and nobody knows why"
    disk_full: bool = False


class Ended(NamedTuple):
    """A request that has come to its end."""

    request: RunRequest
    ending: Ending


class Executor(ABC):
    """Makes runs somewhere. Opened once, then started and waited for in turn by one thread, and closed however it ends.

    It changes no number of a run: the same request gives the same results wherever it is made, on one kind of device.
    """

    @abstractmethod
    def open(self, job: Job, tell: Tell) -> Room:
        """Make ready, and say what there is room for.

        Raises :class:`~rmtl_bench.contracts.errors.UsageError` for a device or a number that cannot be had there, or a
        limit that cannot be kept, and :class:`~rmtl_bench.contracts.errors.PluginError` or ``DataError`` where another
        machine has other plugins or data: before anything is run.
        """

    @abstractmethod
    def start(self, request: RunRequest) -> None:
        """Begin to make the runs of a request; never with more of them going on than there is room for."""

    @abstractmethod
    def wait(self, seconds: float) -> Sequence[Ended]:
        """Wait for something to happen, so long at most; pass on what runs tell; return the requests that have ended.

        Each request that was started is returned once, its folders complete as far as it came.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop whatever still goes on, at once, and give back what :meth:`open` took; without it nothing happens."""
