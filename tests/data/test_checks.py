"""Every promise of a session table, broken one at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rmtl_bench.contracts import Schema, Task
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.data.checks import check_table


def put(column, index, value):
    """The mutation that puts one value into one column."""

    def mutate(table):
        getattr(table, column)[index] = value
        return table

    return mutate


def given(**columns):
    """The mutation that replaces whole columns; a callable gets the old one."""

    def mutate(table):
        new = {name: value(getattr(table, name)) if callable(value) else value for name, value in columns.items()}
        return replace(table, **new)

    return mutate


def refused(table):
    with pytest.raises(DataError) as error:
        check_table(table, "tiny")
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith("tiny: ")
    return text


def test_a_valid_table_passes(table):
    check_table(table, "tiny")


@pytest.mark.parametrize(
    "without",
    [
        {"label_mask": None},
        {"optimum": None},
        {"notes": {}},
        {"split_sizes": (np.int64(6), np.int64(3), np.int64(3))},
        {"numerical": np.empty((12, 0), np.float32), "schema": lambda s: replace(s, numerical=())},
    ],
)
def test_a_table_needs_no_more_than_it_promises(table, without):
    check_table(given(**without)(table), "tiny")


@pytest.mark.parametrize(
    ("mutate", "said"),
    [
        (
            given(categorical=lambda a: a.astype(np.int64)),
            "categorical is int64 (12, 2); it must be int32 (12, 2)",
        ),
        (given(numerical=lambda a: a.astype(np.float64)), "numerical is float64"),
        (given(labels=lambda a: a.astype(bool)), "labels is bool"),
        (given(label_mask=lambda a: a.astype(np.uint8)), "label_mask is uint8"),
        (given(session=lambda a: a[:-1]), "session is int32 (11,); it must be int32 (12,)"),
        (given(user=lambda a: a[:, None]), "user is int32 (12, 1)"),
        (given(timestamp=lambda a: a.astype(np.float64)), "timestamp is float64"),
        (given(session_end=lambda a: a.astype(bool)), "session_end is bool"),
        (given(optimum=lambda a: a[:, :1]), "optimum is float32 (12, 1)"),
        (given(schema=lambda s: replace(s, numerical=("price", "size"))), "numerical is float32 (12, 1)"),
        (given(schema=lambda s: replace(s, tasks=(Task("click"),))), "labels is float32 (12, 2)"),
        (given(categorical=None), "categorical is a NoneType; it must be an array"),
        (given(user=lambda a: a.tolist()), "user is a list; it must be an array"),
    ],
)
def test_an_array_of_another_type_or_shape_is_refused(table, mutate, said):
    assert said in refused(mutate(table))


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((6, 3, 2), "split_sizes (6, 3, 2) sum to 11, not 12 rows"),
        ((9, 3, 0), "split 'test' has 0 rows"),
        ((13, -4, 3), "split 'valid' has -4 rows"),
        ((9, 3), "split_sizes are (9, 3); they must be the rows of train, valid, test"),
        ((6.0, 3.0, 3.0), "they must be the rows of train, valid, test"),
    ],
)
def test_splits_have_rows_and_are_all_of_them(table, sizes, said):
    assert said in refused(replace(table, split_sizes=sizes))


@pytest.mark.parametrize(
    ("mutate", "said"),
    [
        (put("timestamp", 5, 51), "timestamp 51 of split 'train' is later than 50 of split 'valid'"),
        (put("timestamp", 7, 81), "timestamp 81 of split 'valid' is later than 80 of split 'test'"),
        (put("categorical", (4, 1), 3), "categorical 'hour' has id 3 in row 4; size is 3"),
        (put("categorical", (2, 0), -1), "categorical 'item' has id -1 in row 2"),
        (put("numerical", (3, 0), np.nan), "numerical 'price' is nan in row 3; it must be finite"),
        (put("numerical", (3, 0), np.inf), "numerical 'price' is inf in row 3"),
        (put("labels", (1, 0), 0.5), "label of task 'click' is 0.5 in row 1; it must be 0 or 1"),
        (put("labels", (1, 1), np.nan), "label of task 'pay' is nan in row 1"),
        (put("labels", (1, 1), 1), "label of task 'pay' is 1 in row 1 where its parent 'click' is 0"),
        (put("labels", (4, 0), 1), "label of task 'click' is 1 in row 4, where it is missing; it must be 0"),
        (put("session", 0, -1), "session is -1 in row 0; it must not be negative"),
        (put("user", 8, -3), "user is -3 in row 8; it must not be negative"),
        (put("session", 5, 0), "session 0 is not contiguous, or stands in two splits"),
        (put("session", 8, 5), "session 5 is not contiguous, or stands in two splits"),
        (put("session_end", 8, 3), "session_end is 3 in row 8; it must be 0, 1 or 2"),
        (put("session_end", 0, 1), "session_end is 1 in row 0, where session 0 goes on"),
        (put("session_end", 4, 0), "session_end is 0 in row 4, where session 1 ends"),
        (put("session_end", 5, 0), "session_end is 0 in row 5, where session 2 ends"),
        (put("timestamp", 4, 19), "timestamp 19 in row 4 is earlier than the row before it"),
        (put("user", 3, 7), "session 1 has two users, 3 and 7"),
        (put("optimum", (6, 1), 1.5), "optimum of task 'pay' is 1.5 in row 6; it must be in [0, 1]"),
        (put("optimum", (6, 0), np.nan), "optimum of task 'click' is nan in row 6"),
        (given(notes={"seen": np.float32(1)}), "notes cannot be written as JSON"),
    ],
)
def test_a_broken_promise_is_one_line_with_column_value_and_row(table, mutate, said):
    assert said in refused(mutate(table))


def test_a_child_may_be_known_where_its_parent_is_missing(table):
    table.labels[4, 1] = 1
    check_table(table, "tiny")
    table.label_mask[4, 0] = True
    assert "row 4 where its parent 'click' is 0" in refused(table)


def test_tasks_without_parents_may_exceed_each_other(table):
    table.labels[1, 1] = 1
    unrelated = replace(table, schema=Schema(table.schema.categorical, ("price",), (Task("click"), Task("like"))))
    check_table(unrelated, "tiny")
