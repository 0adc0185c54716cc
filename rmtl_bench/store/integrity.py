"""Whether run folders are whole: what each must hold, read as any command would read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import duckdb

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store.checksums import CHECKSUMS_FILE, faults, read_checksums, unlisted
from rmtl_bench.store.ingest import checked
from rmtl_bench.store.layout import RunFolder
from rmtl_bench.store.profiles import read_profile
from rmtl_bench.store.run_files import TABLES, read_environment
from rmtl_bench.store.tables import check_files, escaped, first_line, memory_connection, read_many

BATCH = 500
"""Folders whose tables are read in one query."""


@dataclass
class Examined:
    """What was found in run folders: ``broken`` and ``unlisted`` hold lines by the folder that they are about.

    ``unlisted``: files that the folder's checksums do not name. ``without_checksums``: how many folders have none.
    """

    broken: dict[Path, list[str]] = field(default_factory=dict)
    unlisted: dict[Path, list[str]] = field(default_factory=dict)
    without_checksums: int = 0

    def note(self, folder: Path, text: str) -> None:
        """Note that a folder is broken, unless it is gone: then another command has removed it meanwhile."""
        if folder.is_dir():
            self.broken.setdefault(folder, []).append(text)


def examine(folders: Sequence[RunFolder], compare: bool = True) -> Examined:
    """Read run folders wholly and return what is wrong with them; nothing is written.

    Each has a record under its own name, tables that can be read, an environment and a profile that can be read if it
    has them, and the files that were published; not ``compare``: the caller compares these. Predictions are read only
    where there are no checksums.
    """
    found = Examined()
    for start in range(0, len(folders), BATCH):
        batch = [folder.path for folder in folders[start : start + BATCH]]
        for folder in folders[start : start + BATCH]:
            for read in (partial(checked, folder), partial(read_environment, folder.path)):
                _try(read, folder.path, found)
            _try(partial(read_profile, folder.path), folder.path, found)
        vouched = {path for path in batch if (_agrees(path, found) if compare else (path / CHECKSUMS_FILE).exists())}
        for table, types in TABLES.items():
            _examine_tables(batch, table, partial(_read_typed, types), found)
        _examine_tables([path for path in batch if path not in vouched], "predictions", _scan, found)
    return found


def _try(read: Callable[[], object], folder: Path, found: Examined) -> None:
    try:
        read()
    except StoreError as error:
        found.note(folder, str(error))


def _agrees(folder: Path, found: Examined) -> bool:
    """Return whether the checksums of a folder are there and right."""
    try:
        known = read_checksums(folder)
        if known is None:
            found.without_checksums += folder.is_dir()
            return False
        wrong = list(faults(folder, known))
        if others := unlisted(folder, known):
            found.unlisted[folder] = others
    except StoreError as error:
        wrong = [str(error)]
    except OSError as error:
        wrong = [f"{folder} cannot be read: {error.strerror or error}"]
    for text in wrong:
        found.note(folder, text)
    return not wrong


def _examine_tables(
    folders: Sequence[Path], table: str, read: Callable[[Sequence[Path]], object], found: Examined
) -> None:
    paths = [path for folder in folders if (path := folder / f"{table}.parquet").is_file()]
    try:
        if paths:
            read(paths)
        return
    except duckdb.Error:
        # One of them is broken: each is asked for itself.
        pass
    for path in paths:
        try:
            read([path])
        except duckdb.Error as error:
            found.note(path.parent, f"{path} cannot be read: {first_line(error)}")


def _read_typed(types: Mapping[str, str], paths: Sequence[Path]) -> None:
    read_many(paths, types)


def _scan(paths: Sequence[Path]) -> None:
    """Read every value of Parquet files of any columns, and keep none."""
    with memory_connection() as connection:
        check_files(connection, paths)
        connection.execute(
            "SELECT bit_xor(hash(found)) FROM read_parquet(?, union_by_name = true, hive_partitioning = false) found",
            [escaped(paths)],
        ).fetchall()
