"""The store's locks: who waits for one, and for how long."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.data.locks import try_lock

PAUSE = 0.005
"""Seconds between two tries: as short as that, since who comes and goes quickly would be served before who waits."""

_UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT)


class UnwritableError(StoreError):
    """The store can be read but not written: its file system is read-only or full, or it is somebody else's."""


@contextmanager
def locked(path: Path, patience: float) -> Iterator[None]:
    """Hold the exclusive lock on ``path``, waiting up to ``patience`` seconds for it.

    Raises :class:`StoreError` when another process holds it for longer, or the file cannot be made;
    :class:`UnwritableError` where nothing can be written.
    """
    deadline = time.monotonic() + patience
    try:
        while (descriptor := try_lock(path)) is None:
            if time.monotonic() > deadline:
                raise StoreError(f"{path} is locked by another command; try again when it has finished")
            time.sleep(PAUSE)
    except OSError as error:
        kind = UnwritableError if error.errno in _UNWRITABLE else StoreError
        raise kind(f"{path} cannot be locked: {error.strerror or error}") from error
    try:
        yield
    finally:
        os.close(descriptor)
