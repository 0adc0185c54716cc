"""Prepared tables on the nodes of a Ray cluster: what is there, and getting there what is not."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import ray

from rmtl_bench.contracts.errors import DataError
from rmtl_bench.data.preparation import default_cache_dir, prepared_folder

LARGEST_SENT = 2_000_000_000
"""The most bytes of a table that is sent to nodes; a larger one is made there, of raw files of theirs."""
PIECE = 64 << 20
"""The bytes of a file that are sent at once."""

_DESCRIPTION, _MANIFEST = "table.json", "manifest.json"


class Table(NamedTuple):
    """A prepared table as the command has it: data set, fingerprint, folder, bytes, and what its manifest says."""

    name: str
    fingerprint: str
    folder: str
    size: int
    manifest: str

    @classmethod
    def of(cls, name: str, fingerprint: str, folder: Path) -> Table:
        """Look at the folder."""
        size = sum(file.stat().st_size for file in folder.iterdir())
        return cls(name, fingerprint, str(folder), size, _manifest(folder))


def find(name: str, fingerprint: str, told: Path) -> Path | None:
    """Return where a node has a prepared table: in the folder it is told of, or in its own cache; ``None``: nowhere."""
    for folder in (told, prepared_folder(name, fingerprint, default_cache_dir())):
        if (folder / _DESCRIPTION).is_file():
            return folder
    return None


def difference(table: Table, folder: Path) -> str:
    """Return in what a node's table differs from the command's, by their manifests and the files' sizes."""
    here, there = json.loads(table.manifest), json.loads(_manifest(folder))
    files: dict[str, dict[str, Any]] = here.get("files", {})
    for name, stamp in files.items():
        if there.get("files", {}).get(name) != stamp:
            return f"{folder / name} has other contents"
        if not (folder / name).is_file() or (folder / name).stat().st_size != stamp["bytes"]:
            return f"{folder / name} is damaged"
    return "" if here == there else f"{folder / _MANIFEST} says something else"


def pieces_of(folder: Path) -> Iterator[tuple[str, Any]]:
    """Put the files of a table into the cluster's memory; yield name and reference of each piece."""
    for file in sorted(folder.iterdir()):
        for start in range(0, max(1, file.stat().st_size), PIECE):
            yield file.name, ray.put(np.fromfile(file, np.uint8, PIECE, offset=start))


def receive(name: str, fingerprint: str, pieces: Sequence[tuple[str, Any]]) -> None:
    """Write a table of pieces into the cache of the node that this runs on: whole and checked, or not at all."""
    folder = prepared_folder(name, fingerprint, default_cache_dir())
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        aside.mkdir(parents=True)
        for file, reference in pieces:
            with (aside / file).open("ab") as stream:
                stream.write(ray.get(reference))
        _check(aside)
        # Another node of this machine may have been faster.
        if not (folder / _DESCRIPTION).is_file():
            aside.rename(folder)
    except OSError as error:
        raise DataError(f"{name}: cannot write the prepared table to {folder}: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _check(folder: Path) -> None:
    for name, stamp in json.loads(_manifest(folder)).get("files", {}).items():
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != stamp["sha256"]:
                raise DataError(f"{folder / name} arrived with other contents than it was sent with")


def _manifest(folder: Path) -> str:
    try:
        return (folder / _MANIFEST).read_text(encoding="utf-8")
    except OSError:
        return "{}"
