"""Writing to the disk in steps that are done wholly or not at all, and removing what is not needed."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_atomically(path: Path, text: str) -> None:
    """Write ``path`` so that a reader sees the old text or the new one, never a part."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        aside.write_text(text, encoding="utf-8")
        flush(aside)
        aside.replace(path)
    except BaseException:
        remove(aside)
        raise


def is_full(error: BaseException) -> bool:
    """Return whether an error says that a disk has no room left, or that this user may have no more of it.

    Libraries put it in words of their own: their text has the system's.
    """
    number = error.errno if isinstance(error, OSError) else None
    return number in _FULL or os.strerror(errno.ENOSPC) in str(error)


def flush(path: Path) -> None:
    """Return when what was written to a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it; what is not there, or cannot be removed, is left."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; links count as none."""
    if path.is_symlink():
        return 0
    if path.is_file():
        return path.stat().st_size
    return sum(found.lstat().st_size for found in path.rglob("*") if found.is_file() and not found.is_symlink())
