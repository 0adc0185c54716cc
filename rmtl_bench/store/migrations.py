"""From the format of an older store to today's: steps that are numbered and only lead forward.

======  ==================================================================================================
format  what it brought
======  ==================================================================================================
1       staging/, runs/, suites/
2       claims/ and checkpoints/; attempts at one run may have gaps between their numbers; a run folder has
        checksums; the statuses timeout, oom, interrupted and skipped
======  ==================================================================================================

A store of an older format is read as it is. It is migrated when it is opened for writing, and then refused by an older
rmtl-bench, which would heed no claims and give a new attempt the number of one that was pruned. Each step can be
repeated, and the number in ``FORMAT`` is written after it in one step: a migration that is interrupted goes on
the next time, and two at once do the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from rmtl_bench.store.disk import flush, write_atomically

STORE_FORMAT = 2
"""Raised when an older rmtl-bench could misread the folders, or do harm to them."""


def _to_2(path: Path) -> None:
    for name in ("claims", "checkpoints"):
        (path / name).mkdir(exist_ok=True)


STEPS: Mapping[int, Callable[[Path], None]] = {1: _to_2}
"""By the format that a store has, what makes it one of the next."""


def migrate(path: Path, found: int) -> None:
    """Make the store at ``path``, which has the format ``found``, one of today's format."""
    for number in range(found, STORE_FORMAT):
        STEPS[number](path)
        write_atomically(path / "FORMAT", f"{number + 1}\n")
    flush(path)
