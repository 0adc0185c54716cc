"""The manifest of a prepared table: what it was made of, what is in it, and the checksums of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.cell import Component
from rmtl_bench.contracts.dataset import SessionTable
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.reading import read_json
from rmtl_bench.data.checks import check_table
from rmtl_bench.data.storage import LARGEST, MANIFEST, load_table

RawFile = Mapping[str, Any]
"""``name``, ``bytes`` and ``sha256`` of a raw file."""

FORMAT = 1
"""Version of the manifest's form."""

_KEYS = {"dataset", "parameters", "raw_files", "rows", "sessions", "label_rates", "notes", "files"}
"""What its readers need."""

_CHUNK_ROWS = 50_000


def manifest_of(
    table: SessionTable, component: Component, fingerprint: str, raw_files: Sequence[RawFile], folder: Path
) -> dict[str, Any]:
    """Return the manifest of ``table``, whose arrays are the ``.npy`` files in ``folder``.

    It depends on nothing but the raw files, the parameters and the versions: no time, no path, no machine.
    """
    return {
        "manifest": FORMAT,
        "dataset": component.name,
        "version": component.version,
        "distribution": f"{component.distribution} {component.distribution_version}",
        "parameters": dict(component.parameters),
        "fingerprint": fingerprint,
        "raw_files": [dict(file) for file in raw_files],
        **contents_of(table),
        "files": {path.name: _stamp(path) for path in sorted(folder.glob("*.npy"))},
    }


def contents_of(table: SessionTable) -> dict[str, Any]:
    """Return the counts of a table: rows, sessions, users and label rates by split, and what has no id of its own.

    ``label_rates`` are over the rows whose label is known, ``None`` where none is. ``out_of_vocabulary`` is the share
    of rows with id 0, ``cut_sessions`` the number of sessions that a split boundary cuts.
    """
    splits = {name: table.split(name) for name in table.splits}
    tasks = table.schema.task_names
    without_id = {name: _share_without_id(table.categorical[rows]) for name, rows in splits.items()}
    return {
        "rows": dict(table.splits),
        "sessions": {name: int(np.count_nonzero(table.session_end[rows])) for name, rows in splits.items()},
        "cut_sessions": int(np.count_nonzero(table.session_end == 2)),
        "users": {name: _distinct(table.user[rows]) for name, rows in splits.items()},
        "label_rates": {
            task: {name: _rate(table, column, rows) for name, rows in splits.items()}
            for column, task in enumerate(tasks)
        },
        "vocabularies": {field.name: field.size for field in table.schema.categorical},
        "out_of_vocabulary": {
            field.name: {name: shares[column] for name, shares in without_id.items()}
            for column, field in enumerate(table.schema.categorical)
        },
        "notes": dict(table.notes),
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a prepared table; raise :class:`DataError` if there is none that can be read."""
    try:
        manifest = read_json(folder / MANIFEST, LARGEST, finite=False)
        lacking = _KEYS - manifest.keys()
        if "manifest" in manifest and lacking:
            raise ValueError(f"it has no {', '.join(sorted(lacking))}")
        if manifest["manifest"] != FORMAT:
            raise DataError(f"{folder / MANIFEST}: form {manifest['manifest']}, this version reads {FORMAT}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{folder}: no manifest that can be read ({error}); delete the folder to prepare it again"
        ) from error
    return dict(manifest)


def verify(folder: Path) -> dict[str, Any]:
    """Check a prepared table against its manifest, and return the manifest.

    Read again are every file's size and checksum, all that a session table promises, and every count. Raises
    :class:`DataError` naming the first file or count that differs.
    """
    manifest = read_manifest(folder)
    again = "; delete the folder to prepare it again"
    expected = manifest["files"]
    for name in sorted(expected.keys() | {path.name for path in folder.glob("*.npy")}):
        if name not in expected:
            raise DataError(f"{folder / name}: the manifest does not know this file{again}")
        if not (folder / name).is_file():
            raise DataError(f"{folder / name}: the file is missing{again}")
        found = _stamp(folder / name)
        for key in ("bytes", "sha256"):
            if found[key] != expected[name][key]:
                raise DataError(
                    f"{folder / name}: {key} is {found[key]}, the manifest says {expected[name][key]}{again}"
                )
    table = load_table(folder)
    check_table(table, manifest["dataset"])
    for key, value in json.loads(json.dumps(contents_of(table))).items():
        if manifest.get(key) != value:
            raise DataError(f"{folder}: {key} is {value}, the manifest says {manifest.get(key)}{again}")
    return manifest


def _stamp(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _chunks(rows: slice) -> Iterator[slice]:
    for start in range(rows.start, rows.stop, _CHUNK_ROWS):
        yield slice(start, min(start + _CHUNK_ROWS, rows.stop))


def _distinct(ids: NDArray[np.int32]) -> int:
    seen = np.zeros(int(ids.max()) + 1, bool)
    for some in _chunks(slice(0, len(ids))):
        seen[ids[some]] = True
    return int(seen.sum())


def _share_without_id(ids: NDArray[np.int32]) -> list[float]:
    """Return the share of rows with id 0 by column; some rows at a time, so that all their columns are at hand."""
    counts = np.zeros(ids.shape[1], np.int64)
    for some in _chunks(slice(0, len(ids))):
        counts += np.count_nonzero(ids[some] == 0, axis=0)
    return [float(count / len(ids)) for count in counts]


def _rate(table: SessionTable, column: int, rows: slice) -> float | None:
    positives = known = 0
    for some in _chunks(rows):
        # Labels are 0 where they are missing.
        positives += int(np.count_nonzero(table.labels[some, column]))
        mask = table.label_mask
        known += some.stop - some.start if mask is None else int(np.count_nonzero(mask[some, column]))
    return positives / known if known else None
