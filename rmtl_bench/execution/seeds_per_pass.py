"""How many seeds side by side are fastest: a short measurement on the runs' own models and data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rmtl_bench.training.seeds_side_by_side import seconds_of_first_steps
from rmtl_bench.training.trainer import Trainer

STEPS = 6
"""Steps that are timed for each number of seeds, after as many that are not."""
GAIN = 0.95
"""More seeds at once are taken only where a seed's step then takes less than this share of the time."""


def fastest_size(trainers: Callable[[int], Sequence[Trainer]], most: int) -> int:
    """Return how many seeds to train side by side, from 1 to ``most``: where a seed's step takes the least time.

    ``trainers(n)`` returns n trainers to be used up. Tried are ``most`` and its halves, quarters and so on, the largest
    first; what fails, for want of memory or because it cannot be stacked, is passed over: the runs will say why.
    """
    if most == 1:
        return 1
    best, least = 1, GAIN * _seconds_a_seed(trainers, 1)
    size = most
    while size > 1:
        seconds = _seconds_a_seed(trainers, size)
        if seconds < least:
            best, least = size, seconds
        size //= 2
    return best


def _seconds_a_seed(trainers: Callable[[int], Sequence[Trainer]], size: int) -> float:
    try:
        return seconds_of_first_steps(trainers(size), STEPS) / size
    except Exception:
        return float("inf")
