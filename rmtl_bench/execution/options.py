"""How to run a suite: choices that change no number of a run by more than rounding."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rmtl_bench.contracts.executor import Room
from rmtl_bench.contracts.run_request import CHECKPOINT_SECONDS, NO_LIMITS, Limits

MOST_SEEDS = 16
"""Seeds that one process is given at most where their number is measured."""


@dataclass(frozen=True)
class Options:
    """How to run: nothing here changes a run's numbers on one kind of device by more than rounding.

    ``jobs`` processes at once, 0 for one a core (one on a GPU). Each gets ``threads`` threads, 0 for the cores divided
    by the processes at once. ``seeds_per_pass``: how many seeds of a cell one process trains side by side at most, 0
    for as many as a measurement finds fastest; ``None`` for 0 on a GPU and 1 on the CPU, where a run then repeats to
    the bit: another number of threads or of seeds may change the last bits of a sum. ``profile``: whether every run
    writes down where its time goes. ``limits`` of each run. ``max_failures``: how many runs may end badly before
    nothing more is run; 0: all. ``checkpoint_seconds``: the least time from one checkpoint of a run to the next.
    """

    device: str = "auto"
    jobs: int = 0
    threads: int = 1
    seeds_per_pass: int | None = None
    profile: bool = False
    limits: Limits = NO_LIMITS
    max_failures: int = 0
    checkpoint_seconds: float = CHECKPOINT_SECONDS

    def within(self, room: Room) -> Options:
        """Return the options with every choice made, as an executor has room for them."""
        side_by_side = self.seeds_per_pass
        if side_by_side is None:
            side_by_side = 0 if room.device.startswith("cuda") else 1
        return replace(self, device=room.device, jobs=room.jobs, threads=room.threads, seeds_per_pass=side_by_side)

    def most_seeds(self, seeds: int, groups: int) -> int:
        """Return how many of so many cells that differ in their seed alone to give to one process.

        ``groups``: how many such groups wait, this one counted. Where they are fewer than processes, they are divided.
        """
        if self.seeds_per_pass:
            return self.seeds_per_pass
        parts = -(-self.jobs // groups)
        return min(MOST_SEEDS, -(-seeds // parts))
