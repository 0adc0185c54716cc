"""Session tables on disk: a folder of ``.npy`` files, read memory-mapped."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from rmtl_bench.contracts.dataset import SessionTable
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.schema import Schema

FORMAT = 1
"""Version of the folder's layout; raised when an older reader could not read it."""

ARRAYS = ("categorical", "numerical", "labels", "session", "user", "timestamp", "session_end", "label_mask", "optimum")
"""The arrays of a table, each in its own ``.npy`` file; the last two only where the table has them."""


def save_table(table: SessionTable, folder: Path) -> None:
    """Write ``table`` as ``folder``: its arrays and ``table.json`` (format, schema, split sizes, notes).

    The folder appears complete or not at all: it is written aside and renamed. Where it stands already,
    what stands there is kept, so that two processes may save the same table at once.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.parent / f".{folder.name}.{uuid.uuid4().hex}"
    aside.mkdir()
    try:
        _write(table, aside)
        try:
            aside.rename(folder)
        except OSError:
            if not (folder / "table.json").exists():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(table: SessionTable, folder: Path) -> None:
    present = [name for name in ARRAYS if getattr(table, name) is not None]
    for name in present:
        np.save(folder / f"{name}.npy", getattr(table, name), allow_pickle=False)
    description = {
        "format": FORMAT,
        "schema": table.schema.to_json(),
        "rows": len(table),
        "split_sizes": [int(size) for size in table.split_sizes],
        "arrays": present,
        "notes": dict(table.notes),
    }
    (folder / "table.json").write_text(json.dumps(description, indent=1, ensure_ascii=False), encoding="utf-8")


def load_table(folder: Path) -> SessionTable:
    """Return the table that :func:`save_table` wrote; its arrays are read-only memory maps.

    Raises :class:`DataError` naming the folder when it is missing, damaged or of another format.
    """
    try:
        description = json.loads((folder / "table.json").read_text(encoding="utf-8"))
        if description["format"] != FORMAT:
            raise DataError(
                f"{folder}: format {description['format']} of a prepared table, this version reads {FORMAT}"
            )
        arrays: dict[str, Any] = {
            name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="r") for name in description["arrays"]
        }
        table = SessionTable(
            schema=Schema.from_json(description["schema"]),
            split_sizes=tuple(description["split_sizes"]),
            notes=description["notes"],
            **arrays,
        )
        uneven = [name for name, array in arrays.items() if len(array) != description["rows"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder}: no complete prepared table ({error}); delete the folder to prepare it again"
        ) from error
    if uneven:
        raise DataError(f"{folder}: {uneven[0]}.npy has not {description['rows']} rows; delete it to prepare it again")
    return table
