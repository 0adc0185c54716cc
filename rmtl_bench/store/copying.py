"""A run folder copied out of a store that may be anybody's: plain files alone, as its checksums name them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection
from pathlib import Path

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store.checksums import CHECKSUMS_FILE, read_checksums

MOST_FILES = 1_000
"""The most files that a run folder may have to be copied; a run writes a dozen."""

_CHUNK = 1 << 20
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def refuse_strangers(folder: Path) -> None:
    """Raise :class:`StoreError` where a run folder is a link, or holds anything but plain files."""
    if folder.is_symlink():
        raise StoreError(f"{folder} is a link; a run is a folder")
    count = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                count += 1
                if not entry.is_file(follow_symlinks=False):
                    raise StoreError(f"{folder / entry.name} is a link, a folder or a device; a run has plain files")
                if count > MOST_FILES:
                    raise StoreError(f"{folder} has more than {MOST_FILES} files; a run has a dozen")
    except OSError as error:
        raise StoreError(f"{folder} cannot be read: {error.strerror or error}") from error


def copy_run(folder: Path, into: Path, leave_out: Collection[str] = ()) -> None:
    """Copy the files of a run folder into an empty one, without ``checksums.json`` and the names in ``leave_out``.

    Where the folder has checksums, the files that they name are copied, and each is compared while it is; otherwise all
    are. Raises :class:`StoreError` for a file that is missing, a link, no plain file, or not what was published.
    """
    checksums = read_checksums(folder)
    if checksums is None:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False))
    else:
        names = sorted(checksums)
    for name in names:
        if name in leave_out or name == CHECKSUMS_FILE:
            continue
        if "/" in name or "\\" in name or "\0" in name or name in ("", ".", ".."):
            raise StoreError(f"{folder / CHECKSUMS_FILE} names {name!r}, which is no file of a run")
        digest = _copy(folder / name, into / name)
        if checksums is not None and checksums[name] != digest:
            raise StoreError(f"{folder / name} is not what was published: its checksum differs")


def _copy(source: Path, target: Path) -> str:
    """Copy a plain file and return its SHA-256."""
    try:
        descriptor = os.open(source, _READ)
    except OSError as error:
        raise StoreError(f"{source} cannot be read: {error.strerror or error}") from error
    digest = hashlib.sha256()
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise StoreError(f"{source} is no plain file")
        with target.open("xb") as copy:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                copy.write(chunk)
    return digest.hexdigest()
