"""The scores of a suite that was run, as a store has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pandas as pd

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.report.layout import check_metrics
from rmtl_bench.report.leaderboard import LeaderboardSettings
from rmtl_bench.statistics import DEFAULT_PROTOCOL, SCORE_COLUMNS, Family, find_protocol
from rmtl_bench.store import Cost, Index, OtherData, Refreshed, Store, StoredPlan, load_plan, plan_names
from rmtl_bench.suites import name_with, read_suite, split_additions


@dataclass(frozen=True)
class StoredSuite:
    """A plan with the scores its runs have so far, named as the plan names its parts.

    ``scores`` has the columns that :mod:`rmtl_bench.statistics` takes and the ``fingerprint`` of the data, ``costs``
    those that :func:`~rmtl_bench.report.costs.cost_table` takes. ``statuses`` by run id, of the runs that have been
    tried. ``warnings`` of the runs, each with the number of runs that gave it. ``refreshed`` says which run folders
    could not be read. ``apart``: what the store holds beside, of another version of the suite or of the data, and is
    not mixed in; a sentence each.
    """

    plan: StoredPlan
    scores: pd.DataFrame
    costs: pd.DataFrame
    higher_is_better: Mapping[str, bool]
    statuses: Mapping[str, str]
    refreshed: Refreshed
    warnings: Mapping[str, int] = field(default_factory=dict)
    apart: tuple[str, ...] = ()

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

    def settings(self, *, protocol: str = DEFAULT_PROTOCOL, against: str | None = None) -> LeaderboardSettings:
        """Return the settings of the leaderboard that the suite declares.

        ``protocol``: one of :data:`~rmtl_bench.statistics.PROTOCOLS`. ``against``: a pattern ``backbone/weighting`` to
        stand in for the declared reference, which the notes then call exploratory: it was chosen after the runs. Raises
        :class:`UsageError` for a protocol or a pattern that there is not.
        """
        declared = self.plan.statistics
        methods = set(self.scores["method"])
        delta_m = declared["delta_m"]
        reference, *families = declared_families(declared)
        notes = []
        if against is not None:
            notes.append(f"against {against} in place of the declared {declared['reference']}: exploratory")
            if "/" not in against:
                raise UsageError(f"--against {against!r} is not of the form backbone/weighting, such as '*/{against}'")
            scope = "same-backbone" if against.startswith("*/") else "all"
            reference = Family("against", ("*",), (against,), scope)
            if methods and reference.unmatched(methods):
                known = {*methods, *(f"*/{weighting}" for weighting in self.scores["weighting"])}
                raise UsageError(f"--against {against!r} matches no method{did_you_mean(against, known)}")
        if warning := find_protocol(protocol).warning:
            notes.append(warning)
        return LeaderboardSettings(
            title=suite_title(self.plan),
            higher_is_better=self.higher_is_better,
            notes=(*self.plan.notes, *self._notes(), *notes),
            reference=reference,
            protocol=protocol,
            equivalence=self.equivalence,
            families=tuple(families),
            delta_m_reference=delta_m if delta_m in methods else None,
        )

    def _notes(self) -> list[str]:
        skipped = [f"skipped {s['label']}: {s['reason']}" for s in self.plan.skipped]
        ends = [f"runs that ended as {status}: {count}" for status, count in self.ended_badly().items()]
        warned = [warning_note(text, runs) for text, runs in self.warnings.items()]
        return [*self.apart, *skipped, *ends, *warned]

    def ended_badly(self) -> dict[str, int]:
        """Return the number of planned runs by the status they ended with, those that ended well left out."""
        counts = Counter(self.statuses.get(cell.run_id, "ok") for cell in self.plan.cells)
        return {status: counts[status] for status in sorted(counts) if status != "ok"}

    def require_scores(self, store: Store) -> Self:
        """Return the suite itself; raise :class:`UsageError` when no run of it has ended well yet."""
        if self.scores.empty:
            raise no_run_ended_well(self.plan, store, self.ended_badly())
        return self


def find_plan(store: Store, name: str, *, sample: bool = False) -> StoredPlan:
    """Return the plan of a suite given as name, name@version or a .toml file; without a version, the highest run.

    ``name+added`` is the suite with additions, see :mod:`rmtl_bench.suites.additions`; ``+sample`` at the end is the
    same as ``sample``. Raises :class:`UsageError` when the suite was not run in this store.
    """
    sample, name = sample or name.endswith("+sample"), name.removesuffix("+sample")
    wanted = split_additions(name)
    name = wanted.name
    if wanted.suite.endswith(".toml"):
        file = read_suite(Path(wanted.suite), sample=sample)
        name = f"{name_with(file.name, wanted.added)}@{file.version}"
    suite, _, version = name.partition("@")
    if version and not version.isdecimal():
        raise UsageError(f"suite {name!r} has the version {version!r}; it has to be a whole number")
    return load_plan(store, suite, int(version) if version else None, sample)


def read_stored_suite(
    store: Store, name: str, *, sample: bool = False, metrics: Sequence[str] | None = None
) -> StoredSuite:
    """Read a suite named as :func:`find_plan` takes it; its scores may be none.

    ``metrics``: those that are asked for, as :meth:`StoredSuite.shown` takes them; only what it shows is read then,
    which is faster. None reads all. Raises :class:`UsageError` when the suite was not run in this store, or for a
    metric that no run has.
    """
    plan = find_plan(store, name, sample=sample)
    index = Index(store)
    refreshed = index.refresh()
    with index.reading():
        return _read(store, plan, index, refreshed, metrics)


def _read(
    store: Store, plan: StoredPlan, index: Index, refreshed: Refreshed, metrics: Sequence[str] | None
) -> StoredSuite:
    run_ids = [cell.run_id for cell in plan.cells]
    directions = index.directions(run_ids)
    suite = StoredSuite(
        plan=plan,
        scores=pd.DataFrame(columns=[*SCORE_COLUMNS, "fingerprint"]),
        costs=_named_costs(index.costs(run_ids), plan),
        higher_is_better={metric: directions[metric] for metric in _ordered(plan, list(directions))},
        statuses={run_id: attempt.status for run_id, attempt in index.latest(run_ids).items()},
        refreshed=refreshed,
        warnings=index.warnings(run_ids),
        apart=(*_other_versions(store, plan), *map(_other_data_note, index.other_data(run_ids))),
    )
    if not directions:
        return suite
    shown = None if metrics is None else suite.shown(metrics)
    scores = _named(pd.DataFrame(index.scores(run_ids, shown)), plan, index.fingerprints(run_ids))
    return replace(suite, scores=scores)


def no_run_ended_well(plan: StoredPlan, store: Store, ended: Mapping[str, int] | None = None) -> UsageError:
    """Return the error of a suite that has nothing to show yet; ``ended``: its runs by how they ended."""
    counts = ", ".join(f"{count} {status}" for status, count in (ended or {}).items())
    sample = " --sample" if plan.sample else ""
    why = f" ({counts}; rmtl-bench report --suite {plan.suite}@{plan.version}{sample} shows why)" if counts else ""
    return UsageError(f"no run of {plan.name} in {store.path} has ended well yet{why}")


def _other_versions(store: Store, plan: StoredPlan) -> list[str]:
    versions = [name for name in plan_names(store) if name.partition("@")[0] == plan.suite and name != plan.name]
    others = [name for name in versions if name.endswith("+sample") == plan.sample]
    return [f"{', '.join(others)}: in this store, too; versions of a suite are never mixed"] if others else []


def _other_data_note(other: OtherData) -> str:
    runs = f"{other.runs} run{'' if other.runs == 1 else 's'}"
    return (
        f"{runs} like these were made on another state of the data {other.dataset} (fingerprint {other.other}, "
        f"here {other.fingerprint}); they are left out"
    )


def _named(found: pd.DataFrame, plan: StoredPlan, fingerprints: Mapping[str, str]) -> pd.DataFrame:
    """Name the scores as this plan does: a run is shared by all suites that have its cell, whatever they call it."""
    cells = pd.DataFrame([vars(cell) for cell in plan.cells])
    cells = cells.assign(fingerprint=cells["run_id"].map(fingerprints))
    labelled = found[["run_id", "task", "metric", "value"]].merge(cells, on="run_id")
    labelled["method"] = labelled["backbone"] + "/" + labelled["weighting"]
    order = {metric: place for place, metric in enumerate(_ordered(plan, list(labelled["metric"].unique())))}
    labelled = labelled.assign(_order=labelled["metric"].map(order))
    by = ["dataset", "task", "_order", "method", "seed"]
    return labelled.sort_values(by, kind="stable", ignore_index=True)[[*SCORE_COLUMNS, "fingerprint"]]


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


def declared_families(statistics: Mapping[str, Any]) -> list[Family]:
    """Return the families that a suite declares, its reference first; raise :class:`UsageError` for a wrong pattern."""
    reference = Family("reference", ("*",), (statistics["reference"],), statistics["scope"])
    return [reference, *(_family(declared) for declared in statistics["comparisons"])]


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
