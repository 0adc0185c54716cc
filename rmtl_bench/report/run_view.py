"""One run: found by its id or label, with all that its folder says of it."""

from __future__ import annotations

import glob
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from rmtl_bench.contracts.errors import StoreError, UsageError, did_you_mean
from rmtl_bench.contracts.wording import reason
from rmtl_bench.report.commands import run_command
from rmtl_bench.store import Index, PlannedCell, RunFolder, Store, StoredPlan, all_plans
from rmtl_bench.store.profiles import RunProfile, read_profile
from rmtl_bench.store.progress import runs_in_progress
from rmtl_bench.store.run_files import TABLES, RunRecord, read_environment, read_run, read_table

SHORTEST_PREFIX = 4
"""The fewest digits of a run id that are taken for one."""

_ID = re.compile(rf"[0-9a-f]{{{SHORTEST_PREFIX},16}}")
_LABELS = "SELECT run_id, concat_ws('/', dataset, backbone, weighting, seed) FROM v_latest"
_NAMED = 6


@dataclass(frozen=True)
class AttemptView:
    """One attempt at a run: how and when it ended, and why if badly; ``unreadable`` where its folder is broken."""

    attempt: int
    status: str
    finished: str
    reason: str


@dataclass(frozen=True)
class RunView:
    """The latest attempt at a run.

    ``plans``: the suites that have it, each with its first cell of it. ``tables``: those of its folder by name, empty
    where the run has none. ``attempts``: all there are, this one included. ``profile``: where its time went, if it was
    profiled.
    """

    store: Store
    folder: RunFolder
    record: RunRecord
    plans: tuple[tuple[StoredPlan, PlannedCell], ...]
    tables: Mapping[str, pd.DataFrame]
    environment: Mapping[str, Any]
    attempts: tuple[AttemptView, ...]
    profile: RunProfile | None = None

    @property
    def warnings(self) -> list[str]:
        """What the run warned of."""
        return [str(text) for text in self.record.facts.get("warnings", ())]

    @property
    def commands(self) -> list[str]:
        """The commands that make the run again with its method's other seeds, one a suite that has it.

        A run that ended badly is made again in the same store; one that ended well needs another.
        """
        cell = self.record.cell
        parts = (cell.dataset, cell.backbone, cell.weighting)
        files = list(dict.fromkeys(part.distribution for part in parts if part.distribution.endswith(".py")))
        well = self.record.status == "ok"
        store, retry = ("NEW_FOLDER", "") if well else (self.store.path, self.record.status)
        return [
            run_command(plan, store, only=glob.escape(_method(planned)), retry=retry, plugin_files=files)
            for plan, planned in self.plans
        ]


def find_run(store: Store, text: str) -> str:
    """Return the id of the run that a text means: an id, its beginning, or ``dataset/backbone/weighting/seed``.

    Raises :class:`UsageError` with the nearest names for what is unknown, with the candidates for what is ambiguous,
    and for a run that is planned but not there.
    """
    there = sorted({store.run_folder(name).run_id for name in store.names()[0]})
    if "/" in text:
        labels = _labels(store)
        return _only_one(store, text, [run_id for run_id in labels if text in labels[run_id]], there, labels)
    if not _ID.fullmatch(text.lower()):
        raise UsageError(
            f"{text!r} is no run: give its id, the first {SHORTEST_PREFIX} or more of its 16 hexadecimal digits, "
            "or dataset/backbone/weighting/seed"
        )
    begins = [run_id for run_id in there if run_id.startswith(text.lower())]
    if len(begins) == 1:
        return begins[0]
    labels = _labels(store)
    found = begins or [run_id for run_id in labels if run_id.startswith(text.lower())]
    return _only_one(store, text, found, there, labels)


def read_run_view(store: Store, text: str) -> RunView:
    """Read the run that a text means, as :func:`find_run` takes it; raises :class:`StoreError` for a broken folder."""
    run_id = find_run(store, text)
    folders = sorted(folder for folder in map(store.run_folder, store.names()[0]) if folder.run_id == run_id)
    folder = folders[-1]
    record = read_run(folder.path)
    if record.status == "ok" and not (folder.path / "metrics.parquet").is_file():
        raise StoreError(f"{folder.path} says it ended well, but has no metrics.parquet")
    plans = [
        (plan, next(cell for cell in plan.cells if cell.run_id == run_id))
        for plan in all_plans(store)
        if any(cell.run_id == run_id for cell in plan.cells)
    ]
    return RunView(
        store=store,
        folder=folder,
        record=record,
        plans=tuple(plans),
        tables={name: _table(folder, name) for name in TABLES},
        environment=read_environment(folder.path),
        attempts=tuple(map(_attempt, folders)),
        profile=read_profile(folder.path),
    )


def run_json(view: RunView) -> dict[str, Any]:
    """Return all of it as JSON-ready data; what is not finite is null."""
    record = view.record
    return {
        "run_id": record.run_id,
        "attempt": view.folder.attempt,
        "label": record.cell.label,
        "folder": str(view.folder.path),
        "status": record.status,
        "started": record.started,
        "finished": record.finished,
        "seconds": dict(record.seconds),
        "cell": record.cell.to_json(),
        "suites": [{"suite": plan.name, "label": _label(cell)} for plan, cell in view.plans],
        "facts": dict(record.facts),
        "warnings": view.warnings,
        **{name: _records(frame) for name, frame in view.tables.items()},
        "environment": dict(view.environment),
        "error": record.error,
        "attempts": [vars(attempt) for attempt in view.attempts],
        "commands": view.commands,
        "profile": None if view.profile is None else {**asdict(view.profile), "total": view.profile.total},
    }


def _labels(store: Store) -> dict[str, list[str]]:
    """Return what each run is called, planned or there, by run id: by the suites, and by itself."""
    index = Index(store)
    index.refresh()
    labels: dict[str, dict[str, None]] = {}
    for run_id, label in index.query(_LABELS)[1]:
        labels.setdefault(run_id, {})[label] = None
    for plan in all_plans(store):
        for cell in plan.cells:
            labels.setdefault(cell.run_id, {})[_label(cell)] = None
    return {run_id: list(names) for run_id, names in labels.items()}


def _only_one(
    store: Store, text: str, found: Sequence[str], there: Iterable[str], labels: Mapping[str, list[str]]
) -> str:
    """Return the one run of those found that is there, or raise :class:`UsageError`."""
    present = [run_id for run_id in found if run_id in set(there)]
    if len(present) == 1:
        return present[0]
    if present:
        suites = {cell.run_id: plan.name for plan in all_plans(store) for cell in plan.cells}
        called = [f"{run_id} ({suites.get(run_id, '')} {labels.get(run_id, [''])[0]})" for run_id in present[:_NAMED]]
        more = f" and {len(present) - _NAMED} more" if len(present) > _NAMED else ""
        raise UsageError(f"{text!r} means {len(present)} runs: {', '.join(called)}{more}")
    if found:
        at_work = {progress.run_id for progress in runs_in_progress(store)}
        state = "is running" if at_work.intersection(found) else "is planned and has not been run yet"
        raise UsageError(f"{text!r} {state}; rmtl-bench status shows how far its suite has come")
    names = [name for called in labels.values() for name in called] if "/" in text else list(there)
    raise UsageError(f"no run {text!r} in {store.path}{_hint(text, names)}")


def _hint(text: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    # All names would be hundreds: without a near one, one says what a name looks like.
    hint = did_you_mean(text, names)
    return hint if "did you mean" in hint else f"; a run is called like {names[0]!r}"


def _table(folder: RunFolder, name: str) -> pd.DataFrame:
    if not (folder.path / f"{name}.parquet").is_file():
        return pd.DataFrame(columns=list(TABLES[name]))
    found = pd.DataFrame(read_table(folder.path, name))
    if lacking := [column for column in TABLES[name] if column not in found.columns]:
        raise StoreError(f"{folder.path / name}.parquet has no column {lacking[0]!r}")
    return found


def _attempt(folder: RunFolder) -> AttemptView:
    try:
        record = read_run(folder.path)
    except StoreError as error:
        return AttemptView(folder.attempt, "unreadable", "", str(error))
    return AttemptView(folder.attempt, record.status, record.finished, reason(record.error))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{key: _plain(value) for key, value in row.items()} for row in frame.astype(object).to_dict("records")]


def _plain(value: Any) -> Any:
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def _method(cell: PlannedCell) -> str:
    return f"{cell.dataset}/{cell.backbone}/{cell.weighting}"


def _label(cell: PlannedCell) -> str:
    return f"{_method(cell)}/{cell.seed}"
