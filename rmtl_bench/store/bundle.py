"""A store, or a part of it, as one archive or a folder of its own, and a store that comes as one of them."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tempfile
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rmtl_bench.contracts.errors import DataError, StoreError, UsageError, did_you_mean
from rmtl_bench.data.archives import SUFFIXES, is_archive, unpack
from rmtl_bench.store.checksums import CHECKSUMS_FILE, checksums_text, digest_of, read_checksums, sizes_of
from rmtl_bench.store.disk import flush, remove
from rmtl_bench.store.layout import RunFolder, Store
from rmtl_bench.store.merge import Merged, Selection, check_apart, merge, would_merge
from rmtl_bench.store.migrations import STORE_FORMAT
from rmtl_bench.store.plans import load_plan_file, plan_names
from rmtl_bench.store.run_files import read_run

PREDICTIONS = "predictions.parquet"

ARCHIVES = (".tar.gz", ".tgz", ".tar")
"""What an archive that is written may be called."""


@contextmanager
def opened(source: Path, into: Store | None = None) -> Iterator[Store]:
    """Give the store at ``source``, a folder or an archive of one, which is unpacked for as long as it takes.

    It is unpacked where ``into`` has its runs made, on the disk that is to hold them; by default in a temporary folder.
    Raises :class:`StoreError` for anything else, and for an archive that is damaged or reaches out of its folder.
    """
    if source.is_dir() or not source.exists():
        yield Store.open(source, create=False)
        return
    if not is_archive(source.name):
        raise StoreError(f"{source} is neither a store nor an archive of one ({', '.join(SUFFIXES)})")
    with _room(into) as folder:
        try:
            unpack(source, folder)
        except DataError as error:
            raise StoreError(str(error)) from error
        inner = [path for path in folder.iterdir() if path.is_dir()]
        alone = not (folder / "FORMAT").exists() and len(inner) == 1
        try:
            store = Store.open(inner[0] if alone else folder, create=False)
        except StoreError as error:
            raise StoreError(f"{source} holds no store: {error}") from error
        yield store


@contextmanager
def _room(into: Store | None) -> Iterator[Path]:
    if into is None:
        with tempfile.TemporaryDirectory(prefix="rmtl-bench-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
        return
    staging = into.staging_folder("merge")
    try:
        yield staging
    finally:
        into.discard(staging)


def selection_of(store: Store, suites: Sequence[str] = (), predictions: bool = True) -> Selection:
    """Return what to copy: all of the store, or the runs of these suites and those that they build on.

    A suite is a plan's name, ``NAME@VERSION`` and perhaps ``+sample``, or ``NAME`` for all its versions. Raises
    :class:`UsageError` for one that is not kept.
    """
    leave_out = () if predictions else (PREDICTIONS,)
    if not suites:
        return Selection(leave_out=leave_out)
    names = plan_names(store)
    chosen: set[str] = set()
    for suite in suites:
        found = {name for name in names if suite in (name, name.partition("@")[0])}
        if not found:
            raise UsageError(f"suite {suite!r} has not been run in {store.path}" + did_you_mean(suite, names))
        chosen |= found
    plans = [load_plan_file(store.suites / f"{name}.json") for name in sorted(chosen)]
    run_ids = {cell.run_id for plan in plans for cell in plan.cells}
    return Selection(run_ids | _sources(store, run_ids), chosen, leave_out)


def _sources(store: Store, run_ids: Collection[str]) -> set[str]:
    """Return the runs that these build on, and those that they build on."""
    found: set[str] = set()
    left = list(run_ids)
    while left:
        run_id = left.pop()
        for attempt in range(1, store.attempts(run_id) + 1):
            try:
                source = read_run(store.attempt_folder(run_id, attempt)).cell.source
            except StoreError:
                continue
            if source and source not in found:
                found.add(source)
                left.append(source)
    return found


def export_store(store: Store, target: Path, selection: Selection) -> Merged:
    """Write what is selected of a store to ``target``: an archive if it is called like one, or else a new folder.

    An archive is whole or not there, and the same runs make the same bytes. What is broken is passed over, as by a
    merge. Raises :class:`StoreError` for a target that exists, and where it cannot be written.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise StoreError(f"{target} exists; name a new file or folder (rmtl-bench merge adds to a store)")
    if target.name.endswith(".zip") or (target.suffix and not target.name.endswith(ARCHIVES) and not target.is_dir()):
        raise StoreError(f"{target}: an archive is called *{', *'.join(ARCHIVES)}; a folder has no ending")
    try:
        if not target.name.endswith(ARCHIVES):
            made = Store.open(target)
            check_apart(made.path, store)
            return merge(made, store, selection)
        return _write_archive(store, target, selection)
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror or error}") from error


def _write_archive(store: Store, target: Path, selection: Selection) -> Merged:
    nowhere = Store(target.with_name(f"{target.name}.{uuid.uuid4().hex[:12]}.part"))
    selected = would_merge(nowhere, store, selection)
    passed_over = {problem.path for problem in selected.problems}
    try:
        with _packed(nowhere.path, target.name) as file, tarfile.open(fileobj=file, mode="w|") as archive:
            _add_text(archive, "FORMAT", f"{STORE_FORMAT}\n")
            for name in plan_names(store):
                if name in selected.plans:
                    _add_file(archive, f"suites/{name}.json", store.suites / f"{name}.json")
            for folder in store.runs():
                chosen = selection.run_ids is None or folder.run_id in selection.run_ids
                if chosen and folder.path not in passed_over:
                    _add_run(archive, folder, selection)
        flush(nowhere.path)
        nowhere.path.replace(target)
    finally:
        remove(nowhere.path)
    return selected


@contextmanager
def _packed(path: Path, name: str) -> Iterator[IO[bytes]]:
    with path.open("xb") as plain:
        if name.endswith(".tar"):
            yield plain
        else:
            # Without its own name and the time, so that the same content makes the same bytes.
            with gzip.GzipFile(filename="", fileobj=plain, mode="wb", compresslevel=6, mtime=0) as packed:
                yield packed  # type: ignore[misc]  # it is a file of bytes


def _add_run(archive: tarfile.TarFile, folder: RunFolder, selection: Selection) -> None:
    names = sorted(entry.name for entry in os.scandir(folder.path) if entry.is_file(follow_symlinks=False))
    checksums = read_checksums(folder.path)
    if checksums is None:
        checksums = {name: digest_of(folder.path / name) for name in names}
    checksums = {name: digest for name, digest in checksums.items() if name not in selection.leave_out}
    for name in names:
        if name in checksums and name != CHECKSUMS_FILE:
            _add_file(archive, f"runs/{folder.path.name}/{name}", folder.path / name)
    sizes = sizes_of(folder.path, set(checksums).intersection(names))
    _add_text(archive, f"runs/{folder.path.name}/{CHECKSUMS_FILE}", checksums_text(checksums, sizes))


def _add_file(archive: tarfile.TarFile, name: str, path: Path) -> None:
    with path.open("rb") as file:
        archive.addfile(_member(name, os.fstat(file.fileno()).st_size), file)


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    archive.addfile(_member(name, len(content)), io.BytesIO(content))


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    return member
