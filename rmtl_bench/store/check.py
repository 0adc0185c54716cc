"""The examination of a whole store: what is damaged, what lies about, and what to do about either."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.errors import StoreError, UsageError
from rmtl_bench.store.index import Index
from rmtl_bench.store.ingest import Stamp, stamp
from rmtl_bench.store.integrity import examine
from rmtl_bench.store.layout import Store
from rmtl_bench.store.leftovers import leftovers
from rmtl_bench.store.migrations import STORE_FORMAT
from rmtl_bench.store.plans import load_plan_file, plan_names
from rmtl_bench.store.schema import READ_ALL

_GONE = "put it back from a copy (rmtl-bench merge); the next command forgets it"
_BROKEN = "put it back from a copy, or delete the folder and run its suite again"


@dataclass(frozen=True)
class Finding:
    """One thing found: where, what, and what to do. ``damage``: something that was there is not whole any more."""

    path: Path
    what: str
    remedy: str
    damage: bool


@dataclass(frozen=True)
class Checked:
    """A store that was examined: the number of its run folders, of those without checksums, and what was found."""

    format: int
    runs: int
    plans: int
    without_checksums: int
    findings: tuple[Finding, ...]

    @property
    def damaged(self) -> bool:
        """Whether any finding is damage."""
        return any(finding.damage for finding in self.findings)


def check_store(store: Store) -> Checked:
    """Examine a store and return what was found; nothing is written, and runs in progress are not disturbed.

    Every run folder is read wholly and compared with its checksums, the index with the folders, every plan is read.
    """
    index = Index(store)
    # Before the folders: a run that is published meanwhile is then no row without a folder.
    known = index.known()
    folders = list(store.runs())
    found = examine(folders)
    findings = [Finding(path, text, _BROKEN, True) for path, texts in found.broken.items() for text in texts]
    for path, names in found.unlisted.items():
        what = f"{path} has files that were not published with it: {', '.join(names)}"
        findings.append(Finding(path, what, "delete them, unless they are yours", False))
    findings += [*_strangers(store), *index_findings(store, index, known), *_plan_findings(store)]
    findings += [
        Finding(left.path, f"{left.path} is {left.what}", "rmtl-bench prune --yes removes it", False)
        for left in leftovers(store, _statuses(index, known))
    ]
    if store.format < STORE_FORMAT:
        what = f"{store.path} is a store of format {store.format}; today's is {STORE_FORMAT}"
        findings.append(Finding(store.path, what, "nothing to do: the next command that writes brings it up", False))
    return Checked(store.format, len(folders), len(plan_names(store)), found.without_checksums, tuple(findings))


def checked_json(store: Store, checked: Checked) -> dict[str, Any]:
    """Return what was found as JSON-ready data."""
    findings = [{**asdict(finding), "path": str(finding.path)} for finding in checked.findings]
    return {"store": str(store.path), "damaged": checked.damaged, **asdict(checked), "findings": findings}


def _statuses(index: Index, known: Mapping[str, Stamp] | None) -> dict[str, str]:
    if known is None:
        return {}
    try:
        return {run_id: attempt.status for run_id, attempt in index.latest().items()}
    except StoreError:
        return {}


def _strangers(store: Store) -> Iterator[Finding]:
    for path in store.strangers():
        yield Finding(path, f"{path} is no folder of a run", "move it out of the store", False)


def _fault_of(index: Index) -> str:
    """Return why the index cannot be read wholly; empty: it can, or it is of another version and made anew anyway."""
    try:
        index.query("SELECT version FROM schema_version")
        if index.known() is not None:
            for query in READ_ALL:
                index.query(query)
    except (StoreError, UsageError) as error:
        return f"{index.path} cannot be read: {error}" if isinstance(error, UsageError) else str(error)
    return ""


def index_findings(store: Store, index: Index, known: Mapping[str, Stamp] | None) -> Iterator[Finding]:
    """Yield how the index differs from the run folders, and whether it can be read; ``known``: what it knows of."""
    if index.path.exists() and (fault := _fault_of(index)):
        yield Finding(index.path, fault, "rmtl-bench db rebuild; the next command that needs it does so, too", True)
    if known is None:
        return
    names, _ = store.names()
    present = set(names)
    for name in sorted(set(known) - present):
        path = store.runs_path / name
        yield Finding(path, f"{path} is in the index, and its folder is gone", _GONE, True)
    fresh = [name for name in names if name not in known]
    changed = [name for name in names if name in known and known[name] != stamp(store.runs_path, name)]
    for count, what in ((len(fresh), "not in the index yet"), (len(changed), "changed since they were indexed")):
        if count:
            what = f"{count} run folders are {what}"
            yield Finding(index.path, what, "nothing to do: the next command reads them", False)


def _plan_findings(store: Store) -> Iterator[Finding]:
    names = plan_names(store)
    for name in names:
        path = store.suites / f"{name}.json"
        try:
            load_plan_file(path)
        except StoreError as error:
            if path.exists():
                yield Finding(path, str(error), "delete it and run its suite again: no run is made twice", True)
    known = {f"{name}.json" for name in names}
    for path in sorted(store.suites.iterdir()) if store.suites.is_dir() else []:
        if path.name not in known and path.suffix != ".part":
            yield Finding(path, f"{path} is no plan of a suite", "move it out of the store", False)
