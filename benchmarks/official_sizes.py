"""Tables of the official data sets' sizes, with random contents: what they take to train on, and nothing to learn.

``official_sizes.json`` holds schema and split sizes of the prepared tables at the data sets' default parameters, made
of the raw files that ``python -m benchmarks.raw_files`` writes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from benchmarks.trainings import Data, component
from rmtl_bench.contracts import Schema, SessionTable
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.plugins import Registry

ROWS_OF_SESSION = 8


@dataclass(frozen=True)
class OfficialSizes:
    """Schema of a prepared data set, and its rows to train, validate and test on."""

    schema: Schema
    train: int
    valid: int
    test: int


@cache
def official_sizes() -> dict[str, OfficialSizes]:
    """Return the sizes by the name of the data set."""
    found = json.loads(Path(__file__).with_suffix(".json").read_text())
    return {name: OfficialSizes(Schema.from_json(of["schema"]), *of["split_sizes"]) for name, of in found.items()}


def random_data(registry: Registry, name: str, rows: int, held_out: int, device: str) -> Data:
    """Return random sessions in the schema of a data set: ``rows`` to train on, ``held_out`` to validate and test."""
    schema, random = official_sizes()[name].schema, np.random.default_rng(0)
    total = rows + 2 * held_out
    session = np.arange(total, dtype=np.int32) // ROWS_OF_SESSION
    labels = (random.random((total, len(schema.tasks))) < 0.2).astype(np.float32)
    for task in range(len(schema.tasks)):
        parent = schema.parent_index(task)
        if parent is not None:
            labels[:, task] *= labels[:, parent]
    table = SessionTable(
        schema=schema,
        categorical=np.stack(
            [random.integers(0, field.size, total, dtype=np.int32) for field in schema.categorical], 1
        ),
        numerical=random.standard_normal((total, len(schema.numerical)), dtype=np.float32),
        labels=labels,
        session=session,
        user=session // 16,
        timestamp=np.arange(total, dtype=np.int64),
        session_end=(np.arange(total) % ROWS_OF_SESSION == ROWS_OF_SESSION - 1).astype(np.uint8),
        split_sizes=(rows, held_out, held_out),
    )
    splits = [DeviceRows(table, split, torch.device(device)) for split in ("train", "valid", "test")]
    return Data(component(registry, "dataset", name), table, *splits)
