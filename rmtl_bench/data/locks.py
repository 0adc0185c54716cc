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

    def _share(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
else:
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    # There are no shared locks here: two who look at the same moment take each other for a holder.
    _share = _lock


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


def is_locked(path: Path) -> bool:
    """Return whether some process holds the exclusive lock on ``path``; a missing file is held by nobody.

    Nothing is created or removed, and those who look do not take each other for a holder. The lock is shared for the
    moment of looking: a :func:`try_lock` in that moment finds it taken. So look only where a holder is expected.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        _share(descriptor)
    except (BlockingIOError, PermissionError):
        return True
    finally:
        os.close(descriptor)
    return False
