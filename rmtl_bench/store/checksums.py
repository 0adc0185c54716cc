"""The checksums of a run folder: what it held when it was published, by which damage is told later.

``checksums.json`` names every other file of the folder with its SHA-256 and its size. The checksums tell every change,
and everything is read for that; the sizes tell at once what was cut, emptied or removed. Folders that were published
before there were checksums have none.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.contracts.reading import read_json
from rmtl_bench.store.disk import remove, write_atomically

CHECKSUMS_FILE = "checksums.json"
"""The name of the file."""

CHECKSUMS_FORMAT = 1
"""The format of the file, written into it."""

LARGEST = 4 << 20
"""The most bytes that the file may have: a run folder holds a dozen files."""


def write_checksums(folder: Path) -> None:
    """Write ``checksums.json`` of all files in a folder that nobody reads yet, in the order of their names."""
    checksums = {name: digest_of(folder / name) for name in file_names(folder) if name != CHECKSUMS_FILE}
    path = folder / CHECKSUMS_FILE
    try:
        path.write_text(checksums_text(checksums, sizes_of(folder, checksums)), encoding="utf-8")
    except OSError:
        remove(path)
        raise


def keep_checksums(folder: Path, checksums: Mapping[str, str]) -> None:
    """Write ``checksums.json`` of these of the files that it names so far, in one step, whatever the folder holds."""
    sizes = {name: size for name, size in read_sizes(folder).items() if name in checksums}
    write_atomically(folder / CHECKSUMS_FILE, checksums_text(checksums, sizes))


def checksums_text(checksums: Mapping[str, str], sizes: Mapping[str, int]) -> str:
    """Return the content of ``checksums.json`` of these files; ``sizes`` in bytes."""
    data: dict[str, Any] = {"format": CHECKSUMS_FORMAT, "sha256": dict(sorted(checksums.items()))}
    data["bytes"] = dict(sorted(sizes.items()))
    return json.dumps(data, indent=1) + "\n"


def sizes_of(folder: Path, names: Iterable[str]) -> dict[str, int]:
    """Return the bytes of each of these files of a folder."""
    return {name: (folder / name).stat().st_size for name in names}


def read_checksums(folder: Path) -> dict[str, str] | None:
    """Return the checksums of a folder by the names of its files; ``None`` when it has none.

    Raises :class:`StoreError` naming the file when it cannot be read or is of another format.
    """
    data = _read(folder)
    return None if data is None else data["sha256"]


def read_sizes(folder: Path) -> dict[str, int]:
    """Return the bytes of each file of a folder when it was published, by name; empty where nobody wrote them down.

    Raises :class:`StoreError` as :func:`read_checksums` does.
    """
    data = _read(folder)
    return {} if data is None else data["bytes"]


def _read(folder: Path) -> dict[str, dict[str, Any]] | None:
    path = folder / CHECKSUMS_FILE
    try:
        data = read_json(path, LARGEST, links=False)
        if data["format"] != CHECKSUMS_FORMAT:
            raise StoreError(f"{path} has format {data['format']!r}; this rmtl-bench reads format {CHECKSUMS_FORMAT}")
        return {
            "sha256": {str(name): str(digest) for name, digest in data["sha256"].items()},
            "bytes": {str(name): int(size) for name, size in data.get("bytes", {}).items()},
        }
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise StoreError(f"{path} holds no checksums: {type(error).__name__}: {error}") from error


def faults(folder: Path, checksums: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with the files of a folder, one line each; links are not followed."""
    present = set(file_names(folder))
    for name, digest in checksums.items():
        path = folder / name
        if name not in present:
            yield f"{path} is missing"
            continue
        try:
            if digest_of(path) != digest:
                yield f"{path} is not what was published: its checksum differs"
        except OSError as error:
            yield f"{path} cannot be read: {error.strerror or error}"


def cut_short(folder: Path) -> str:
    """Return what is wrong with the files of a folder by their names and sizes, one line; empty: nothing.

    No file but ``checksums.json`` is read, and a folder without it, or without sizes in it, has nothing wrong.
    """
    try:
        sizes = read_sizes(folder)
    except StoreError as error:
        return str(error)
    for name, size in sizes.items():
        path = f"{folder}/{name}"
        try:
            found = os.lstat(path)
        except (OSError, ValueError):
            return f"{path} is missing"
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return f"{path} has {found.st_size} bytes; {size} were published"
    return ""


def unlisted(folder: Path, checksums: Mapping[str, str]) -> list[str]:
    """Return the names of the files in a folder that its checksums do not name."""
    return sorted(set(file_names(folder)).difference(checksums, [CHECKSUMS_FILE]))


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_names(folder: Path) -> list[str]:
    """Return the names of the plain files in a folder and in those within it, in order, parts joined by ``/``."""
    names, left = [], [""]
    while left:
        within = left.pop()
        with os.scandir(folder / within) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    names.append(within + entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    left.append(f"{within}{entry.name}/")
    return sorted(names)
