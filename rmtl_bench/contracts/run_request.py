"""What an executor is told of a run to make, and hands to the process that makes it: one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.cell import Cell


@dataclass(frozen=True)
class Limits:
    """What a run may take at most: ``seconds`` of time, ``memory`` in bytes; ``None``: without limit.

    Runs in one process share its memory, and have their times one after another: so many times the seconds in all.
    Memory is what the process cannot give back to a file: pages of memory-mapped data do not count.
    """

    seconds: float | None = None
    memory: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self.seconds is not None or self.memory is not None


NO_LIMITS = Limits()
CHECKPOINT_SECONDS = 60.0
"""The least seconds from one checkpoint of a run to the next, unless said otherwise."""


@dataclass(frozen=True)
class RunRequest:
    """A run to make, and where to write it. Nothing here but ``cell`` decides its numbers, to rounding.

    ``keep``: whether to write down what later runs may want of it. ``source``: the file that the run which this one
    builds on has written so. ``machine``: what the parent knows of machine and software, see
    :func:`~rmtl_bench.execution.environment.describe_machine`; the run finds out itself what it is not told.
    ``others``: runs that differ from this one in their seed alone, for the same process to make, ``seeds_per_pass`` of
    all these side by side; 0: as many as a measurement finds fastest. ``profile``: whether to write down where the time
    of all these goes. ``checkpoint``: where the run keeps what it takes to go on from its last epoch, and looks for
    what an earlier attempt has left; ``None``: nowhere. ``checkpoint_seconds``: the least time from one to the next.
    ``limits``: of each of the runs.
    """

    cell: Cell
    table: Path
    staging: Path
    device: str
    threads: int
    plugin_files: tuple[Path, ...] = ()
    keep: bool = False
    source: Path | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[RunRequest, ...] = ()
    seeds_per_pass: int = 1
    profile: bool = False
    checkpoint: Path | None = None
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    limits: Limits = NO_LIMITS

    @property
    def runs(self) -> tuple[RunRequest, ...]:
        """This run and the others."""
        return (self, *self.others)

    def to_line(self) -> str:
        """Return the request as one line."""
        return json.dumps(self._to_json())

    def _to_json(self) -> dict[str, Any]:
        return {
            "cell": self.cell.to_json(),
            "table": str(self.table),
            "staging": str(self.staging),
            "device": self.device,
            "threads": self.threads,
            "plugin_files": [str(file) for file in self.plugin_files],
            "keep": self.keep,
            "source": None if self.source is None else str(self.source),
            "machine": dict(self.machine),
            "others": [other._to_json() for other in self.others],
            "seeds_per_pass": self.seeds_per_pass,
            "profile": self.profile,
            "checkpoint": None if self.checkpoint is None else str(self.checkpoint),
            "checkpoint_seconds": self.checkpoint_seconds,
            "limits": asdict(self.limits),
        }

    @classmethod
    def from_line(cls, line: str) -> RunRequest:
        """Return the request that :meth:`to_line` wrote."""
        return cls._from_json(json.loads(line))

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> RunRequest:
        return cls(
            Cell.from_json(data["cell"]),
            Path(data["table"]),
            Path(data["staging"]),
            data["device"],
            data["threads"],
            tuple(Path(file) for file in data["plugin_files"]),
            data["keep"],
            None if data["source"] is None else Path(data["source"]),
            data["machine"],
            tuple(cls._from_json(other) for other in data["others"]),
            data["seeds_per_pass"],
            data["profile"],
            None if data["checkpoint"] is None else Path(data["checkpoint"]),
            data["checkpoint_seconds"],
            Limits(**data["limits"]),
        )
