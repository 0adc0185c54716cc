"""A submission made from the runs of a store, or refused in one line."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.cell import Cell, canonical_json
from rmtl_bench.contracts.errors import DataError, StoreError, UsageError, did_you_mean
from rmtl_bench.report.stored_suite import find_plan
from rmtl_bench.store import Attempt, Index, PlannedCell, Store, StoredPlan
from rmtl_bench.store.checksums import faults, read_checksums
from rmtl_bench.store.run_files import RunRecord, read_environment, read_run
from rmtl_bench.submissions.control import controls
from rmtl_bench.submissions.form import Replicate, Score, ScoredCell, Submission, plan_of
from rmtl_bench.submissions.provenance import parts_of, public_facts, read_plugin


@dataclass(frozen=True)
class Attribution:
    """What a submission is called and who answers for it; ``tag`` is one of :data:`~.form.TAGS`."""

    name: str
    by: str
    link: str = ""
    tag: str = "self-reported"


@dataclass(frozen=True)
class _Run:
    """A run that ended well: its record, environment and scores by task and metric, each with its direction."""

    record: RunRecord
    environment: Mapping[str, Any]
    scores: Mapping[tuple[str, str], tuple[float, bool]]


def build(
    store: Store,
    suite: str,
    attribution: Attribution,
    *,
    sample: bool = False,
    methods: Sequence[str] = (),
    plugin_files: Sequence[Path] = (),
) -> Submission:
    """Return the submission of a suite's methods: of all that were planned, or of those that match ``methods``.

    ``suite`` as :func:`~rmtl_bench.report.stored_suite.find_plan` takes it; ``methods``: patterns
    ``backbone/weighting``; ``plugin_files``: the one-file plugins that runs came from. Whether the submission is a true
    one is not asked: see :mod:`~rmtl_bench.submissions.verifying`. Raises :class:`UsageError` for a suite that was not
    run here or a pattern without a method, :class:`DataError` for runs that are missing, did not end well, or lack a
    score, and :class:`StoreError` for one that is not as it was published.
    """
    plan = find_plan(store, suite, sample=sample)
    grouped, seeds = _grouped(plan, methods), sorted({cell.seed for cell in plan.cells})
    _check_seeds(grouped, seeds)
    runs = _read_runs(store, plan, grouped)
    sources = {part.distribution for of_cell in runs.values() for part in parts_of(of_cell[0].record.cell)}
    environments = {run.record.run_id: public_facts(run.environment, sources) for of in runs.values() for run in of}
    distinct = {canonical_json(facts): facts for facts in environments.values()}
    places = {run_id: list(distinct).index(canonical_json(facts)) for run_id, facts in environments.items()}
    cells = tuple(_scored(label, grouped[label], of_cell, plan, places) for label, of_cell in runs.items())
    made = Submission(
        **vars(attribution),
        suite=plan_of(plan, cells),
        seeds=len(seeds),
        planned=tuple(grouped),
        control=controls(cells),
        environments=tuple(distinct.values()),
        plugins={path.name: read_plugin(path) for path in sorted(plugin_files) if path.name in sources},
        cells=cells,
    )
    return replace(made, digest=made.computed_digest())


def _read_runs(store: Store, plan: StoredPlan, grouped: Mapping[str, Sequence[PlannedCell]]) -> dict[str, list[_Run]]:
    """Return the runs of each cell by seed, all of which have to have ended well."""
    index = Index(store)
    index.refresh()
    run_ids = [cell.run_id for cells in grouped.values() for cell in cells]
    latest, folders = index.latest(run_ids), index.folders(run_ids)
    _check_ends(grouped, latest, plan, store)
    found = _scores_of(index, run_ids)
    return {
        label: [_read(folders[cell.run_id], cell, found[cell.run_id]) for cell in cells]
        for label, cells in grouped.items()
    }


def _grouped(plan: StoredPlan, patterns: Sequence[str]) -> dict[str, list[PlannedCell]]:
    """Return the planned runs of the methods that match, by ``dataset/backbone/weighting``, in the plan's order."""
    known = list(dict.fromkeys(f"{cell.backbone}/{cell.weighting}" for cell in plan.cells))
    for pattern in patterns:
        if not any(_matches(method, pattern) for method in known):
            raise UsageError(f"--methods {pattern!r} matches no method of {plan.name}{did_you_mean(pattern, known)}")
    chosen = [m for m in known if not patterns or any(_matches(m, pattern) for pattern in patterns)]
    if not chosen:
        raise UsageError(f"{plan.name} has no cell to submit")
    grouped: dict[str, list[PlannedCell]] = {}
    for cell in plan.cells:
        if f"{cell.backbone}/{cell.weighting}" in chosen:
            grouped.setdefault(f"{cell.dataset}/{cell.backbone}/{cell.weighting}", []).append(cell)
    return {label: sorted(cells, key=lambda cell: cell.seed) for label, cells in grouped.items()}


def _matches(method: str, pattern: str) -> bool:
    parts = pattern.split("/")
    return len(parts) == 2 and all(map(fnmatchcase, method.split("/"), parts))


def _check_seeds(grouped: Mapping[str, Sequence[PlannedCell]], seeds: Sequence[int]) -> None:
    for label, cells in grouped.items():
        own = [cell.seed for cell in cells]
        if twice := sorted({seed for seed in own if own.count(seed) > 1}):
            raise DataError(f"{label} is planned twice with seed {_listed(twice)}; a seed counts once")
        if lacking := sorted(set(seeds) - set(own)):
            raise DataError(f"{label} is planned without seed {_listed(lacking)}; the suite has {_listed(seeds)}")
    if list(seeds) != list(range(len(seeds))):
        raise DataError(f"the suite was planned with the seeds {_listed(seeds)}; they count from 0 without a gap")


def _check_ends(
    grouped: Mapping[str, Sequence[PlannedCell]], latest: Mapping[str, Attempt], plan: StoredPlan, store: Store
) -> None:
    named = f"{plan.suite}@{plan.version}{' --sample' if plan.sample else ''}"
    again = f"rmtl-bench run --suite {named} --store {store.path}"
    for label, cells in grouped.items():
        lacking = [cell.seed for cell in cells if cell.run_id not in latest]
        if lacking:
            raise DataError(f"{label} lacks the run of seed {_listed(lacking)}; {again} makes it")
        for cell in cells:
            if (status := latest[cell.run_id].status) != "ok":
                raise DataError(f"{label}, seed {cell.seed}: the run ended as {status}; {again} --retry all repeats it")


def _scores_of(index: Index, run_ids: Sequence[str]) -> dict[str, dict[tuple[str, str], tuple[float, bool]]]:
    """Return each run's values and directions by task and metric."""
    table = index.scores(run_ids)
    columns = (table[name].tolist() for name in ("run_id", "task", "metric", "value", "higher_is_better"))
    found: dict[str, dict[tuple[str, str], tuple[float, bool]]] = {run_id: {} for run_id in run_ids}
    for run_id, task, metric, value, higher_is_better in zip(*columns, strict=True):
        found[run_id][task, metric] = (math.nan if value is None else float(value), bool(higher_is_better))
    return found


def _read(folder: Path, planned: PlannedCell, scores: Mapping[tuple[str, str], tuple[float, bool]]) -> _Run:
    checksums = read_checksums(folder)
    changed = [] if checksums is None else list(faults(folder, checksums))
    if changed:
        raise StoreError(f"{folder} is not as it was published: {changed[0]}")
    record = read_run(folder)
    if record.cell.seed != planned.seed or record.run_id != planned.run_id:
        named = f"run {record.run_id} of seed {record.cell.seed}"
        raise DataError(f"{folder} holds {named}; the plan has {planned.run_id} of seed {planned.seed} there")
    environment = read_environment(folder)
    if not environment:
        raise DataError(f"{folder} does not say where it was made (it has no environment.json); run it again")
    return _Run(record, environment, scores)


def _scored(
    label: str,
    cells: Sequence[PlannedCell],
    runs: Sequence[_Run],
    plan: StoredPlan,
    environments: Mapping[str, int],
) -> ScoredCell:
    # What is the same without seed and source was made of the same parts, whatever suites call them.
    if len({replace(run.record.cell, seed=0, source="").run_id for run in runs}) > 1:
        states = sorted({run.record.cell.fingerprint for run in runs})
        why = f"the states {_listed(states)} of the data" if len(states) > 1 else "several parameters or versions"
        raise DataError(f"{label} mixes runs of {why}; all seeds of a cell need the same")
    named = _named(runs[0].record.cell, cells[0])
    replicates = tuple(
        Replicate(run.record.cell.seed, run.record.run_id, environments[run.record.run_id], run.record.cell.source)
        for run in runs
    )
    return ScoredCell(named, replicates, tuple(_scores(label, runs, plan.metrics)))


def _named(cell: Cell, planned: PlannedCell) -> Cell:
    """Return a cell without seed and source, its parts called as the plan does."""
    return replace(
        cell,
        dataset=replace(cell.dataset, label=planned.dataset),
        backbone=replace(cell.backbone, label=planned.backbone),
        weighting=replace(cell.weighting, label=planned.weighting),
        seed=0,
        source="",
    )


def _scores(label: str, runs: Sequence[_Run], metrics: Sequence[str]) -> Iterable[Score]:
    """Yield the scores by task, and by metric in the order of the suite; those a run adds by itself come last."""
    found = {key for run in runs for key in run.scores}
    order = {metric: place for place, metric in enumerate(metrics)}
    for task, metric in sorted(found, key=lambda key: (key[0], order.get(key[1], len(order)), key[1])):
        pairs = [run.scores.get((task, metric)) for run in runs]
        defined = [pair is not None and math.isfinite(pair[0]) for pair in pairs]
        if any(defined) and not all(defined):
            lacking = [run.record.cell.seed for run, there in zip(runs, defined, strict=True) if not there]
            raise DataError(f"{label}, {task}, {metric}: seed {_listed(lacking)} has no value; every seed needs one")
        values = tuple(pair[0] if pair is not None and all(defined) else None for pair in pairs)
        up = next(pair[1] for pair in pairs if pair is not None)
        yield scored(task, metric, bool(up), values)


def scored(task: str, metric: str, higher_is_better: bool, values: tuple[float | None, ...]) -> Score:
    """Return values with their mean and number."""
    known = [value for value in values if value is not None]
    return Score(task, metric, higher_is_better, values, statistics.fmean(known) if known else None, len(known))


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
