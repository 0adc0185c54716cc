"""The table of a data set under test: built once for all its checks, under watch."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rmtl_bench.contracts.dataset import Dataset, SessionTable
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.data.checks import check_table
from rmtl_bench.data.preparation import fingerprint
from rmtl_bench.data.storage import ARRAYS
from rmtl_bench.testing.checks import NotApplicable
from rmtl_bench.testing.generators import seeded_generators
from rmtl_bench.testing.kept import KeptBySubject
from rmtl_bench.testing.subjects import Subject


@dataclass
class Watched:
    """A build, and what it did beside. ``left``: what it has left behind, or changed, outside scratch; ``moved``: the
    libraries whose global generators it has moved.
    """

    table: SessionTable | None = None
    error: Exception | None = None
    left: Sequence[str] = ()
    moved: Sequence[str] = ()


@dataclass
class Built:
    """The first build of a subject, by a data set that is still there.

    ``fingerprint``: from before; ``problem``: why other checks cannot look at the table, in words; empty: they can.
    """

    dataset: Dataset
    raw_files: Sequence[Path]
    fingerprint: str
    first: Watched
    problem: str = ""


def new_dataset(subject: Subject) -> Dataset:
    """Return the data set, its parameters given."""
    made: Dataset = subject.load()(**subject.parameters)
    return made


@contextlib.contextmanager
def empty_folder() -> Iterator[Path]:
    """Yield an empty folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="rmtl-bench-check-") as folder:
        yield Path(folder).resolve()


def table_of(subject: Subject) -> SessionTable:
    """Return the table; raise :class:`NotApplicable` where there is none to look at."""
    found = built(subject)
    if found.problem or found.first.table is None:
        raise NotApplicable(f"there is no table that keeps its promises: {found.problem}")
    return found.first.table


@KeptBySubject
def built(subject: Subject) -> Built:
    """Return the first build, made when it is first asked for.

    Raises :class:`NotApplicable` where raw files are missing.
    """
    dataset = new_dataset(subject)
    raw_files, digest = find_raw_files(subject, dataset)
    found = Built(dataset, raw_files, digest, watch_build(dataset, subject.data_dir, seed=1))
    table, error = found.first.table, found.first.error
    if error is not None:
        found.problem = f"build() raised {type(error).__name__}: {first_line(error)}"
        return found
    if not isinstance(table, SessionTable):
        found.problem = f"build() returned a {type(table).__name__}"
        return found
    try:
        check_table(table, subject.info.name)
    except DataError as error:
        found.problem = first_line(error)
    return found


def find_raw_files(subject: Subject, dataset: Dataset) -> tuple[list[Path], str]:
    """Return the raw files and the fingerprint; raise :class:`NotApplicable` where they are missing."""
    with empty_folder() as nowhere:
        data_dir = subject.data_dir.resolve() if subject.data_dir else nowhere
        try:
            files = [Path(path) for path in dataset.raw_files(data_dir)]
        except DataError as error:
            where = f"not in {data_dir}" if subject.data_dir else "give --data-dir"
            raise NotApplicable(f"raw files are missing: {first_line(error)}; {where}") from error
        return files, fingerprint(dataset, subject.component, data_dir, nowhere)


def first_line(error: BaseException | None) -> str:
    """Return the first line of what an error says."""
    return (str(error).splitlines() or [""])[0]


def watch_build(dataset: Dataset, data_dir: Path | None, seed: int) -> Watched:
    """Build a table in an empty current folder with the global generators at a seed, and restore all of it.

    ``data_dir``: an empty folder if there is none. The scratch folder is gone when the table is returned: of a memory
    map in it, the map alone is left.
    """
    found = Watched()
    with empty_folder() as home:
        scratch, here, temporary = (home / name for name in ("scratch", "here", "temporary"))
        for folder in (scratch, here, temporary, home / "raw"):
            folder.mkdir()
        raw = home / "raw" if data_dir is None else data_dir.resolve()
        before = _content(raw)
        with _elsewhere(here, temporary), seeded_generators(seed) as moved:
            try:
                found.table = dataset.build(raw, scratch)
            except Exception as error:
                found.error = error
            found.moved = moved()
        found.left = [
            *(f"{name} in the current folder" for name in _content(here)),
            *(f"{name} in the folder of temporary files" for name in _content(temporary)),
            *(f"{name} in the folder of raw files" for name in _differing(before, _content(raw))),
        ]
    return found


def _content(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of what lies in a folder, by relative path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(OSError):
            status = path.stat()
            found[str(path.relative_to(folder))] = (status.st_size, status.st_mtime_ns) if path.is_file() else (0, 0)
    return found


def _differing(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


@contextlib.contextmanager
def _elsewhere(here: Path, temporary: Path) -> Iterator[None]:
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
    try:
        with contextlib.chdir(here):
            yield
    finally:
        tempfile.tempdir, variable = before
        if variable is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = variable


def difference(one: SessionTable, other: SessionTable) -> str:
    """Return the first part in which two tables differ, in words; empty: they are equal."""
    for name in ("schema", "split_sizes", "extra_tests", "notes"):
        if getattr(one, name) != getattr(other, name):
            return name
    for name in ARRAYS:
        left, right = getattr(one, name), getattr(other, name)
        if (left is None) != (right is None):
            return name
        if left is not None and not np.array_equal(left, right):
            return name
    return ""


def first_rows(table: SessionTable, most: int) -> SessionTable:
    """Return the first rows of train, valid and test, so many of each at most, in memory."""
    parts = [table.split(name) for name in ("train", "valid", "test")]
    chosen = [slice(part.start, min(part.stop, part.start + most)) for part in parts]
    arrays: dict[str, Any] = {
        name: np.concatenate([array[part] for part in chosen])
        for name in ARRAYS
        if (array := getattr(table, name)) is not None
    }
    sizes = [part.stop - part.start for part in chosen]
    last = np.cumsum(sizes) - 1
    ends = arrays["session_end"]
    # A session that goes on is cut here, as by a border between splits.
    ends[last] = np.where(ends[last] == 0, 2, ends[last])
    return replace(table, split_sizes=(sizes[0], sizes[1], sizes[2]), extra_tests={}, **arrays)
