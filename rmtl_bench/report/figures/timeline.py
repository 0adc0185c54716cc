"""The epochs of a training's stages laid out one stage after another."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from rmtl_bench.report.figures.panels import FloatArray

LABELS = ["dataset", "backbone", "weighting"]


def stage_table(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return one row a data set, method and stage, in the order the stages came: its ``start`` and its ``length``.

    ``start`` is the number of epochs before the stage; a stage is as long as the longest of its seeds. ``frames`` have
    ``dataset``, ``backbone``, ``weighting``, ``stage`` and ``epoch``.
    """
    keys = [*LABELS, "stage"]
    parts = [frame[[*keys, "epoch"]] for frame in frames if len(frame)]
    if not parts:
        return pd.DataFrame(columns=[*keys, "length", "start"])
    every = pd.concat(parts, ignore_index=True)
    lengths = every.groupby(keys, sort=False)["epoch"].max().rename("length").reset_index()
    before = lengths.groupby(LABELS, sort=False)["length"].cumsum() - lengths["length"]
    return lengths.assign(start=before)


def on_timeline(rows: pd.DataFrame, stages: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with ``x``, their epoch counted from the beginning of the training, in its order."""
    placed = rows.merge(stages, on=[*LABELS, "stage"], how="left")
    placed = placed.assign(x=placed["start"] + placed["epoch"])
    return placed.sort_values("x", kind="stable", ignore_index=True)


def broken(rows: pd.DataFrame, columns: Iterable[str]) -> dict[str, FloatArray]:
    """Return columns as arrays with a NaN wherever another stage begins, so that a line breaks there."""
    stage = rows["stage"].to_numpy()
    cuts = np.flatnonzero(stage[1:] != stage[:-1]) + 1
    return {name: np.insert(rows[name].to_numpy(dtype=float), cuts, np.nan) for name in columns}
