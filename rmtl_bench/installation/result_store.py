"""DuckDB, and the store: its format, whether it can be read and written, its index, what lies about in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.installation.finding import Finding
from rmtl_bench.installation.machine import unwritable

if TYPE_CHECKING:
    from rmtl_bench.store import Store

_PATIENT = 2.0
_CODE = StoreError.exit_code


def result_store(store_path: Path) -> Iterator[Finding]:
    """Yield what is found of DuckDB and of the store at this path; run folders are counted, not read."""
    import duckdb

    yield Finding("DuckDB", "ok", duckdb.__version__)
    from rmtl_bench.store import Store
    from rmtl_bench.store.migrations import STORE_FORMAT

    path = store_path.absolute()
    if not path.exists():
        yield Finding("store", "note", f"there is none at {path} yet; a run makes one")
        return
    try:
        store = Store.open(path, create=False)
    except StoreError as error:
        yield Finding("store", "problem", str(error), _remedy(path), _CODE)
        return
    runs, _ = store.names()
    said = f"{path}, format {store.format}, {len(runs)} run folders"
    if store.format < STORE_FORMAT:
        yield Finding("store", "note", f"{said}; the next run brings it to format {STORE_FORMAT}")
    else:
        yield Finding("store", "ok", said)
    if fault := next(filter(None, map(unwritable, (path, store.runs_path, store.suites))), ""):
        said = f"{fault}: it can be read, and no run can be made in it"
        yield Finding("store", "warning", said)
    yield from _plans(store)
    yield from _index(store)
    if strangers := store.strangers():
        said = f"{len(strangers)} among the runs that are none, such as {strangers[0].name}"
        yield Finding("store", "note", said, "rmtl-bench db check")


def _remedy(path: Path) -> str:
    from rmtl_bench.store.migrations import STORE_FORMAT

    try:
        found = (path / "FORMAT").read_bytes()[:80].decode("ascii", "replace").strip()
    except OSError:
        return ""
    newer = found.isascii() and found.isdigit() and int(found) > STORE_FORMAT
    return "pip install --upgrade rmtl-bench" if newer else ""


def _plans(store: Store) -> Iterator[Finding]:
    from rmtl_bench.store.plans import load_plan_file, plan_names

    for name in plan_names(store):
        try:
            load_plan_file(store.suites / f"{name}.json")
        except StoreError as error:
            yield Finding("plan", "problem", str(error), "rmtl-bench db check", _CODE)


def _index(store: Store) -> Iterator[Finding]:
    """Yield how the index stands; what a command mends by itself is no problem."""
    from rmtl_bench.store import Index
    from rmtl_bench.store.check import index_findings
    from rmtl_bench.store.leftovers import leftovers

    index = Index(store, patience=_PATIENT)
    statuses: dict[str, str] = {}
    if not index.path.exists():
        yield Finding("index", "note", "there is none yet; the next command that needs it makes it")
    else:
        known = index.known()
        found = list(index_findings(store, index, known))
        yield from (Finding("index", "warning" if f.damage else "note", f.what, f.remedy) for f in found)
        if not found and known is None:
            yield Finding("index", "note", "of another version; the next command that needs it makes it anew")
        elif not found:
            yield Finding("index", "ok", f"up to date, {len(known or ())} run folders")
        if known is not None:
            statuses = {run_id: attempt.status for run_id, attempt in index.latest().items()}
    for what, count in Counter(left.what for left in leftovers(store, statuses)).items():
        yield Finding("store", "note", f"{count} times {what}", "rmtl-bench prune --yes")
