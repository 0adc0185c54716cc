"""The index of a store: ``results.duckdb``, made from the run folders and never more than they say.

One process writes at a time, for moments: it reads the new folders first, then opens, inserts, and closes.
Writers also exclude each other by a lock file, held around opening and closing: processes that took turns by
DuckDB's own lock alone were measured to lose committed rows now and then. Readers let a waiting writer pass.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import duckdb
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import StoreError, UsageError
from rmtl_bench.data.locks import is_locked
from rmtl_bench.store import schema
from rmtl_bench.store.ingest import Batch, Problem, Stamp, insert, read_batch, stamp
from rmtl_bench.store.layout import RunFolder, Store
from rmtl_bench.store.locks import PAUSE, UnwritableError, locked
from rmtl_bench.store.queries import OTHER, WELL, Attempt, Cost, OtherData, chosen_runs
from rmtl_bench.store.scratch import make_scratch_folder, scratch_folder
from rmtl_bench.store.tables import first_line

BATCH = 500
"""Runs ingested in one transaction."""

PATIENT = 2.0
"""The most seconds that an index beside a store that cannot be written takes without a word."""

_FILE = "results.duckdb"
_T = TypeVar("_T")
_FULL = "No space left on device"
_BUSY = ("Could not set lock", "different configuration than existing connections")
# Also where it is written: an index from a stranger may hold views, which must reach no other file and no network.
_SEALED: dict[str, Any] = {
    "enable_external_access": False,
    "lock_configuration": True,
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
}


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did: runs ingested and removed, folders that cannot be read, and whether it began anew.

    ``note``: what else the user should know, one line; empty: nothing.
    """

    ingested: int = 0
    removed: int = 0
    problems: tuple[Problem, ...] = ()
    rebuilt: bool = False
    note: str = ""


class _Changes(NamedTuple):
    """Folders to ingest, and names to forget since they are gone or have changed."""

    new: list[tuple[RunFolder, Stamp]]
    gone: list[str]
    changed: list[str]

    @property
    def none(self) -> bool:
        return not any(self)


class Index:
    """The index of ``store``. Another command holding the file is waited for, up to ``patience`` seconds.

    Where the store cannot be written, and its index lacks something, the process gets one of its own beside it.
    """

    def __init__(self, store: Store, patience: float = 10.0) -> None:
        self.store = store
        self.path = (scratch_folder(store.path) or store.path) / _FILE
        self.patience = patience
        self._shared: duckdb.DuckDBPyConnection | None = None

    def refresh(self) -> Refreshed:
        """Ingest the run folders that are new or have changed, and forget those that are gone.

        A folder that cannot be read is reported and tried again next time. An index that is corrupt or of another
        schema version is moved aside to ``results.duckdb.aside`` and made anew. When nothing is new, nothing
        is written. Raises :class:`StoreError` when another command holds the file for too long.
        """
        known = self._known_whole()
        if known is not None and self._changes(known).none:
            return Refreshed(problems=self._strangers())
        try:
            return self._update(anew=False)
        except UnwritableError:
            return self._refresh_beside(known is not None)

    def _refresh_beside(self, usable: bool) -> Refreshed:
        """Refresh an index of this process alone, begun with the store's own where that is ``usable``."""
        started = time.monotonic()
        path = make_scratch_folder(self.store.path) / _FILE
        if usable and not path.exists():
            # A reader's connection keeps writers away while the file is copied.
            with self._connect(read_only=True):
                shutil.copyfile(self.path, path)
        self.path = path
        refreshed = self._update(anew=False)
        seconds = time.monotonic() - started
        if seconds < PATIENT:
            return refreshed
        note = f"{self.store.path} cannot be written, so this command made an index for itself alone: {seconds:.0f} s"
        return replace(refreshed, note=note)

    def rebuild(self) -> Refreshed:
        """Make the index anew from all run folders. Raises as :meth:`refresh` does, and where it cannot be written."""
        return self._update(anew=True)

    @contextmanager
    def reading(self) -> Iterator[Self]:
        """Let all reads within share one connection, and see one state of the index.

        A writer waits meanwhile: nothing slow belongs here, and no refresh.
        """
        with self._readable() as connection:
            self._shared = connection
            try:
                yield self
            finally:
                self._shared = None

    def query(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return the names of the columns and the rows of a query.

        The query can neither write to the index nor reach another file. Raises :class:`UsageError` with the
        first line of what DuckDB says of it, :class:`StoreError` when there is no index or it cannot be read.
        """

        def ask(connection: duckdb.DuckDBPyConnection) -> tuple[list[str], list[tuple[Any, ...]]]:
            try:
                answered = connection.execute(sql, parameters or None)
                # A connection that answered nothing has no rows to fetch: the text held no statement.
                if answered is None or connection.description is None:
                    raise UsageError("the query is empty")
                return [column[0] for column in connection.description], connection.fetchall()
            except duckdb.Error as error:
                raise UsageError(first_line(error)) from error

        return self._read(ask)

    def scores(
        self, run_ids: Sequence[str] | None = None, metrics: Sequence[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return the metrics of the latest attempt that ended well of each run; all runs and all metrics by default.

        Columns: ``run_id``, ``dataset``, ``backbone``, ``weighting`` (labels, as the run's own suite called them),
        ``seed`` int64, ``task``, ``metric``, ``value`` float64, ``higher_is_better`` bool; texts are objects.
        """
        chosen, parameters = chosen_runs(run_ids, metrics)
        sql = (
            "SELECT run_id, dataset, backbone, weighting, seed, task, metric, value, higher_is_better "  # noqa: S608
            f"FROM v_scores {chosen} ORDER BY run_id, task, metric"
        )
        return self._read(lambda connection: dict(connection.execute(sql, parameters).fetchnumpy()))

    def directions(self, run_ids: Sequence[str] | None = None) -> dict[str, bool]:
        """Return whether a higher value is better, for each metric that a run that ended well has; by name."""
        chosen, parameters = chosen_runs(run_ids)
        sql = f"SELECT metric, any_value(higher_is_better) FROM v_scores {chosen} GROUP BY metric ORDER BY metric"  # noqa: S608
        return dict(self._read(lambda connection: connection.execute(sql, parameters).fetchall()))

    def fingerprints(self, run_ids: Sequence[str] | None = None) -> dict[str, str]:
        """Return the fingerprint of the data of each run, by run id; of all runs by default."""
        chosen, parameters = chosen_runs(run_ids)
        sql = f"SELECT run_id, json_extract_string(cell, '$.fingerprint') FROM v_latest {chosen} ORDER BY run_id"  # noqa: S608
        return dict(self._read(lambda connection: connection.execute(sql, parameters).fetchall()))

    def other_data(self, run_ids: Sequence[str]) -> list[OtherData]:
        """Return the data sets of which the store holds runs like these, but on another state of the data.

        Like these: of the same data set with the same parameters, backbone, weighting, trainer and seed, but of
        another fingerprint.
        """
        return self._read(lambda connection: [OtherData(*r) for r in connection.execute(OTHER, [run_ids]).fetchall()])

    def environments(self, run_ids: Sequence[str]) -> dict[str, str]:
        """Return the environment of each run that has one, as the JSON text it wrote, by run id."""
        chosen, parameters = chosen_runs(run_ids)
        sql = (
            "SELECT run_id, content FROM v_latest JOIN environments ON hash = environment "  # noqa: S608
            f"{chosen} ORDER BY run_id"
        )
        return dict(self._read(lambda connection: connection.execute(sql, parameters).fetchall()))

    def latest(self, run_ids: Sequence[str] | None = None) -> dict[str, Attempt]:
        """Return the attempt that counts of each run that has one, by run id; of all runs by default."""
        chosen, parameters = chosen_runs(run_ids)
        sql = f"SELECT run_id, attempt, status, seconds, error FROM v_latest {chosen} ORDER BY run_id"  # noqa: S608
        rows = self._read(lambda connection: connection.execute(sql, parameters).fetchall())
        return {row[0]: Attempt(*row[1:]) for row in rows}

    def attempts(self) -> dict[str, int]:
        """Return the highest number of an attempt at each run that has one, by run id, however it ended."""
        sql = "SELECT run_id, max(attempt) FROM runs GROUP BY run_id ORDER BY run_id"
        return dict(self._read(lambda connection: connection.execute(sql).fetchall()))

    def folders(self, run_ids: Sequence[str] | None = None) -> dict[str, Path]:
        """Return the folder of the latest attempt that ended well of each run, by run id; of all runs by default."""
        chosen, parameters = chosen_runs(run_ids)
        sql = f"SELECT run_id, folder FROM ({WELL}) {chosen} ORDER BY run_id"  # noqa: S608
        rows = self._read(lambda connection: connection.execute(sql, parameters).fetchall())
        return {run_id: self.store.runs_path / folder for run_id, folder in rows}

    def warnings(self, run_ids: Sequence[str] | None = None) -> dict[str, int]:
        """Return the warnings of the runs that ended well and the number of runs that gave each, most given first.

        They are the texts of the list ``warnings`` in a run's facts, of its latest attempt that ended well.
        """
        chosen, parameters = chosen_runs(run_ids)
        sql = (
            "SELECT warning, count(DISTINCT run_id) AS given FROM ("  # noqa: S608
            "SELECT run_id, unnest(json_extract_string(facts, '$.warnings[*]')) AS warning "
            f"FROM ({WELL}) {chosen}) WHERE warning IS NOT NULL GROUP BY warning ORDER BY given DESC, warning"
        )
        return dict(self._read(lambda connection: connection.execute(sql, parameters).fetchall()))

    def costs(self, run_ids: Sequence[str] | None = None) -> dict[str, Cost]:
        """Return what the latest attempt that ended well of each run took, by run id; of all runs by default.

        It stands in a run's facts, ``seconds_a_step`` and ``parameters``; ``None`` where they do not say.
        """
        chosen, parameters = chosen_runs(run_ids)
        said = [
            f"TRY_CAST(json_extract_string(facts, '$.{fact}') AS {sql})"
            for fact, sql in zip(Cost._fields, ("DOUBLE", "BIGINT"), strict=True)
        ]
        sql = f"SELECT run_id, {', '.join(said)} FROM ({WELL}) {chosen} ORDER BY run_id"  # noqa: S608
        rows = self._read(lambda connection: connection.execute(sql, parameters).fetchall())
        return {run_id: Cost(*cost) for run_id, *cost in rows}

    def _read(self, ask: Callable[[duckdb.DuckDBPyConnection], _T]) -> _T:
        if self._shared is not None:
            return ask(self._shared)
        with self._readable() as connection:
            return ask(connection)

    @contextmanager
    def _readable(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if not self.path.exists():
            raise StoreError(f"there is no index at {self.path}; it is made from the run folders by a refresh")
        try:
            with self._connect(read_only=True) as connection:
                yield connection
        except duckdb.Error as error:
            raise StoreError(f"{self.path} cannot be read: {first_line(error)}; rebuild it") from error

    def known(self) -> dict[str, Stamp] | None:
        """Return what is ingested, by folder; ``None`` when there is no usable index of this version."""
        if not self.path.exists():
            return None
        try:
            with self._connect(read_only=True) as connection:
                versions = connection.execute("SELECT version FROM schema_version").fetchall()
                if versions != [(schema.SCHEMA_VERSION,)]:
                    return None
                rows = connection.execute("SELECT folder, mtime, size FROM ingested_files").fetchall()
        except duckdb.Error:
            return None
        return {folder: Stamp(mtime, size) for folder, mtime, size in rows}

    def _known_whole(self) -> dict[str, Stamp] | None:
        """Return what is ingested; ``None`` also where a part of the index cannot be read, however far from the rest.

        Each block has a checksum that DuckDB compares when it is read: of ten thousand runs, all take 30 ms.
        """
        known = self.known()
        if known is None:
            return None
        try:
            with self._connect(read_only=True) as connection:
                for query in schema.READ_ALL:
                    connection.execute(query).fetchall()
        except duckdb.Error:
            return None
        return known

    def _changes(self, known: Mapping[str, Stamp]) -> _Changes:
        # Ten thousand folders are looked at by name: only what is new becomes an object.
        folders, _ = self.store.names()
        seen = {name: stamp(self.store.runs_path, name) for name in folders}
        new = [(self.store.run_folder(name), at) for name, at in seen.items() if known.get(name) != at]
        new.sort(key=lambda entry: (entry[0].run_id, entry[0].attempt))
        gone = [name for name in known if name not in seen]
        changed = [folder.path.name for folder, _ in new if folder.path.name in known]
        return _Changes(new, gone, changed)

    def _update(self, anew: bool) -> Refreshed:
        with locked(self.path.with_name("index.lock"), self.patience):
            # Asked again under the lock: another command may just have ingested the same folders.
            known = self._known_whole()
            if known is None:
                self._set_aside()
            try:
                return self._ingest(None if anew else known)
            except duckdb.Error as error:
                if _FULL in str(error):
                    # What was committed before is still there, and whole.
                    raise UnwritableError(f"{self.path} cannot be written: {first_line(error)}") from error
                # Damage can show only when a block is read or written; the folders still have everything.
                self._set_aside()
            try:
                return self._ingest(None)
            except duckdb.Error as error:
                raise StoreError(f"{self.path} cannot be written: {first_line(error)}") from error

    def _ingest(self, known: Mapping[str, Stamp] | None) -> Refreshed:
        changes = self._changes(known or {})
        outdated = changes.gone + changes.changed
        ingested, problems, empty_first = 0, self._strangers(), known is None
        for start in range(0, max(len(changes.new), 1), BATCH):
            batch = read_batch(changes.new[start : start + BATCH])
            problems += tuple(batch.problems)
            # A broken folder is met at every refresh: alone, it is no reason to write.
            if batch.runs or outdated or empty_first:
                self._write(batch, outdated, empty_first)
            outdated, empty_first = [], False
            ingested += batch.runs
        return Refreshed(ingested, len(changes.gone), problems, known is None)

    def _write(self, batch: Batch, outdated: Sequence[str], empty_first: bool) -> None:
        with locked(self._gate, self.patience), self._connect(read_only=False) as connection:
            connection.execute("BEGIN")
            if empty_first:
                connection.execute(schema.creation())
            if outdated:
                for table in ("runs", "metrics", "ingested_files"):
                    # The names are the constants above.
                    forget = f"DELETE FROM {table} WHERE folder IN (SELECT unnest(?))"  # noqa: S608
                    connection.execute(forget, [list(outdated)])
            insert(connection, batch)
            connection.execute("COMMIT")
            connection.execute("CHECKPOINT")

    def _connect(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + self.patience
        # A writer gets in between readers only if those who come later let it pass.
        while read_only and is_locked(self._gate) and time.monotonic() < deadline:
            time.sleep(PAUSE)
        while True:
            try:
                return duckdb.connect(str(self.path), read_only=read_only, config=_SEALED)
            except duckdb.Error as error:
                if not any(text in str(error) for text in _BUSY):
                    raise
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"{self.path} is held by another process; try again when it has finished"
                    ) from error
            time.sleep(PAUSE)

    @property
    def _gate(self) -> Path:
        """A lock that a writer holds while it waits for the readers to leave, and writes."""
        return self.path.with_name("index.gate")

    def _set_aside(self) -> None:
        for path in (self.path, self.path.with_name(self.path.name + ".wal")):
            try:
                path.replace(path.with_name(path.name.replace(".duckdb", ".duckdb.aside")))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StoreError(f"{path} cannot be moved aside: {error.strerror or error}") from error

    def _strangers(self) -> tuple[Problem, ...]:
        return tuple(Problem(path, f"{path} is no folder of a run") for path in self.store.strangers())
