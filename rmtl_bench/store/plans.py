"""The plans of suites, kept so that a table can say which of its cells are missing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.errors import StoreError, UsageError, did_you_mean
from rmtl_bench.contracts.reading import read_json
from rmtl_bench.store.disk import write_atomically
from rmtl_bench.store.layout import Store
from rmtl_bench.store.record_checks import check_plan, in_a_line

PLAN_FORMAT = 1
"""The format of a plan's file, written into it."""

LARGEST = 32 << 20
"""The most bytes that the file of a plan may have: a hundred thousand cells take half of them."""

_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]*"
# What is added to a suite stands behind a '+'; "+sample" is no part of a name.
_NAME = re.compile(rf"{_WORD}(?:\+(?!sample(?![A-Za-z0-9._-])){_WORD})*")
_FILE = re.compile(rf"({_NAME.pattern})@([0-9]+)(\+sample)?\.json")


@dataclass(frozen=True)
class PlannedCell:
    """A cell of a suite: its run and how the suite calls its parts."""

    run_id: str
    dataset: str
    backbone: str
    weighting: str
    seed: int


@dataclass(frozen=True)
class StoredPlan:
    """A suite's cells as they were planned, and what its tables need to know.

    ``sample``: made by the suite's own ``[sample]`` section, never to be mixed with the real thing; ``digest`` of the
    suite file; ``notes`` stand on top of every table; ``metrics`` in the suite's order; ``statistics``: the suite's
    settings, as given; ``skipped``: the cells that cannot be, each a mapping that says why.
    """

    suite: str
    version: int
    digest: str
    cells: tuple[PlannedCell, ...]
    sample: bool = False
    title: str = ""
    notes: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    statistics: Mapping[str, Any] = field(default_factory=dict)
    skipped: tuple[Mapping[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """``suite@version``, with ``+sample`` when it is one."""
        return plan_name(self.suite, self.version, self.sample)


def plan_name(suite: str, version: int, sample: bool = False) -> str:
    """Return ``suite@version``, with ``+sample`` when it is one."""
    return f"{suite}@{version}{'+sample' if sample else ''}"


def save_plan(store: Store, plan: StoredPlan) -> Path:
    """Keep a plan and return its file; the same suite file may be planned again.

    Raises :class:`StoreError` when another suite file was planned under the same name and version before.
    """
    if not _NAME.fullmatch(plan.suite):
        raise StoreError(f"suite name {plan.suite!r} has other characters than letters, digits, '.', '_', '-' and '+'")
    path = store.suites / f"{plan.name}.json"
    if path.exists() and (kept := load_plan_file(path)).digest != plan.digest:
        raise StoreError(
            f"{plan.name} is kept in {store.path} with other contents (digest {kept.digest}, now {plan.digest}); "
            "a suite never changes once it has run: raise its version"
        )
    text = json.dumps({"format": PLAN_FORMAT, **asdict(plan)}, indent=1, allow_nan=False)
    store.suites.mkdir(exist_ok=True)
    write_atomically(path, text + "\n")
    return path


def load_plan(store: Store, suite: str, version: int | None = None, sample: bool = False) -> StoredPlan:
    """Return a kept plan, the latest version unless one is named.

    Raises :class:`UsageError` for a plan that is not kept, :class:`StoreError` for one that cannot be read.
    """
    versions = [v for name, v, is_sample in _kept(store) if name == suite and is_sample == sample]
    wanted = version if version is not None else max(versions, default=None)
    if wanted is None or wanted not in versions:
        asked = suite + (f"@{version}" if version is not None else "") + ("+sample" if sample else "")
        known = [plan_name(*kept) for kept in _kept(store)]
        raise UsageError(f"suite {asked!r} has not been run in {store.path}" + did_you_mean(asked, known))
    return load_plan_file(store.suites / f"{plan_name(suite, wanted, sample)}.json")


def plan_names(store: Store) -> list[str]:
    """Return the names of the kept plans, such as ``paper@1`` and ``paper@1+sample``, in order."""
    return [plan_name(*kept) for kept in _kept(store)]


def all_plans(store: Store) -> list[StoredPlan]:
    """Return the kept plans, in the order of their names; raises :class:`StoreError` for one that cannot be read."""
    return [load_plan_file(store.suites / f"{name}.json") for name in plan_names(store)]


def _kept(store: Store) -> list[tuple[str, int, bool]]:
    entries = store.suites.iterdir() if store.suites.is_dir() else []
    matches = (_FILE.fullmatch(path.name) for path in entries)
    return sorted((m[1], int(m[2]), m[3] is not None) for m in matches if m)


def load_plan_file(path: Path) -> StoredPlan:
    """Return the plan in a file of ``suites/``; raises :class:`StoreError` for one that cannot be read."""
    try:
        data = read_json(path, LARGEST)
        found = data.pop("format")
        if found != PLAN_FORMAT:
            raise StoreError(f"{path} has format {found!r}; this rmtl-bench reads format {PLAN_FORMAT}")
        check_plan(data)
        cells = tuple(PlannedCell(**cell) for cell in data.pop("cells"))
        lists: dict[str, Any] = {key: tuple(data.pop(key)) for key in ("skipped", "notes", "metrics")}
        plan = StoredPlan(cells=cells, **{**data, **lists})
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} is no plan of a suite: {in_a_line(error)}") from error
    if path.name != f"{plan.name}.json":
        raise StoreError(f"{path} holds the plan {plan.name!r}; its name is another's")
    return plan
