"""Locks that end with the process that holds them, however it ends.

An advisory lock on a file is released by the operating system when its holder dies, and on a shared file
system it also holds against other machines: a recorded process id does neither.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
else:
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)


def try_lock(path: Path) -> int | None:
    """Return an open descriptor that holds the exclusive lock on ``path``, or ``None`` if another holds it.

    The file is created when it is missing. Closing the descriptor releases the lock.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor)
            # Between opening and locking, the last holder may have removed the file: its lock guards nothing.
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass
        os.close(descriptor)
