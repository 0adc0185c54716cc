from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rmtl_bench.contracts import CategoricalField, Schema, SessionTable, Task

ARRAYS = ("categorical", "numerical", "labels", "label_mask", "session", "user", "timestamp", "session_end", "optimum")


@pytest.fixture(scope="session")
def make_table() -> Callable[[], SessionTable]:
    """A valid table of twelve rows with everything a table can have: each call returns arrays of its own.

    Train has sessions of 2, 3 and 1 rows, of which the last is cut by the split; valid 2 and 1; test 3.
    """

    def make() -> SessionTable:
        click = [1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 1]
        pay = [1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0]
        mask = np.ones((12, 2), dtype=np.bool_)
        mask[4, 0] = mask[9, 1] = False
        return SessionTable(
            schema=Schema(
                (CategoricalField("item", 5), CategoricalField("hour", 3)),
                ("price",),
                (Task("click"), Task("pay", parent="click", description="an order")),
            ),
            categorical=np.array([[i % 5, i % 3] for i in range(12)], dtype=np.int32),
            numerical=np.linspace(-1, 1, 12, dtype=np.float32)[:, None],
            labels=np.array([click, pay], dtype=np.float32).T.copy(),
            label_mask=mask,
            session=np.array([0, 0, 1, 1, 1, 2, 3, 3, 4, 5, 5, 5], dtype=np.int32),
            user=np.array([7, 7, 3, 3, 3, 7, 7, 7, 9, 3, 3, 3], dtype=np.int32),
            # Sessions of one split overlap in time; splits do not.
            timestamp=np.array([10, 30, 20, 20, 40, 50, 50, 70, 60, 80, 90, 90], dtype=np.int64),
            session_end=np.array([0, 1, 0, 0, 1, 2, 0, 1, 1, 0, 0, 1], dtype=np.uint8),
            split_sizes=(6, 3, 3),
            optimum=np.array([[0.5, 0.25]] * 12, dtype=np.float32),
            notes={"rows dropped": 3},
        )

    return make


@pytest.fixture
def table(make_table) -> SessionTable:
    return make_table()


@pytest.fixture(scope="session")
def assert_same() -> Callable[[SessionTable, SessionTable], None]:
    """Assert that two tables say the same, to the bit."""

    def check(found: SessionTable, expected: SessionTable) -> None:
        for name in ARRAYS:
            a, b = getattr(found, name), getattr(expected, name)
            if b is None:
                assert a is None, name
                continue
            assert a.dtype == b.dtype, name
            np.testing.assert_array_equal(a, b, err_msg=name)
        assert found.schema == expected.schema
        assert found.split_sizes == expected.split_sizes
        assert found.notes == expected.notes

    return check
