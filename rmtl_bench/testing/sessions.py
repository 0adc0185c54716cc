"""Simulated sessions whose true probabilities are known: what the kit trains on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.dataset import SessionTable
from rmtl_bench.contracts.schema import CategoricalField, Schema, Task

_FIELDS = (("item", 40), ("context", 10), ("group", 12))
_MILLISECONDS = 1000


def simulated_sessions(
    rows: int = 6000,
    tasks: int | Sequence[int | None] = 2,
    *,
    seed: int = 0,
    missing: Sequence[float] = (),
    twins: bool = False,
) -> SessionTable:
    """Return sessions of two to eight rows, three fourths of them training, the rest halved, in the order of time.

    The logit of each task is a sum of effects of three fields and of one number, so that every model with embeddings
    can come close to the true probabilities, which are in ``optimum``. ``tasks``: how many, or for each the position
    of its parent: its label is then the joint event. ``missing``: the share of unknown labels by task, 1 for all.
    ``twins``: every task has the labels of the first. The same arguments give the same table.
    """
    parents = [None] * tasks if isinstance(tasks, int) else list(tasks)
    generator = np.random.default_rng([seed, rows])
    codes = np.stack([generator.integers(1, size, rows) for _, size in _FIELDS], axis=1).astype(np.int32)
    number = generator.standard_normal((rows, 1)).astype(np.float32)
    optimum, labels = _events(generator, codes, number, parents)
    if twins:
        optimum, labels = (np.repeat(array[:, :1], len(parents), axis=1) for array in (optimum, labels))
    mask = None
    if len(missing):
        mask = generator.random((rows, len(parents))) >= np.asarray(missing)
        labels = labels * mask
    train = rows * 3 // 4
    sizes = (train, (rows - train) // 2, rows - train - (rows - train) // 2)
    session, end = _sessions(generator, rows, sizes)
    names = [f"task-{place}" for place in range(len(parents))]
    return SessionTable(
        schema=Schema(
            tuple(CategoricalField(name, size) for name, size in _FIELDS),
            ("number",),
            tuple(Task(name, None if p is None else names[p]) for name, p in zip(names, parents, strict=True)),
        ),
        categorical=codes,
        numerical=number,
        labels=labels.astype(np.float32),
        label_mask=mask,
        session=session,
        user=session,
        timestamp=np.arange(rows, dtype=np.int64) * _MILLISECONDS,
        session_end=end,
        split_sizes=sizes,
        optimum=optimum.astype(np.float32),
    )


def _events(
    generator: np.random.Generator, codes: NDArray[np.int32], number: NDArray[np.float32], parents: Sequence[int | None]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the probability of each label [N, K], and the labels drawn."""
    rows = len(codes)
    # What the tasks have in common is worth learning together.
    common = [generator.normal(0, 0.9, size) for _, size in _FIELDS]
    optimum, labels = np.empty((rows, len(parents))), np.empty((rows, len(parents)))
    for place, parent in enumerate(parents):
        effects = [shared + generator.normal(0, 0.5, len(shared)) for shared in common]
        logit = 0.6 * number[:, 0] + sum(effect[codes[:, column]] for column, effect in enumerate(effects))
        chance = 1 / (1 + np.exp(-logit))
        event = generator.random(rows) < chance
        optimum[:, place] = chance if parent is None else chance * optimum[:, parent]
        labels[:, place] = event if parent is None else event * labels[:, parent]
    return optimum, labels


def _sessions(
    generator: np.random.Generator, rows: int, sizes: tuple[int, int, int]
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return the session of each row, from 0 on, and how it ends: a border between splits cuts it in two."""
    last = np.cumsum(generator.integers(2, 9, rows)) - 1
    end = np.zeros(rows, np.uint8)
    cut = np.cumsum(sizes)[:2] - 1
    end[cut] = 2
    end[last[last < rows]] = 1
    end[-1] = 1
    return (np.cumsum(end > 0) - (end > 0)).astype(np.int32), end
