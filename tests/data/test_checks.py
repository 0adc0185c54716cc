"""Every promise of a session table, broken one at a time."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from rmtl_bench.contracts import CategoricalField, Schema, SessionTable, Task
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.data import checks
from rmtl_bench.data.checks import check_table


@pytest.fixture(autouse=True, params=[checks.CHUNK_ROWS, 5, 1])
def chunk_rows(request, monkeypatch):
    """However many rows are looked at at once, the same is said."""
    monkeypatch.setattr(checks, "CHUNK_ROWS", request.param)
    return request.param


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


def test_of_several_broken_promises_the_first_is_named_with_its_first_row(table):
    table.numerical[0] = np.nan
    table.categorical[1, 1] = 9
    table.categorical[[11, 9], 0] = 7
    assert "categorical 'item' has id 7 in row 9" in refused(table)


def with_extra_tests(**columns):
    """Test rows become two further test splits, of two and one rows."""

    def mutate(table):
        table.session[10:] = [6, 7]
        table.session_end[9:] = 1
        return replace(table, split_sizes=(6, 3, 1), **({"extra_tests": {"random-exposure": 1, "x2": 1}} | columns))

    return mutate


def test_a_table_may_have_further_test_splits(table):
    check_table(with_extra_tests()(table), "tiny")
    # Only the training has to be over before one begins.
    table.timestamp[10:] = table.timestamp[:6].max()
    check_table(with_extra_tests()(table), "tiny")


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"random-exposure": 2, "late": 0}, "split 'late' has 0 rows; every split needs at least one"),
        ({"random-exposure": 3, "late": -1}, "split 'late' has -1 rows"),
        (
            {"late": 1},
            "split_sizes (6, 3, 1) and extra_tests {'late': 1} sum to 11, not 12 rows",
        ),
        ({"late": 3}, "sum to 13, not 12 rows"),
        ({"late": 2.0}, "extra_tests are {'late': 2.0}; they must be the rows of test splits by name"),
        ((("late", 2),), "extra_tests are (('late', 2),); they must be"),
        (None, "extra_tests are None; they must be"),
        *(
            ({name: 2}, f"a further test split is called {name!r}; it takes lower-case letters and digits")
            for name in (
                "train",
                "valid",
                "test",
                "",
                "Late",
                "random_exposure",
                "late-",
                "-late",
                "a--b",
                "a b",
                "a\n",
            )
        ),
        ({7: 2}, "a further test split is called 7;"),
    ],
)
def test_further_test_splits_have_names_and_rows_of_their_own(table, extra, said):
    assert said in refused(with_extra_tests(extra_tests=extra)(table))


@pytest.mark.parametrize(
    ("mutate", "said"),
    [
        (put("timestamp", 10, 49), "timestamp 50 of split 'train' is later than 49 of split 'random-exposure'"),
        (put("timestamp", 11, 49), "timestamp 50 of split 'train' is later than 49 of split 'x2'"),
        (put("session", 10, 5), "session 5 is not contiguous, or stands in two splits"),
        (put("session", 11, 6), "session 6 is not contiguous, or stands in two splits"),
        (put("session", 11, 0), "session 0 is not contiguous, or stands in two splits"),
        (put("session_end", 9, 0), "session_end is 0 in row 9, where session 5 ends"),
        (put("session_end", 10, 0), "session_end is 0 in row 10, where session 6 ends"),
    ],
)
def test_further_test_splits_keep_the_promises_of_splits(table, mutate, said):
    assert said in refused(mutate(with_extra_tests()(table)))


def test_session_ids_need_not_rise(table):
    table.session[:] = 9 - table.session
    check_table(table, "tiny")
    table.session[5] = 9
    assert "session 9 is not contiguous" in refused(table)


def test_a_table_is_checked_without_another_array_of_all_its_rows(monkeypatch):
    monkeypatch.setattr(checks, "CHUNK_ROWS", 1_000)
    rows = 100_000
    table = SessionTable(
        schema=Schema((CategoricalField("item", 2),), ("price",), (Task("click"), Task("pay", parent="click"))),
        categorical=np.zeros((rows, 1), np.int32),
        numerical=np.zeros((rows, 1), np.float32),
        labels=np.zeros((rows, 2), np.float32),
        label_mask=np.ones((rows, 2), np.bool_),
        session=np.arange(rows, dtype=np.int32) // 2,
        user=np.arange(rows, dtype=np.int32) // 4,
        timestamp=np.arange(rows, dtype=np.int64),
        session_end=(np.arange(rows) % 2).astype(np.uint8),
        split_sizes=(rows - 4, 2, 2),
        optimum=np.full((rows, 2), 0.5, np.float32),
    )
    tracemalloc.start()
    try:
        check_table(table, "large")
        assert tracemalloc.get_traced_memory()[1] < rows
    finally:
        tracemalloc.stop()
