"""The store's locks: who waits for one, and for how long."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.data.locks import try_lock


@contextmanager
def locked(path: Path, patience: float) -> Iterator[None]:
    """Hold the exclusive lock on ``path``, waiting up to ``patience`` seconds for it.

    Raises :class:`StoreError` when another process holds it for longer, or the file cannot be made.
    """
    deadline = time.monotonic() + patience
    try:
        while (descriptor := try_lock(path)) is None:
            if time.monotonic() > deadline:
                raise StoreError(f"{path} is locked by another command; try again when it has finished")
            time.sleep(0.02)
    except OSError as error:
        raise StoreError(f"{path} cannot be locked: {error.strerror or error}") from error
    try:
        yield
    finally:
        os.close(descriptor)
