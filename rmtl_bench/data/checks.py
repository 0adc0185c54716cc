"""What :class:`~rmtl_bench.contracts.dataset.SessionTable` promises, verified before anything trains on it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.dataset import SPLITS, SessionTable
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.data.storage import ARRAYS

_OPTIONAL = ("label_mask", "optimum")


def check_table(table: SessionTable, name: str) -> None:
    """Raise :class:`DataError` with one line naming the data set, the column and the value of the first broken promise.

    Verified are shapes, dtypes, notes that JSON can hold, ids within sizes, finite numbers, 0/1 labels that never
    exceed their parent's, splits that are non-empty and follow one another in time, sessions that are contiguous, of
    one user and ordered in time, ``session_end`` consistent with them, and probabilities within [0, 1].
    """
    _check_arrays(table, name)
    _check_notes(table, name)
    _check_splits(table, name)
    _check_features(table, name)
    _check_labels(table, name)
    _check_sessions(table, name)
    _check_optimum(table, name)


def _first(bad: NDArray[np.bool_]) -> tuple[int, ...] | None:
    """Return the indices of the first True, or ``None``."""
    if not bad.any():
        return None
    return tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))


def _check_arrays(table: SessionTable, name: str) -> None:
    arrays = {column: getattr(table, column) for column in ARRAYS}
    arrays = {column: array for column, array in arrays.items() if array is not None or column not in _OPTIONAL}
    for column, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise DataError(f"{name}: {column} is a {type(array).__name__}; it must be an array")
    rows, schema = len(table), table.schema
    expected: dict[str, tuple[Any, tuple[int, ...]]] = {
        "categorical": (np.int32, (rows, len(schema.categorical))),
        "numerical": (np.float32, (rows, len(schema.numerical))),
        "labels": (np.float32, (rows, len(schema.tasks))),
        "session": (np.int32, (rows,)),
        "user": (np.int32, (rows,)),
        "timestamp": (np.int64, (rows,)),
        "session_end": (np.uint8, (rows,)),
        "label_mask": (np.bool_, (rows, len(schema.tasks))),
        "optimum": (np.float32, (rows, len(schema.tasks))),
    }
    for column, array in arrays.items():
        dtype, shape = expected[column]
        if array.dtype != dtype or array.shape != shape:
            raise DataError(f"{name}: {column} is {array.dtype} {array.shape}; it must be {np.dtype(dtype)} {shape}")


def _check_notes(table: SessionTable, name: str) -> None:
    try:
        json.dumps(dict(table.notes))
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: notes cannot be written as JSON: {error}") from error


def _check_splits(table: SessionTable, name: str) -> None:
    whole = all(isinstance(size, (int, np.integer)) for size in table.split_sizes)
    if len(table.split_sizes) != len(SPLITS) or not whole:
        raise DataError(f"{name}: split_sizes are {table.split_sizes}; they must be the rows of {', '.join(SPLITS)}")
    for split, size in zip(SPLITS, table.split_sizes, strict=True):
        if size < 1:
            raise DataError(f"{name}: split {split!r} has {size} rows; every split needs at least one")
    if sum(table.split_sizes) != len(table):
        raise DataError(
            f"{name}: split_sizes {table.split_sizes} sum to {sum(table.split_sizes)}, not {len(table)} rows"
        )
    for earlier, later in itertools.pairwise(SPLITS):
        last, first = table.timestamp[table.split(earlier)].max(), table.timestamp[table.split(later)].min()
        if last > first:
            raise DataError(f"{name}: timestamp {last} of split {earlier!r} is later than {first} of split {later!r}")


def _check_features(table: SessionTable, name: str) -> None:
    for column, field in enumerate(table.schema.categorical):
        ids = table.categorical[:, column]
        bad = _first((ids < 0) | (ids >= field.size))
        if bad:
            raise DataError(
                f"{name}: categorical {field.name!r} has id {ids[bad]} in row {bad[0]}; size is {field.size}"
            )
    for column, numerical in enumerate(table.schema.numerical):
        values = table.numerical[:, column]
        bad = _first(~np.isfinite(values))
        if bad:
            raise DataError(f"{name}: numerical {numerical!r} is {values[bad]} in row {bad[0]}; it must be finite")


def _check_labels(table: SessionTable, name: str) -> None:
    labels, mask = table.labels, table.label_mask
    for column, task in enumerate(table.schema.tasks):
        values = labels[:, column]
        bad = _first((values != 0) & (values != 1))
        if bad:
            raise DataError(
                f"{name}: label of task {task.name!r} is {values[bad]:g} in row {bad[0]}; it must be 0 or 1"
            )
        if mask is not None and (bad := _first(~mask[:, column] & (values != 0))):
            raise DataError(
                f"{name}: label of task {task.name!r} is 1 in row {bad[0]}, where it is missing; it must be 0"
            )
        parent = table.schema.parent_index(column)
        if parent is None:
            continue
        above = values > labels[:, parent]
        if mask is not None:
            above &= mask[:, column] & mask[:, parent]
        if bad := _first(above):
            raise DataError(
                f"{name}: label of task {task.name!r} is 1 in row {bad[0]} where its parent {task.parent!r} is 0; "
                "a child's label is the joint event"
            )


def _check_sessions(table: SessionTable, name: str) -> None:
    session, user = table.session, table.user
    for column, values in (("session", session), ("user", user)):
        if bad := _first(values < 0):
            raise DataError(f"{name}: {column} is {values[bad]} in row {bad[0]}; it must not be negative")
    goes_on = np.zeros(len(table), bool)
    goes_on[:-1] = session[1:] == session[:-1]
    goes_on[np.cumsum(table.split_sizes) - 1] = False
    if bad := _first(table.session_end > 2):
        raise DataError(f"{name}: session_end is {table.session_end[bad]} in row {bad[0]}; it must be 0, 1 or 2")
    _check_contiguous(session, goes_on, name)
    if bad := _first((table.session_end == 0) != goes_on):
        what = "goes on" if goes_on[bad] else "ends"
        raise DataError(
            f"{name}: session_end is {table.session_end[bad]} in row {bad[0]}, where session {session[bad]} {what}"
        )
    if bad := _first(goes_on[:-1] & (table.timestamp[1:] < table.timestamp[:-1])):
        after = bad[0] + 1
        raise DataError(f"{name}: timestamp {table.timestamp[after]} in row {after} is earlier than the row before it")
    if bad := _first(goes_on[:-1] & (user[1:] != user[:-1])):
        raise DataError(f"{name}: session {session[bad]} has two users, {user[bad]} and {user[bad[0] + 1]}")


def _check_contiguous(session: NDArray[np.int32], goes_on: NDArray[np.bool_], name: str) -> None:
    last_rows = np.sort(session[~goes_on])
    if bad := _first(last_rows[1:] == last_rows[:-1]):
        raise DataError(f"{name}: session {last_rows[bad]} is not contiguous, or stands in two splits")


def _check_optimum(table: SessionTable, name: str) -> None:
    if table.optimum is None:
        return
    for column, task in enumerate(table.schema.tasks):
        values = table.optimum[:, column]
        if bad := _first(~((values >= 0) & (values <= 1))):
            raise DataError(
                f"{name}: optimum of task {task.name!r} is {values[bad]:g} in row {bad[0]}; it must be in [0, 1]"
            )
