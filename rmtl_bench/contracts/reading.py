"""Small files from anybody, read without harm: regular files only, up to a size, and JSON that is what it seems.

To open a pipe or a device can wait for ever, and a file of a few bytes on the disk may have no end; so a file is looked
at before it is read, and read no further than its limit. The limits are those of ``SECURITY.md``.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from pathlib import Path
from typing import Any

DEEPEST = 64
"""How deep lists and mappings of a JSON file may lie in each other."""

_UNTIL_ONE_READS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def read_bytes(path: Path, most: int, *, links: bool = True) -> bytes:
    """Return the content of a regular file of at most ``most`` bytes; with ``links`` false, a link is no such file.

    Raises :class:`OSError`, whose ``strerror`` says why.
    """
    if not links and path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link; its place takes a file", str(path))
    descriptor = os.open(path, os.O_RDONLY | _UNTIL_ONE_READS | (0 if links else _NO_LINK))
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        # Files of the kernel say that they have no bytes: what is read counts, too.
        content = file.read(most + 1) if found.st_size <= most else b""
    if found.st_size > most or len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return content


def read_json(path: Path, most: int, *, links: bool = True, finite: bool = True) -> Any:
    """Return what a JSON file of at most ``most`` bytes says, read as :func:`read_bytes` does.

    Raises :class:`OSError` as that does, and :class:`ValueError` for what is no JSON in UTF-8, for a number that is not
    finite, unless ``finite`` is false, and for lists and mappings more than :data:`DEEPEST` deep. Half a surrogate
    becomes a question mark, since neither a database nor a terminal takes it.
    """
    content = read_bytes(path, most, links=links)
    try:
        data = json.loads(content.decode("utf-8"))
        if b"\\ud" in content or b"\\uD" in content:
            data = json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError as error:
        raise ValueError(f"it is more than {DEEPEST} levels deep") from error
    _check(data, finite)
    return data


def _check(data: Any, finite: bool) -> None:
    level = [data]
    for _ in range(DEEPEST + 1):
        if finite and any(isinstance(value, float) and not math.isfinite(value) for value in level):
            raise ValueError("it has a number that is not finite")
        nested = [value for value in level if isinstance(value, (dict, list))]
        if not nested:
            return
        level = [inner for value in nested for inner in (value.values() if isinstance(value, dict) else value)]
    raise ValueError(f"it is more than {DEEPEST} levels deep")
