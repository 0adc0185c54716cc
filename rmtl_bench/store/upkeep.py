"""What commands that rearrange a store hold: one of them at a time, and each leaves an index that is up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rmtl_bench.store.layout import Store
from rmtl_bench.store.locks import locked

PATIENCE = 60.0
"""The most seconds that such a command waits for another."""


@contextmanager
def upkeep(store: Store, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock of merging and pruning, so that no attempt is numbered or counted while another command does so.

    Commands that make runs do not wait for it. Raises :class:`StoreError` when another holds it for too long.
    """
    with locked(store.path / "upkeep.lock", patience):
        yield
