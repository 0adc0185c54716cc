"""What a fault has to do with: a store, a command at work in it, and chance."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from benchmarks.faults.commands import Command
from benchmarks.faults.ledger_plugin import LEDGER

HERE = Path(__file__).parent
TOY = HERE.parents[1] / "tests" / "toy" / "toy_plugin.py"
PLUGINS = ("toy_plugin.py", "ledger_plugin.py")
"""The one-file plugins of the commands, in the campaign's folder: a plugin that is edited meanwhile is another one."""
RUNS = 20
"""The runs of the suite."""
JOBS = 2
"""How many of them are made at once."""
_LOOK = 0.005


def environment(folder: Path) -> dict[str, str]:
    """Return what the commands of a campaign in ``folder`` have in their environment; its plugins are copied there."""
    for path in (TOY, HERE / "ledger_plugin.py"):
        shutil.copy(path, folder)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RMTL_BENCH_")}
    own = {"RMTL_BENCH_CACHE": str(folder / "cache"), "RMTL_BENCH_DATA": str(folder / "no-data")}
    return kept | own | {"OMP_NUM_THREADS": "1", LEDGER: str(folder / "ledger")}


@dataclass
class Scene:
    """A round: its folder and store, chance, and how long a command takes that nobody disturbs.

    ``options``: further options of the commands; ``begun``: the commands so far, the last one last; ``damaged``: the
    run folders that the fault has damaged.
    """

    folder: Path
    environment: Mapping[str, str]
    random: Random
    seconds: float
    store: Path
    options: Sequence[str] = ()
    begun: list[Command] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)

    def run(self) -> Command:
        """Start the command that runs the suite."""
        arguments = ["run", "--suite", HERE / "suite.toml", "--store", self.store, "--jobs", JOBS, *self.options]
        for name in PLUGINS:
            arguments += ["--plugin", self.folder.parent / name]
        command = Command([*map(str, arguments)], self.environment, self.folder / f"said-{len(self.begun)}.txt")
        self.begun.append(command)
        return command

    @property
    def command(self) -> Command:
        """The command that was started first."""
        return self.begun[0]

    def published(self) -> list[Path]:
        """Return the run folders there are."""
        return sorted((self.store / "runs").glob("[0-9a-f]*"))

    def wait_for_a_moment(self) -> None:
        """Wait for a random moment in the life of the command, its end included.

        Every other time it is one of the clock, spread over what the command takes undisturbed; else it comes shortly
        after a number of runs was published, which a busy machine does not shift to the start of the command.
        """
        if self.random.random() < 0.5:
            until = time.monotonic() + self.random.random() * self.seconds
            self._wait(lambda: time.monotonic() >= until)
        else:
            number = self.random.randrange(RUNS + 1)
            self._wait(lambda: len(self.published()) >= number)
            until = time.monotonic() + self.random.random() * 0.3
            self._wait(lambda: time.monotonic() >= until)

    def wait_for_runs(self, least: int) -> bool:
        """Wait for so many published runs; return whether they are there."""
        self._wait(lambda: len(self.published()) >= least)
        return len(self.published()) >= least

    def _wait(self, is_there: Callable[[], bool]) -> None:
        while not is_there() and not self.command.is_over:
            time.sleep(_LOOK)
