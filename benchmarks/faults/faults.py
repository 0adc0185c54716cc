"""The faults of the campaign by name, and how many runs each may cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.faults import disk_faults, process_faults
from benchmarks.faults.scene import JOBS, Scene

RAY = "ray-node"


@dataclass(frozen=True)
class Fault:
    """``strike`` does it and says what it did. ``most_again``: how many runs may be begun twice for it.

    ``mend`` is what a user would do before the command is run again. ``small_disk``: the store lies on one.
    ``at_once``: how many commands are started together.
    """

    name: str
    strike: Callable[[Scene], str]
    most_again: int
    mend: Callable[[Scene], None] = lambda scene: None
    small_disk: bool = False
    at_once: int = 1


LOCAL = (
    Fault("kill-command", process_faults.kill_command, JOBS),
    Fault("kill-run", process_faults.kill_run, 1),
    Fault("kill-template", process_faults.kill_template, JOBS),
    Fault("interrupt", process_faults.interrupt, JOBS),
    Fault("interrupt-twice", process_faults.interrupt_twice, JOBS),
    Fault("terminate", process_faults.terminate, JOBS),
    Fault("stop-command", process_faults.stop_command, JOBS),
    Fault("stop-run", process_faults.stop_run, 0),
    Fault("kill-one-of-two", process_faults.kill_one_of_two, JOBS, at_once=2),
    # What was to be written when the disk was full is lost, and nothing more is begun then.
    Fault("full-disk", disk_faults.fill_disk, 2 * JOBS, disk_faults.free_disk, small_disk=True),
    Fault("damaged-run", disk_faults.damage_run, 1),
    Fault("damaged-index", disk_faults.damage_index, 0),
)


def known_faults() -> list[str]:
    """Return the names of all faults."""
    return [*(fault.name for fault in LOCAL), RAY]


def of_a_node(strike: Callable[[Scene], str]) -> Fault:
    """Return the fault of a Ray node that ``strike`` kills, with all runs that are being made at the worst."""
    return Fault(RAY, strike, JOBS)
