"""The scores of a suite that was run, as a store has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report.layout import check_metrics
from rmtl_bench.report.leaderboard import LeaderboardSettings
from rmtl_bench.statistics import SCORE_COLUMNS, Family
from rmtl_bench.store import Cost, Index, Refreshed, Store, StoredPlan, load_plan
from rmtl_bench.suites import read_suite


@dataclass(frozen=True)
class StoredSuite:
    """A plan with the scores its runs have so far, named as the plan names its parts.

    ``scores`` has the columns that :mod:`rmtl_bench.statistics` takes, ``costs`` those that
    :func:`~rmtl_bench.report.costs.cost_table` takes. ``statuses`` by run id, of the runs that have been tried.
    ``warnings`` of the runs, each with the number of runs that gave it. ``refreshed`` says which run folders could not
    be read.
    """

    plan: StoredPlan
    scores: pd.DataFrame
    costs: pd.DataFrame
    higher_is_better: Mapping[str, bool]
    statuses: Mapping[str, str]
    refreshed: Refreshed
    warnings: Mapping[str, int] = field(default_factory=dict)

    @property
    def expected(self) -> list[tuple[str, str, int]]:
        """The planned runs, as (dataset, method, seed)."""
        return [(cell.dataset, f"{cell.backbone}/{cell.weighting}", cell.seed) for cell in self.plan.cells]

    @property
    def equivalence(self) -> Mapping[str, float | str]:
        """The differences that the suite declares too small to matter, by metric."""
        found: Mapping[str, float | str] = self.plan.statistics["equivalence"]
        return found

    def shown(self, asked: Sequence[str]) -> list[str] | None:
        """Return the metrics that the text formats show: those asked for, else the suite's headline; None for all.

        ``all`` asks for all. Raises :class:`UsageError` for a metric that no run has.
        """
        if "all" in asked:
            return None
        check_metrics(asked, self.higher_is_better)
        headline = [metric for metric in self.plan.statistics["headline"] if metric in self.higher_is_better]
        return list(asked) or headline or None

    def settings(self) -> LeaderboardSettings:
        """Return the settings of the leaderboard that the suite declares."""
        declared = self.plan.statistics
        methods = set(self.scores["method"])
        delta_m = declared["delta_m"]
        return LeaderboardSettings(
            title=suite_title(self.plan),
            higher_is_better=self.higher_is_better,
            notes=(*self.plan.notes, *self._notes()),
            reference=Family("reference", ("*",), (declared["reference"],), declared["scope"]),
            equivalence=self.equivalence,
            families=tuple(_family(family) for family in declared["comparisons"]),
            delta_m_reference=delta_m if delta_m in methods else None,
        )

    def _notes(self) -> list[str]:
        skipped = [f"skipped {s['label']}: {s['reason']}" for s in self.plan.skipped]
        ended = [self.statuses.get(cell.run_id, "ok") for cell in self.plan.cells]
        badly = {status: ended.count(status) for status in sorted(set(ended) - {"ok"})}
        ends = [f"runs that ended as {status}: {count}" for status, count in badly.items()]
        return skipped + ends + [warning_note(text, runs) for text, runs in self.warnings.items()]


def find_plan(store: Store, name: str, *, sample: bool = False) -> StoredPlan:
    """Return the plan of a suite given as name, name@version or a .toml file; without a version, the highest run.

    Raises :class:`UsageError` when the suite was not run in this store.
    """
    if name.endswith(".toml"):
        file = read_suite(Path(name), sample=sample)
        name = f"{file.name}@{file.version}"
    suite, _, version = name.partition("@")
    if version and not version.isdecimal():
        raise UsageError(f"suite {name!r} has the version {version!r}; it has to be a whole number")
    return load_plan(store, suite, int(version) if version else None, sample)


def read_stored_suite(store: Store, name: str, *, sample: bool = False) -> StoredSuite:
    """Read a suite named as :func:`find_plan` takes it.

    Raises :class:`UsageError` when the suite was not run in this store, or no run of it has ended well yet.
    """
    plan = find_plan(store, name, sample=sample)
    run_ids = [cell.run_id for cell in plan.cells]
    index = Index(store)
    refreshed = index.refresh()
    found = pd.DataFrame(index.scores(run_ids))
    if found.empty:
        raise no_run_ended_well(plan, store)
    statuses = {run_id: attempt.status for run_id, attempt in index.latest(run_ids).items()}
    directions = found.groupby("metric")["higher_is_better"].first()
    higher_is_better = {metric: bool(directions[metric]) for metric in _ordered(plan, list(directions.index))}
    return StoredSuite(
        plan=plan,
        scores=_named(found, plan),
        costs=_named_costs(index.costs(run_ids), plan),
        higher_is_better=higher_is_better,
        statuses=statuses,
        refreshed=refreshed,
        warnings=index.warnings(run_ids),
    )


def no_run_ended_well(plan: StoredPlan, store: Store) -> UsageError:
    """Return the error of a suite that has nothing to show yet."""
    return UsageError(f"no run of {plan.name} in {store.path} has ended well yet")


def _named(found: pd.DataFrame, plan: StoredPlan) -> pd.DataFrame:
    """Name the scores as this plan does: a run is shared by all suites that have its cell, whatever they call it."""
    cells = pd.DataFrame([vars(cell) for cell in plan.cells])
    labelled = found[["run_id", "task", "metric", "value"]].merge(cells, on="run_id")
    labelled["method"] = labelled["backbone"] + "/" + labelled["weighting"]
    order = {metric: place for place, metric in enumerate(_ordered(plan, list(labelled["metric"].unique())))}
    labelled = labelled.assign(_order=labelled["metric"].map(order))
    by = ["dataset", "task", "_order", "method", "seed"]
    return labelled.sort_values(by, kind="stable", ignore_index=True)[SCORE_COLUMNS]


def _named_costs(costs: Mapping[str, Cost], plan: StoredPlan) -> pd.DataFrame:
    rows = [
        (cell.dataset, f"{cell.backbone}/{cell.weighting}", cell.seed, *costs[cell.run_id])
        for cell in plan.cells
        if cell.run_id in costs
    ]
    table = pd.DataFrame(rows, columns=["dataset", "method", "seed", *Cost._fields])
    return table.astype(dict.fromkeys(Cost._fields, float))


def _ordered(plan: StoredPlan, metrics: list[Any]) -> list[str]:
    """Return the metrics in the suite's order; those a run adds by itself come last."""
    return [m for m in plan.metrics if m in metrics] + [m for m in metrics if m not in plan.metrics]


def _family(declared: Mapping[str, Any]) -> Family:
    # Plans from before there were controls declare none.
    control = declared.get("control", False)
    sides = (tuple(declared["candidates"]), tuple(declared["references"]))
    return Family(declared["name"], *sides, declared["scope"], control)


def warning_note(text: str, runs: int) -> str:
    """Return the note on a warning that runs gave."""
    return f"warning from {runs} run{'' if runs == 1 else 's'}: {text}"


def suite_title(plan: StoredPlan) -> str:
    """Return the title of a suite's reports."""
    sample = " (sample)" if plan.sample else ""
    return f"{plan.suite}@{plan.version}{sample}" + (f": {plan.title}" if plan.title else "")
