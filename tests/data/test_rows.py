from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.data.storage import load_table, save_table

CPU = torch.device("cpu")
COLUMNS = ("categorical", "numerical", "labels", "label_mask", "session", "user")


@pytest.mark.parametrize("split", ["train", "valid", "test"])
@pytest.mark.parametrize("size", [1, 2, 4, 100])
def test_the_batches_of_a_split_are_its_rows_in_order(table, split, size):
    rows = DeviceRows(table, split, CPU)
    batches = list(rows.batches(size))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    for column in COLUMNS:
        together = torch.cat([getattr(batch, column) for batch in batches]).numpy()
        expected = getattr(table, column)[table.split(split)]
        assert together.dtype == expected.dtype
        np.testing.assert_array_equal(together, expected, err_msg=column)
    np.testing.assert_array_equal(torch.cat([batch.rows for batch in batches]), np.arange(len(rows)))


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=9))
def test_a_batch_is_the_rows_asked_for(make_table, chosen):
    table = make_table()
    batch = DeviceRows(table, "train", CPU).batch(torch.tensor(chosen, dtype=torch.int64))
    assert batch.rows.tolist() == chosen
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(batch, column), getattr(table, column)[:6][chosen], err_msg=column)


def test_rows_of_one_split_are_counted_from_its_beginning(table):
    batch = DeviceRows(table, "test", CPU).batch(torch.tensor([0]))
    assert batch.session.tolist() == [5]


def test_the_ends_of_sessions_are_the_splits(table):
    rows = DeviceRows(table, "train", CPU)
    assert rows.session_end.tolist() == [0, 1, 0, 0, 1, 2]
    assert len(rows) == 6


def test_without_missing_labels_there_is_no_mask(table):
    rows = DeviceRows(replace(table, label_mask=None), "valid", CPU)
    assert rows.label_mask is None
    assert next(rows.batches(2)).label_mask is None


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_true_probabilities_are_the_splits_and_none_where_they_are_unknown(table, split):
    known = np.linspace(0, 1, 24, dtype=np.float32).reshape(12, 2)
    rows = DeviceRows(replace(table, optimum=known), split, CPU)
    assert rows.optimum.dtype == torch.float32
    np.testing.assert_array_equal(rows.optimum, known[table.split(split)])
    assert DeviceRows(replace(table, optimum=None), split, CPU).optimum is None


def test_a_memory_mapped_table_is_copied(table, tmp_path):
    save_table(table, tmp_path / "t")
    rows = DeviceRows(load_table(tmp_path / "t"), "train", CPU)
    rows.labels.zero_()
    np.testing.assert_array_equal(load_table(tmp_path / "t").labels, table.labels)
