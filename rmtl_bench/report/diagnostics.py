"""What weightings say of themselves: quantities and weights by epoch, and what they found when they were done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.report.document import Document, Section, compact
from rmtl_bench.report.grids import COUNTS, grid_sections
from rmtl_bench.report.stored_suite import find_plan, no_run_ended_well, suite_title, warning_note
from rmtl_bench.store import Index, Refreshed, Store, StoredPlan
from rmtl_bench.store.averages import average_over_seeds

USUAL = ("train-loss", "score", "seconds")
"""What every stage reports of an epoch, beside the metrics."""

WEIGHTS = "weights"
"""The name by which the weights used are asked for, as if they were a quantity."""

_LABELS = ["dataset", "backbone", "weighting"]
_GRID = ["method", "task", "column", "n", "text", "below"]
_NO_POSITION = -1
# Relative; the weights are float32.
_SAME = 1e-6


@dataclass(frozen=True)
class StoredDiagnostics:
    """What the runs of a suite say of their trainings, as means over seeds, one frame a table of the run folders.

    ``epochs``: by stage, epoch, task and quantity. ``weights``: by stage, epoch and task. ``diagnostics``: by task,
    quantity and position, which is -1 where there is none. ``ended_well`` counts the planned cells with a run.
    """

    plan: StoredPlan
    epochs: pd.DataFrame
    weights: pd.DataFrame
    diagnostics: pd.DataFrame
    ended_well: int
    refreshed: Refreshed
    warnings: Mapping[str, int] = field(default_factory=dict)

    def quantities(self) -> list[str]:
        """Return the names of all quantities, by epoch and final, without the weights."""
        return list(dict.fromkeys([*self.epochs["quantity"], *self.diagnostics["quantity"]]))


def read_diagnostics(store: Store, name: str, *, sample: bool = False) -> StoredDiagnostics:
    """Read what the runs of a suite say, the suite named as :func:`find_plan` takes it.

    Raises :class:`UsageError` when the suite was not run in this store, or no run of it has ended well yet.
    """
    plan = find_plan(store, name, sample=sample)
    run_ids = [cell.run_id for cell in plan.cells]
    index = Index(store)
    refreshed = index.refresh()
    folders = index.folders(run_ids)
    if not folders:
        raise no_run_ended_well(plan, store)
    epochs, weights, final = (
        pd.DataFrame(average_over_seeds(table, plan.cells, folders)) for table in ("history", "weights", "diagnostics")
    )
    ended_well = sum(run_id in folders for run_id in run_ids)
    return StoredDiagnostics(plan, epochs, weights, final, ended_well, refreshed, index.warnings(run_ids))


def diagnostics_document(stored: StoredDiagnostics, asked: Sequence[str] = ()) -> Document:
    """Lay it out; ``asked`` names the quantities that the text formats show, csv and json hold all.

    By default: of the epochs what is neither usual nor a metric, the weights that vary, and all that was found when
    the training was done. ``weights`` asks for the weights, ``all`` for everything. Raises :class:`UsageError` for a
    quantity that no run has.
    """
    names = stored.quantities()
    for name in asked:
        if name not in (*names, WEIGHTS, "all"):
            raise UsageError(f"unknown quantity {name!r}{did_you_mean(name, [*names, WEIGHTS])}")
    by_epoch, final, weights = _chosen(stored, asked)
    sections = tuple(
        section
        for dataset in dict.fromkeys(cell.dataset for cell in stored.plan.cells)
        for section in _dataset_sections(dataset, *(_of(frame, dataset) for frame in (by_epoch, weights, final)))
    )
    hidden = ", ".join(name for name in names if name not in {*by_epoch["quantity"], *final["quantity"]})
    return Document(
        title=suite_title(stored.plan),
        notes=(*stored.plan.notes, *_notes(stored, bool(sections), hidden)),
        sections=sections,
        footnotes=_footnotes(len(weights) > 0, hidden) if sections else (),
        tables={"epochs": stored.epochs, "weights": stored.weights, "diagnostics": stored.diagnostics},
        settings={"metrics": list(stored.plan.metrics)},
    )


def _chosen(stored: StoredDiagnostics, asked: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the epochs, the final diagnostics and the weights that the text formats show."""
    epochs, final, weights = stored.epochs, stored.diagnostics, varying_weights(stored.weights)
    if not asked:
        return epochs[~epochs["quantity"].isin([*USUAL, *stored.plan.metrics])], final, weights
    if "all" in asked:
        return epochs, final, weights
    wanted = [frame[frame["quantity"].isin(list(asked))] for frame in (epochs, final)]
    return wanted[0], wanted[1], weights if WEIGHTS in asked else weights[:0]


def varying_weights(weights: pd.DataFrame) -> pd.DataFrame:
    """Return the weights of the methods and stages that have more than one and the same weight for everything."""
    if weights.empty:
        return weights
    values = weights[["mean", *(column for column in weights if column.startswith("q"))]]
    of_stage = weights[[*_LABELS, "stage"]].assign(low=values.min(axis=1), high=values.max(axis=1))
    stages = of_stage.groupby([*_LABELS, "stage"], sort=False)
    low, high = stages["low"].transform("min"), stages["high"].transform("max")
    return weights[high - low > _SAME * np.maximum(high.abs(), low.abs())]


def _of(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    rows = frame[frame["dataset"] == dataset]
    return rows.assign(method=rows["backbone"] + "/" + rows["weighting"], below="")


def _dataset_sections(
    dataset: str, by_epoch: pd.DataFrame, weights: pd.DataFrame, final: pd.DataFrame
) -> Iterable[Section]:
    for (stage, quantity), rows in by_epoch.groupby(["stage", "quantity"], sort=False):
        yield from _sections(f"{dataset} · {stage} · {quantity} by epoch", rows, "epoch")
    for stage, rows in weights.groupby("stage", sort=False):
        bounds = [f"\n[{compact(a, 3)}, {compact(b, 3)}]" for a, b in zip(rows["q05"], rows["q95"], strict=True)]
        title = f"{dataset} · {stage} · weights by epoch, mean [5 % quantile, 95 % quantile]"
        yield from _sections(title, rows.assign(below=bounds), "epoch", decimals=3)
    whole = final[final["position"] == _NO_POSITION]
    if len(whole):
        deviations = [f" ± {compact(sd)}" if np.isfinite(sd) else "" for sd in whole["sd"]]
        title = f"{dataset} · after the training, mean ± standard deviation over seeds"
        yield from _sections(title, whole.assign(after=deviations), "quantity")
    for quantity, rows in final[final["position"] != _NO_POSITION].groupby("quantity", sort=False):
        title = f"{dataset} · after the training · {quantity} by position in the session"
        yield from _sections(title, rows, "position")


def _sections(title: str, rows: pd.DataFrame, column: str, decimals: int = 4) -> Iterable[Section]:
    texts = [compact(mean, decimals) for mean in rows["mean"]]
    texts = [text + after for text, after in zip(texts, rows["after"], strict=True)] if "after" in rows else texts
    return grid_sections(title, rows.assign(text=texts, column=rows[column])[_GRID])


def _notes(stored: StoredDiagnostics, anything: bool, hidden: str) -> list[str]:
    planned = len(stored.plan.cells)
    notes = [f"{planned - stored.ended_well} of {planned} planned runs have not ended well; they are left out"]
    notes = notes if stored.ended_well < planned else []
    notes += [warning_note(text, runs) for text, runs in stored.warnings.items()]
    if not anything:
        stored_names = f"; --quantity NAME shows one of {hidden}" if hidden else ""
        notes.append(f"no weighting of these runs says anything of itself, and no weight varies{stored_names}")
    return notes


def _footnotes(weights: bool, hidden: str) -> tuple[str, ...]:
    lines = [COUNTS]
    if weights:
        lines.append(
            "weights: mean and quantiles over the steps and rows of an epoch, each averaged over seeds; "
            "left out where one and the same weight is used for everything."
        )
    if hidden:
        lines.append(f"not shown: {hidden}; --quantity NAME shows one.")
    return tuple(lines)
