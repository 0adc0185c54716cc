"""What :class:`~rmtl_bench.contracts.dataset.SessionTable` promises, verified before anything trains on it."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.dataset import SPLITS, SessionTable
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.schema import CategoricalField, Task
from rmtl_bench.data.storage import ARRAYS

CHUNK_ROWS = 50_000
"""Rows that are looked at at once: a table may be larger than memory."""

_OPTIONAL = ("label_mask", "optimum")
_KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def check_table(table: SessionTable, name: str) -> None:
    """Raise :class:`DataError` with one line naming the data set, the column and the value of the first broken promise.

    Verified are shapes, dtypes, notes that JSON can hold, ids within sizes, finite numbers, 0/1 labels that never
    exceed their parent's, splits that are non-empty and follow one another in time, further test splits none of whose
    rows is earlier than the training, sessions that are contiguous, of one user and ordered in time, ``session_end``
    consistent with them, and probabilities within [0, 1].
    """
    _check_arrays(table, name)
    _check_notes(table, name)
    _check_splits(table, name)
    _check_features(table, name)
    _check_labels(table, name)
    _check_sessions(table, name)
    _check_optimum(table, name)


class _Promise(NamedTuple):
    """What no row may break: ``broken`` says which of some rows do, ``said`` what is wrong with one of them."""

    broken: Callable[[slice], NDArray[np.bool_]]
    said: Callable[[int], str]


def _parts(rows: int) -> Iterator[slice]:
    for start in range(0, rows, CHUNK_ROWS):
        yield slice(start, min(start + CHUNK_ROWS, rows))


def _refuse(table: SessionTable, name: str, promises: Sequence[_Promise]) -> None:
    """Raise for the first of ``promises`` that a row breaks, and the first such row, having read the rows once."""
    found = None
    for part in _parts(len(table)):
        for number, promise in enumerate(promises):
            broken = promise.broken(part)
            if broken.any():
                found = promise.said(part.start + int(broken.argmax()))
                # Only a promise before this one could still be named instead of it.
                promises = promises[:number]
                break
    if found is not None:
        raise DataError(f"{name}: {found}")


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
    if len(table.split_sizes) != len(SPLITS) or not _whole(table.split_sizes):
        raise DataError(f"{name}: split_sizes are {table.split_sizes}; they must be the rows of {', '.join(SPLITS)}")
    if not isinstance(table.extra_tests, Mapping) or not _whole(table.extra_tests.values()):
        raise DataError(f"{name}: extra_tests are {table.extra_tests!r}; they must be the rows of test splits by name")
    for split in table.extra_tests:
        if split in SPLITS or not isinstance(split, str) or not _KEBAB.fullmatch(split):
            raise DataError(
                f"{name}: a further test split is called {split!r}; it takes lower-case letters and digits in words "
                f"joined by hyphens, and not {', '.join(SPLITS)}"
            )
    for split, size in table.splits.items():
        if size < 1:
            raise DataError(f"{name}: split {split!r} has {size} rows; every split needs at least one")
    if sum(table.splits.values()) != len(table):
        further = f" and extra_tests {dict(table.extra_tests)}" * bool(table.extra_tests)
        raise DataError(
            f"{name}: split_sizes {table.split_sizes}{further} sum to {sum(table.splits.values())}, "
            f"not {len(table)} rows"
        )
    # A further test split may overlap in time with the valid and the test split, as long as training is over.
    for earlier, later in (*itertools.pairwise(SPLITS), *((SPLITS[0], split) for split in table.extra_tests)):
        last, first = table.timestamp[table.split(earlier)].max(), table.timestamp[table.split(later)].min()
        if last > first:
            raise DataError(f"{name}: timestamp {last} of split {earlier!r} is later than {first} of split {later!r}")


def _whole(sizes: Iterable[Any]) -> bool:
    return all(isinstance(size, (int, np.integer)) for size in sizes)


def _check_features(table: SessionTable, name: str) -> None:
    fields = [_ids_within(table.categorical[:, column], field) for column, field in enumerate(table.schema.categorical)]
    numbers = [_finite(table.numerical[:, column], number) for column, number in enumerate(table.schema.numerical)]
    _refuse(table, name, fields + numbers)


def _ids_within(ids: NDArray[np.int32], field: CategoricalField) -> _Promise:
    return _Promise(
        lambda part: (ids[part] < 0) | (ids[part] >= field.size),
        lambda row: f"categorical {field.name!r} has id {ids[row]} in row {row}; size is {field.size}",
    )


def _finite(values: NDArray[np.float32], number: str) -> _Promise:
    return _Promise(
        lambda part: ~np.isfinite(values[part]),
        lambda row: f"numerical {number!r} is {values[row]} in row {row}; it must be finite",
    )


def _check_labels(table: SessionTable, name: str) -> None:
    promises = []
    for column, task in enumerate(table.schema.tasks):
        promises.append(_zero_or_one(table.labels[:, column], task))
        if table.label_mask is not None:
            promises.append(_zero_where_missing(table.labels[:, column], table.label_mask[:, column], task))
        parent = table.schema.parent_index(column)
        if parent is not None:
            promises.append(_within_parent(table.labels, table.label_mask, column, parent, task))
    _refuse(table, name, promises)


def _zero_or_one(values: NDArray[np.float32], task: Task) -> _Promise:
    return _Promise(
        lambda part: (values[part] != 0) & (values[part] != 1),
        lambda row: f"label of task {task.name!r} is {values[row]:g} in row {row}; it must be 0 or 1",
    )


def _zero_where_missing(values: NDArray[np.float32], known: NDArray[np.bool_], task: Task) -> _Promise:
    return _Promise(
        lambda part: ~known[part] & (values[part] != 0),
        lambda row: f"label of task {task.name!r} is 1 in row {row}, where it is missing; it must be 0",
    )


def _within_parent(
    labels: NDArray[np.float32], mask: NDArray[np.bool_] | None, column: int, parent: int, task: Task
) -> _Promise:
    def above(part: slice) -> NDArray[np.bool_]:
        higher = labels[part, column] > labels[part, parent]
        return np.asarray(higher if mask is None else higher & mask[part, column] & mask[part, parent])

    return _Promise(
        above,
        lambda row: (
            f"label of task {task.name!r} is 1 in row {row} where its parent {task.parent!r} is 0; "
            "a child's label is the joint event"
        ),
    )


def _check_sessions(table: SessionTable, name: str) -> None:
    session, user, time, end = table.session, table.user, table.timestamp, table.session_end
    borders = np.cumsum(list(table.splits.values())) - 1

    def goes_on(part: slice) -> NDArray[np.bool_]:
        """Say of each row whether its session goes on in the next one."""
        after = session[_next(part)]
        on = np.zeros(part.stop - part.start, bool)
        on[: len(after)] = session[part][: len(after)] == after
        on[borders[(borders >= part.start) & (borders < part.stop)] - part.start] = False
        return on

    def earlier_than_before(part: slice) -> NDArray[np.bool_]:
        after = time[_next(part)]
        return np.asarray(goes_on(part)[: len(after)] & (after < time[part][: len(after)]))

    def of_two_users(part: slice) -> NDArray[np.bool_]:
        after = user[_next(part)]
        return np.asarray(goes_on(part)[: len(after)] & (after != user[part][: len(after)]))

    numbers = [
        _not_negative("session", session),
        _not_negative("user", user),
        _Promise(
            lambda part: end[part] > 2, lambda row: f"session_end is {end[row]} in row {row}; it must be 0, 1 or 2"
        ),
    ]
    _refuse(table, name, numbers)
    _check_contiguous(table, name, lambda part: session[part][~goes_on(part)])
    steps = [
        _Promise(
            lambda part: (end[part] == 0) != goes_on(part),
            lambda row: (
                f"session_end is {end[row]} in row {row}, where session {session[row]} "
                f"{'goes on' if end[row] else 'ends'}"
            ),
        ),
        _Promise(
            earlier_than_before,
            lambda row: f"timestamp {time[row + 1]} in row {row + 1} is earlier than the row before it",
        ),
        _Promise(
            of_two_users,
            lambda row: f"session {session[row]} has two users, {user[row]} and {user[row + 1]}",
        ),
    ]
    _refuse(table, name, steps)


def _next(part: slice) -> slice:
    """Return the rows after those of ``part``: one fewer where these are the last."""
    return slice(part.start + 1, part.stop + 1)


def _not_negative(column: str, values: NDArray[np.int32]) -> _Promise:
    return _Promise(
        lambda part: values[part] < 0,
        lambda row: f"{column} is {values[row]} in row {row}; it must not be negative",
    )


def _check_contiguous(table: SessionTable, name: str, ended: Callable[[slice], NDArray[np.int32]]) -> None:
    """Raise if a session ends twice; ``ended`` returns the sessions that end within some rows."""
    highest = -1
    for part in _parts(len(table)):
        ids = ended(part)
        if len(ids) and (ids[0] <= highest or (ids[1:] <= ids[:-1]).any()):
            break
        highest = int(ids[-1]) if len(ids) else highest
    else:
        return
    # Ids that do not rise are allowed, and have to be sorted to find one that comes back: one id a session.
    ids = np.concatenate([ended(part) for part in _parts(len(table))])
    ids.sort()
    again = ids[1:] == ids[:-1]
    if again.any():
        raise DataError(f"{name}: session {ids[int(again.argmax())]} is not contiguous, or stands in two splits")


def _check_optimum(table: SessionTable, name: str) -> None:
    if table.optimum is None:
        return
    tasks = [_probability(table.optimum[:, column], task) for column, task in enumerate(table.schema.tasks)]
    _refuse(table, name, tasks)


def _probability(values: NDArray[np.float32], task: Task) -> _Promise:
    return _Promise(
        lambda part: ~((values[part] >= 0) & (values[part] <= 1)),
        lambda row: f"optimum of task {task.name!r} is {values[row]:g} in row {row}; it must be in [0, 1]",
    )
