"""Session tables on disk: a folder of ``.npy`` files, read memory-mapped."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.dataset import SessionTable
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.reading import read_json
from rmtl_bench.contracts.schema import Schema

Describe = Callable[[Path], Mapping[str, Any]]

FORMAT = 1
"""Version of the folder's layout; raised when an older reader could not read it."""

LARGEST = 16 << 20
"""The most bytes that ``table.json`` and the manifest may have."""

MANIFEST = "manifest.json"
"""Beside the table: what it was made of and what is in it (:mod:`rmtl_bench.data.manifest`)."""

ARRAYS = ("categorical", "numerical", "labels", "session", "user", "timestamp", "session_end", "label_mask", "optimum")
"""The arrays of a table, each in its own ``.npy`` file; the last two only where the table has them."""


def save_table(
    table: SessionTable, folder: Path, scratch: Path | None = None, describe: Describe | None = None
) -> None:
    """Write ``table`` as ``folder``: its arrays and ``table.json`` (format, schema, split sizes, notes).

    Memory maps of files below ``scratch`` are moved, not copied. ``describe`` gets the folder of the arrays and returns
    what is written beside them as ``manifest.json``.

    The folder appears complete or not at all: it is written aside and renamed. Where it stands already,
    what stands there is kept, so that two processes may save the same table at once.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.parent / f".{folder.name}.{uuid.uuid4().hex}"
    aside.mkdir()
    try:
        _write(table, aside, scratch)
        if describe:
            _write_json(describe(aside), aside / MANIFEST)
        try:
            aside.rename(folder)
        except OSError:
            if not (folder / "table.json").exists():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(table: SessionTable, folder: Path, scratch: Path | None) -> None:
    present = [name for name in ARRAYS if getattr(table, name) is not None]
    for name in present:
        array, path = getattr(table, name), folder / f"{name}.npy"
        if not (scratch and _move(array, scratch, path)):
            np.save(path, array, allow_pickle=False)
    description = {
        "format": FORMAT,
        "schema": table.schema.to_json(),
        "rows": len(table),
        "split_sizes": [int(size) for size in table.split_sizes],
        "arrays": present,
        "notes": dict(table.notes),
    }
    if table.extra_tests:
        description["extra_tests"] = {name: int(size) for name, size in table.extra_tests.items()}
    _write_json(description, folder / "table.json")


def _move(array: NDArray[Any], scratch: Path, path: Path) -> bool:
    """Move the file of a memory map below ``scratch``; return False for any other array, and where files are locked."""
    file = getattr(array, "filename", None)
    if not isinstance(array, np.memmap) or file is None or not Path(file).is_relative_to(scratch):
        return False
    array.flush()
    mapped = np.lib.format.open_memmap(file, mode="r")
    if (mapped.shape, mapped.dtype, mapped.offset) != (array.shape, array.dtype, array.offset):
        return False
    try:
        Path(file).rename(path)
    except OSError:
        return False
    return True


def _write_json(data: Mapping[str, Any], path: Path) -> None:
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")


def load_table(folder: Path) -> SessionTable:
    """Return the table that :func:`save_table` wrote; its arrays are read-only memory maps.

    Raises :class:`DataError` naming the folder when it is missing, damaged or of another format.
    """
    try:
        description = read_json(folder / "table.json", LARGEST, finite=False)
        if description["format"] != FORMAT:
            raise DataError(
                f"{folder}: format {description['format']} of a prepared table, this version reads {FORMAT}"
            )
        arrays: dict[str, Any] = {
            # Only names that are known lead to no other folder; a file that holds Python objects is no memory map.
            name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="r")
            for name in description["arrays"]
            if name in ARRAYS
        }
        table = SessionTable(
            schema=Schema.from_json(description["schema"]),
            split_sizes=tuple(description["split_sizes"]),
            extra_tests=description.get("extra_tests", {}),
            notes=description["notes"],
            **arrays,
        )
        uneven = [name for name, array in arrays.items() if len(array) != description["rows"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{folder}: no complete prepared table ({error}); delete the folder to prepare it again"
        ) from error
    if uneven:
        raise DataError(f"{folder}: {uneven[0]}.npy has not {description['rows']} rows; delete it to prepare it again")
    return table
