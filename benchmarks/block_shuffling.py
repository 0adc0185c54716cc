"""What shuffling by blocks does to the scores: real interactions over a month, whole shuffles and ever smaller windows.

``python -m benchmarks.block_shuffling [--seeds N]`` trains a small shared-bottom model on the embedded sample of
KuaiRand-Pure, whose rows are in the order of time, and prints the test AUC, a mean over tasks and seeds, and its paired
difference from the whole shuffle's.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.trainings import component
from rmtl_bench.contracts.cell import Cell
from rmtl_bench.execution.run_cell import LoadedData, RunOfCell
from rmtl_bench.execution.sources import DataSources
from rmtl_bench.plugins import Registry, load_plugins
from rmtl_bench.training.settings import TrainerSettings

BACKBONE = {"embedding_dim": 8, "bottom": [64, 32], "tower": [16]}
ORDERS = ((0, 0), (256, 64), (256, 16), (64, 64), (16, 256))
"""Blocks of a window, and rows of a block; no blocks: the whole split is shuffled."""


def main() -> None:
    """Train and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    registry = load_plugins().registry
    dataset = component(registry, "dataset", "kuairand-pure-sample")
    with tempfile.TemporaryDirectory() as folder:
        sources = DataSources(registry, None, Path(folder))
        fingerprint = sources.fingerprint(dataset)
        data = LoadedData(sources.prepare(dataset, fingerprint), "cpu")
        print(f"{len(data.train)} rows to train on, {len(data.test)} to test, {options.seeds} seeds")
        scores: dict[tuple[int, int], Any] = {}
        for window, block_rows in ORDERS:
            settings = _settings(window, block_rows)
            scores[window, block_rows] = own = np.array(
                [_auc(registry, data, (dataset, fingerprint), settings, seed) for seed in range(options.seeds)]
            )
            apart = own - scores[ORDERS[0]]
            share = window * block_rows / len(data.train)
            name = f"{window} blocks of {block_rows}, {share:.0%} of the rows" if window else "all rows"
            error = apart.std(ddof=1) / options.seeds**0.5
            print(f"{name}: AUC {own.mean():.4f}, {apart.mean():+.4f} (standard error {error:.4f})", flush=True)


def _settings(window: int, block_rows: int) -> TrainerSettings:
    blocks: dict[str, Any] = {"shuffle": "blocks", "shuffle_block_rows": block_rows, "shuffle_window": window}
    return TrainerSettings.resolve({"batch_size": 256, "max_epochs": 3, **(blocks if window else {})})


def _auc(registry: Registry, data: LoadedData, source: tuple[Any, str], settings: TrainerSettings, seed: int) -> float:
    """Return the mean test AUC over the tasks."""
    parts = component(registry, "backbone", "shared-bottom", **BACKBONE), component(registry, "weighting", "fixed")
    cell = Cell(*source, *parts, settings.identity(), ("auc",), seed)
    result = RunOfCell(cell, data, registry, lambda record: None).train()
    return float(np.mean([row.value for row in result.metrics if row.metric == "auc"]))


if __name__ == "__main__":
    main()
