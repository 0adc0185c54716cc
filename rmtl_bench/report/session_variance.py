"""Would other seeds, or another test set, agree on a difference? From the predictions that runs have stored.

See :mod:`rmtl_bench.statistics.sessions` for the formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.report.document import DASH, Column, Section, number, spread
from rmtl_bench.statistics.sessions import (
    BOOTSTRAP_METRICS,
    DRAWS,
    MetricDraws,
    cluster_draws,
    metric_draws,
    paired_variance,
)
from rmtl_bench.store import Index, PlannedCell, Store, StoredPlan
from rmtl_bench.store.run_files import read_table

SESSION_COLUMNS = [
    *("dataset", "task", "metric", "candidate", "reference", "seeds", "sessions", "difference"),
    *("se_seeds", "se_sessions", "se", "low", "high", "session_low", "session_high", "limited_by", "skipped", "note"),
]
"""The columns of a table of session variances; ``difference`` is candidate - reference, in the metric's unit."""

SESSION_FOOTNOTE = (
    "A - B ± half-width of the interval for other seeds and another test set with as many sessions: the squares of "
    "the two standard errors add up. se of seeds: sd of the seeds' differences / sqrt(n); se of sessions: sd over "
    "resampled test sessions, the same ones for A, B and all seeds; limited by: the larger of the two. sessions "
    "alone: percentile interval for another test set and these seeds."
)
"""What a session variance is."""

_PREDICTIONS = "predictions.parquet"
_SECTION_COLUMNS = (
    Column("data set", width=20),
    Column("task", width=10),
    Column("metric", width=10),
    *(Column(title, numeric=True) for title in ("n", "sessions", "A - B", "se of seeds", "se of sessions")),
    Column("limited by", width=10),
    Column("sessions alone", width=20),
)
_NOTE = Column("note", width=20)


@dataclass(frozen=True)
class _Run:
    """A planned run, as the plan calls it, and its folder."""

    cell: PlannedCell
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.cell.run_id} ({_method(self.cell)}, seed {self.cell.seed})"


@dataclass(frozen=True)
class _Drawn:
    """The draws of one method: for each (task, metric), a row a seed in the order of ``seeds``."""

    seeds: tuple[int, ...]
    draws: Mapping[tuple[str, str], MetricDraws]


def session_variance(
    store: Store,
    plan: StoredPlan,
    pairs: Sequence[tuple[str, str]],
    metrics: Sequence[str],
    draws: int = DRAWS,
    *,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Return ``SESSION_COLUMNS``, one row for each data set, task, metric and (candidate, reference) pair of methods.

    A pair is compared on every data set that plans both, by the seeds of which both have predictions; ``note`` names
    the seeds left out, and where no seed is left, the row has nothing but a note. Of the metrics, those that can be
    weighed by session are taken. Each run is read once, however many pairs it is in; the index has to be fresh.

    Raises :class:`UsageError` for an unknown method, where no metric can be weighed, and for runs that were not
    tested on the same rows with the same labels; :class:`StoreError` for predictions that cannot be read.
    """
    names = [metric for metric in dict.fromkeys(metrics) if metric in BOOTSTRAP_METRICS]
    if not names:
        raise UsageError(
            f"none of {', '.join(metrics) or 'no metrics'} has a bootstrap over sessions; "
            f"those that do are {', '.join(BOOTSTRAP_METRICS)}"
        )
    _check_methods(plan, pairs)
    folders = Index(store).folders([cell.run_id for cell in plan.cells])
    rows: list[dict[str, Any]] = []
    for dataset in dict.fromkeys(cell.dataset for cell in plan.cells):
        planned = _planned(plan, dataset)
        shared = [pair for pair in dict.fromkeys(pairs) if pair[0] in planned and pair[1] in planned]
        drawn = _draw(dataset, {m: planned[m] for pair in shared for m in pair}, folders, names, draws)
        rows += [row for pair in shared for row in _pair_rows(dataset, pair, planned, drawn, confidence)]
    order = {metric: place for place, metric in enumerate(names)}
    rows.sort(key=lambda row: (row["dataset"], row["task"], order.get(row["metric"], 0)))
    return pd.DataFrame(rows, columns=SESSION_COLUMNS)


def session_sections(frame: pd.DataFrame) -> Iterable[Section]:
    """Yield one section a pair of methods; none for an empty frame."""
    for (candidate, reference), group in frame.groupby(["candidate", "reference"], sort=False):
        noted = bool((group["note"] != "").any())
        rows = tuple(
            (
                r["dataset"],
                r["task"] or DASH,
                r["metric"] or DASH,
                str(r["seeds"]),
                str(r["sessions"]),
                spread(r["difference"], r["low"], r["high"], signed=True),
                number(r["se_seeds"]),
                number(r["se_sessions"]),
                r["limited_by"] or DASH,
                _interval(r["session_low"], r["session_high"]),
                *((r["note"],) if noted else ()),
            )
            for r in group.to_dict("records")
        )
        columns = (*_SECTION_COLUMNS, _NOTE) if noted else _SECTION_COLUMNS
        yield Section(f"A: {candidate}, B: {reference} · seeds and test sessions", columns, rows)


def _check_methods(plan: StoredPlan, pairs: Sequence[tuple[str, str]]) -> None:
    known = sorted({_method(cell) for cell in plan.cells})
    for method in (method for pair in pairs for method in pair):
        if method not in known:
            raise UsageError(f"{plan.name} has no method {method!r}{did_you_mean(method, known)}")


def _planned(plan: StoredPlan, dataset: str) -> dict[str, list[PlannedCell]]:
    """Return the cells of each method on a data set, in order of seed."""
    planned: dict[str, list[PlannedCell]] = {}
    for cell in sorted(plan.cells, key=lambda cell: cell.seed):
        if cell.dataset == dataset:
            planned.setdefault(_method(cell), []).append(cell)
    return planned


def _draw(
    dataset: str,
    cells: Mapping[str, Sequence[PlannedCell]],
    folders: Mapping[str, Path],
    metrics: Sequence[str],
    draws: int,
) -> dict[str, _Drawn]:
    """Read the predictions of each method and resample their sessions, with the same draws for all."""
    weights: dict[int, NDArray[np.uint8]] = {}
    first: tuple[_Run, Mapping[str, NDArray[Any]]] | None = None
    drawn = {}
    for method, of_method in cells.items():
        runs = [_Run(cell, folders[cell.run_id]) for cell in of_method if cell.run_id in folders]
        runs = [run for run in runs if (run.folder / _PREDICTIONS).is_file()]
        scores: dict[str, list[NDArray[Any]]] = {}
        for run in runs:
            columns = read_table(run.folder, "predictions")
            first = first or (run, {name: column for name, column in columns.items() if not _is_score(name)})
            _check_rows(dataset, first, run, columns)
            for name in filter(_is_score, columns):
                scores.setdefault(name.removeprefix("score_"), []).append(columns[name])
        of_cell = {
            (task, metric): _draws_of(first[1], task, np.stack(of_task), metric, draws, weights)
            for task, of_task in scores.items()
            for metric in metrics
            if first is not None
        }
        drawn[method] = _Drawn(tuple(run.cell.seed for run in runs), of_cell)
    return drawn


def _draws_of(
    rows: Mapping[str, NDArray[Any]],
    task: str,
    scores: NDArray[Any],
    metric: str,
    draws: int,
    weights: dict[int, NDArray[np.uint8]],
) -> MetricDraws:
    """Resample one metric of one task; ``weights`` keeps the draws for each number of sessions."""
    labels, session = rows[f"label_{task}"], rows["session"]
    sessions = len(np.unique(session[~np.isnan(labels)]))
    if sessions not in weights:
        weights[sessions] = cluster_draws(sessions, draws)
    return metric_draws(labels, session, scores, metric, draws=draws, weights=weights[sessions])


def _check_rows(
    dataset: str, first: tuple[_Run, Mapping[str, NDArray[Any]]], run: _Run, columns: Mapping[str, NDArray[Any]]
) -> None:
    known, expected = first
    given = {name: column for name, column in columns.items() if not _is_score(name)}
    same = given.keys() == expected.keys() and all(
        np.array_equal(given[name], column, equal_nan=True) for name, column in expected.items()
    )
    if not same:
        raise UsageError(
            f"the runs {known.name} and {run.name} were not tested on the same rows of {dataset} with the same labels: "
            "their predictions cannot be paired"
        )


def _pair_rows(
    dataset: str,
    pair: tuple[str, str],
    planned: Mapping[str, Sequence[PlannedCell]],
    drawn: Mapping[str, _Drawn],
    confidence: float,
) -> list[dict[str, Any]]:
    a, b = (drawn[method] for method in pair)
    seeds = sorted(set(a.seeds) & set(b.seeds))
    lone = sorted({cell.seed for method in pair for cell in planned[method]} - set(seeds))
    note = f"without predictions on both sides: seeds {', '.join(map(str, lone))}" if lone else ""
    fixed = {"dataset": dataset, "candidate": pair[0], "reference": pair[1], "note": note}
    if not seeds:
        nothing = {"task": "", "metric": "", "seeds": 0, "sessions": 0, "limited_by": "", "skipped": 0}
        return [fixed | nothing | {"note": "no seed has predictions on both sides"}]
    return [
        {"task": task, "metric": metric}
        | asdict(paired_variance(_of(a, task, metric, seeds), _of(b, task, metric, seeds), confidence))
        | fixed
        for task, metric in a.draws
    ]


def _of(drawn: _Drawn, task: str, metric: str, seeds: Sequence[int]) -> MetricDraws:
    """Return the draws of these seeds."""
    found = drawn.draws[task, metric]
    rows = [drawn.seeds.index(seed) for seed in seeds]
    return MetricDraws(found.values[rows], found.draws[rows], found.sessions)


def _method(cell: PlannedCell) -> str:
    return f"{cell.backbone}/{cell.weighting}"


def _is_score(column: str) -> bool:
    return column.startswith("score_")


def _interval(low: float, high: float) -> str:
    return f"[{number(low, True)}, {number(high, True)}]" if np.isfinite(low) else DASH
