"""How far the suites of a store have come: counts of runs, what ended badly and why, and what runs at the moment."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from statistics import median
from typing import Any

from rmtl_bench.contracts.cell import STATUSES
from rmtl_bench.contracts.wording import reason
from rmtl_bench.report.stored_suite import find_plan
from rmtl_bench.store import Attempt, Index, PlannedCell, Refreshed, Store, StoredPlan, all_plans
from rmtl_bench.store.progress import Progress, runs_in_progress

STATES = (*STATUSES, "running", "to come")
"""What a planned run can be at the moment: ended in one of the ways a run ends, running, or to come."""

_OK, _RUNNING, _TO_COME = STATUSES[0], *STATES[-2:]
_TIMES = "SELECT run_id, started, finished FROM v_latest WHERE status = 'ok'"

Method = tuple[str, str]
"""A data set's label, and ``backbone/weighting``."""


@dataclass(frozen=True)
class BadEnd:
    """A planned run whose latest attempt ended badly: its label, and the line of its traceback that says why."""

    run_id: str
    label: str
    status: str
    reason: str


@dataclass(frozen=True)
class SuiteStatus:
    """The planned runs of a suite by :data:`STATES`, in all and by method, in the plan's order.

    A run that is made again counts as running. ``running`` has the runs that the suite builds on, too, though they are
    not counted. ``seconds``: what the runs that ended well have taken, one after the other; ``left``: an estimate of
    the time until all have ended with as many at once as now, ``None`` if nothing runs or nothing has ended well.
    """

    plan: StoredPlan
    methods: Mapping[Method, Mapping[str, int]]
    ended_badly: tuple[BadEnd, ...]
    running: tuple[Progress, ...]
    seconds: float
    left: float | None

    @property
    def counts(self) -> Mapping[str, int]:
        """The number of planned runs by state."""
        total: Counter[str] = Counter()
        for counts in self.methods.values():
            total.update(counts)
        return {state: total[state] for state in STATES}


@dataclass(frozen=True)
class StoreStatus:
    """The suites of a store, and the runs in progress that belong to none of them; ``at``: seconds since the epoch."""

    store: Store
    suites: tuple[SuiteStatus, ...]
    others: tuple[Progress, ...]
    refreshed: Refreshed
    at: float

    @property
    def running(self) -> bool:
        """Whether any run is in progress that is shown here."""
        return bool(self.others) or any(suite.running for suite in self.suites)


def read_status(store: Store, at: float, name: str | None = None, *, sample: bool = False) -> StoreStatus:
    """Read how far a store's suites have come at a time, or the suite named as :func:`find_plan` takes it.

    Raises :class:`UsageError` when that suite was not run in this store.
    """
    plans = all_plans(store) if name is None else [find_plan(store, name, sample=sample)]
    # Looked at before the runs that have ended: a run that ends in between is seen twice, and not missed.
    running = runs_in_progress(store)
    index = Index(store)
    refreshed = index.refresh()
    attempts = index.latest()
    seconds = _seconds(index)
    suites = tuple(_suite_status(plan, attempts, seconds, running, at) for plan in plans)
    shown = {progress.run_id for suite in suites for progress in suite.running}
    others = [progress for progress in running if progress.run_id not in shown] if name is None else []
    return StoreStatus(store, suites, tuple(others), refreshed, at)


def status_json(status: StoreStatus) -> dict[str, Any]:
    """Return all of it as JSON-ready data."""
    return {
        "store": str(status.store.path),
        "suites": [_suite_json(suite, status.at) for suite in status.suites],
        "others_running": [_running_json(progress, status.at) for progress in status.others],
    }


def _seconds(index: Index) -> dict[str, float]:
    """Return what each run that ended well has taken from its start to its end, by run id."""
    _, rows = index.query(_TIMES)
    taken = {}
    for run_id, started, finished in rows:
        try:
            taken[run_id] = (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
        except (TypeError, ValueError):
            continue
    return taken


def _suite_status(
    plan: StoredPlan,
    attempts: Mapping[str, Attempt],
    seconds: Mapping[str, float],
    running: Sequence[Progress],
    at: float,
) -> SuiteStatus:
    planned = {cell.run_id: cell for cell in reversed(plan.cells)}
    at_work = {progress.run_id for progress in running}
    methods: dict[Method, Counter[str]] = {}
    ended_badly: list[BadEnd] = []
    for cell in plan.cells:
        state = _state(cell.run_id, attempts, at_work)
        methods.setdefault(_method(cell), Counter())[state] += 1
        if state in STATUSES and state != _OK:
            ended_badly.append(BadEnd(cell.run_id, _label(cell), state, reason(attempts[cell.run_id].error)))
    mine = [_named(progress, planned) for progress in running if _belongs(progress, plan, planned)]
    done = {run_id: seconds[run_id] for run_id in planned if run_id in seconds}
    to_come = [cell for run_id, cell in planned.items() if _state(run_id, attempts, at_work) == _TO_COME]
    return SuiteStatus(
        plan=plan,
        methods={method: {state: counts[state] for state in STATES} for method, counts in methods.items()},
        ended_badly=tuple(ended_badly),
        running=tuple(mine),
        seconds=sum(done.values()),
        left=_left(planned, done, to_come, mine, at),
    )


def _state(run_id: str, attempts: Mapping[str, Attempt], at_work: set[str]) -> str:
    if run_id in at_work:
        return _RUNNING
    return attempts[run_id].status if run_id in attempts else _TO_COME


def _belongs(progress: Progress, plan: StoredPlan, planned: Mapping[str, PlannedCell]) -> bool:
    return progress.run_id in planned or progress.suite == f"{plan.suite}@{plan.version}"


def _named(progress: Progress, planned: Mapping[str, PlannedCell]) -> Progress:
    """Call a run as the plan does."""
    cell = planned.get(progress.run_id)
    return progress if cell is None else replace(progress, label=_label(cell))


def _left(
    planned: Mapping[str, PlannedCell],
    done: Mapping[str, float],
    to_come: Iterable[PlannedCell],
    running: Sequence[Progress],
    at: float,
) -> float | None:
    """Estimate the time left: a run takes the median of its method's, else of its data set's, else of all."""
    if not running or not done:
        return None
    known: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for run_id, taken in done.items():
        for key in _keys(planned[run_id]):
            known[key].append(taken)
    typical = {key: median(values) for key, values in known.items()}

    def expected(cell: PlannedCell) -> float:
        return next(typical[key] for key in _keys(cell) if key in typical)

    overall = typical[()]
    work = sum(map(expected, to_come))
    for progress in running:
        cell = planned.get(progress.run_id)
        work += max(0.0, (expected(cell) if cell else overall) - (at - progress.started))
    return work / len(running)


def _keys(cell: PlannedCell) -> tuple[tuple[str, ...], ...]:
    return _method(cell), (cell.dataset,), ()


def _method(cell: PlannedCell) -> Method:
    return cell.dataset, f"{cell.backbone}/{cell.weighting}"


def _label(cell: PlannedCell) -> str:
    return f"{cell.dataset}/{cell.backbone}/{cell.weighting}/{cell.seed}"


def _suite_json(suite: SuiteStatus, at: float) -> dict[str, Any]:
    counts = [
        {"dataset": dataset, "method": method, "planned": sum(counts.values()), **_underscored(counts)}
        for (dataset, method), counts in suite.methods.items()
    ]
    return {
        "suite": suite.plan.name,
        "title": suite.plan.title,
        "planned": len(suite.plan.cells),
        **_underscored(suite.counts),
        "methods": counts,
        "ended_badly": [asdict(end) for end in suite.ended_badly],
        "runs_in_progress": [_running_json(progress, at) for progress in suite.running],
        "seconds": suite.seconds,
        "seconds_left": suite.left,
    }


def _underscored(counts: Mapping[str, int]) -> dict[str, int]:
    return {state.replace(" ", "_"): count for state, count in counts.items()}


def _running_json(progress: Progress, at: float) -> dict[str, Any]:
    score = progress.score
    return {
        "run_id": progress.run_id,
        "label": progress.label or None,
        "stage": progress.stage or None,
        "epoch": progress.epoch or None,
        "score": score if score is not None and math.isfinite(score) else None,
        "seconds": max(0.0, at - progress.started),
    }
