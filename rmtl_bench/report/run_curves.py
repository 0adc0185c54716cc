"""The curves of one run, and what its weighting says of itself, as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from rmtl_bench.contracts.wording import printable
from rmtl_bench.report.document import DASH, compact
from rmtl_bench.report.sparkline import sparkline, sparklines
from rmtl_bench.report.terminal import INDENT, heading, table

# What else a stage reports of an epoch tells stages of one kind from those of another.
_USUAL = ("train-loss", "score", "seconds")
_HIDDEN = "seconds"
_NO_POSITION = -1


def curves(history: pd.DataFrame, blocks: bool) -> Iterable[str]:
    """Yield the curves over epochs: those of stages that report the same in one line, with a bar between stages."""
    history = history[history["quantity"] != _HIDDEN]
    reported = {
        stage: frozenset(rows["quantity"]).difference(_USUAL) for stage, rows in history.groupby("stage", sort=False)
    }
    for kind in dict.fromkeys(reported.values()):
        stages = [stage for stage, found in reported.items() if found == kind]
        yield from heading(f"by epoch: {_stages_named(history, stages, blocks)}")
        of_kind = history[history["stage"].isin(stages)]
        yield from _lines(of_kind, ["quantity", "task"], "value", stages, blocks)


def weight_curves(weights: pd.DataFrame, blocks: bool) -> Iterable[str]:
    """Yield the curve of each task's mean weight over the epochs of all stages."""
    if len(weights):
        stages = list(dict.fromkeys(weights["stage"]))
        yield from heading(f"mean weight by epoch: {_stages_named(weights, stages, blocks)}")
        yield from _lines(weights, ["task"], "mean", stages, blocks)


def _stages_named(frame: pd.DataFrame, stages: Sequence[str], blocks: bool) -> str:
    epochs = frame.groupby("stage")["epoch"].nunique()
    return (" │ " if blocks else " | ").join(f"{printable(stage)} ({epochs[stage]})" for stage in stages)


def _lines(
    frame: pd.DataFrame,
    by: list[str],
    value: str,
    stages: Sequence[str],
    blocks: bool,
) -> Iterable[str]:
    """Yield a line a curve: its names, the curve, its first and its last value."""
    rows = []
    # Quantities with their tasks together, in the order in which they were written.
    places = {key: place for place, key in enumerate(dict.fromkeys(frame[by[0]]))}
    for key, curve in sorted(frame.groupby(by, sort=False), key=lambda group: places[group[0][0]]):
        parts = [curve.loc[curve["stage"] == stage, value].to_numpy(dtype=float) for stage in stages]
        first, last = float(curve[value].iloc[0]), float(curve[value].iloc[-1])
        names = [printable(name) or DASH for name in key]
        rows.append((*names, sparklines(parts, not blocks), f"{compact(first)} -> {compact(last)}"))
    yield from _padded(rows)


def diagnostics(found: pd.DataFrame, blocks: bool) -> Iterable[str]:
    """Yield what the weighting found when it was done, and the curves of what has positions."""
    whole, placed = found[found["position"] == _NO_POSITION], found[found["position"] != _NO_POSITION]
    if len(whole):
        yield from heading("what the weighting says after the training")
        tasks = list(dict.fromkeys(whole["task"]))
        values = {(r["quantity"], r["task"]): compact(r["value"]) for r in whole.to_dict("records")}
        rows = [
            (quantity, *(values.get((quantity, task), DASH) for task in tasks))
            for quantity in dict.fromkeys(whole["quantity"])
        ]
        yield table(("quantity", *(task or DASH for task in tasks)), rows, indent=INDENT)
    if len(placed):
        yield from heading("what it says by position in the session")
        rows = []
        for (quantity, task), curve in placed.groupby(["quantity", "task"], sort=False):
            values = curve.sort_values("position")["value"].to_numpy(dtype=float)
            names = (printable(name) or DASH for name in (quantity, task))
            rows.append((*names, sparkline(values, not blocks), f"{compact(values[0])} -> {compact(values[-1])}"))
        yield from _padded(rows)


def _padded(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield f"{INDENT}{line}".rstrip()
