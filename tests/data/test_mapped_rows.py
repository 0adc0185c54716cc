from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench.contracts.errors import DataError
from rmtl_bench.data import columns, mapped_rows
from rmtl_bench.data.mapped_rows import MappedRows
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.data.storage import load_table, save_table
from rmtl_bench.training.order import BlockBatches

CPU = torch.device("cpu")
SPLITS = ("train", "valid", "test")
WHOLE = ("labels", "label_mask", "session_end", "optimum")


@pytest.fixture(scope="module")
def stored(make_table, tmp_path_factory):
    """The table as it is after its preparation: memory maps of files."""
    folder = tmp_path_factory.mktemp("prepared") / "table"
    save_table(make_table(), folder)
    return load_table(folder)


@pytest.fixture(scope="module")
def wide(make_table, tmp_path_factory):
    """A stored table of 480 rows to train on."""
    table = make_table()
    many = {name: np.repeat(getattr(table, name), 80, axis=0) for name in ("categorical", "numerical", "labels")}
    many |= {name: np.arange(960, dtype=np.int32) for name in ("session", "user")}
    many |= {"label_mask": np.repeat(table.label_mask, 80, axis=0), "session_end": np.ones(960, np.uint8)}
    folder = tmp_path_factory.mktemp("prepared") / "wide"
    given = replace(table, **many, timestamp=np.arange(960), optimum=None, split_sizes=(480, 240, 240))
    save_table(given, folder)
    return load_table(folder)


def assert_same_batch(found, expected):
    for name in (*mapped_rows.OF_BATCHES, "rows"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None), name
        if one is not None:
            assert one.dtype == other.dtype, name
            assert torch.equal(one, other), name


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("size", [1, 2, 4, 100])
def test_batches_in_order_are_those_of_resident_rows(stored, split, size):
    found, expected = (list(kind(stored, split, CPU).batches(size)) for kind in (MappedRows, DeviceRows))
    for one, other in zip(found, expected, strict=True):
        assert_same_batch(one, other)


@pytest.mark.parametrize("split", SPLITS)
def test_columns_looked_at_as_a_whole_are_those_of_resident_rows(stored, split):
    found, expected = (kind(stored, split, CPU) for kind in (MappedRows, DeviceRows))
    assert len(found) == len(expected)
    for name in WHOLE:
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    without = MappedRows(replace(stored, label_mask=None, optimum=None), split, CPU)
    assert without.label_mask is None
    assert without.optimum is None
    assert next(without.batches(3)).label_mask is None


@settings(deadline=None)
@given(st.data())
def test_a_batch_is_that_of_resident_rows_whatever_blocks_are_held(stored, data):
    rows = MappedRows(stored, "train", CPU)
    for place in range(2):
        starts = data.draw(st.lists(st.sampled_from([0, 2, 4]), unique=True))
        rows.hold([range(start, start + 2) for start in starts], place)
    chosen = torch.tensor(data.draw(st.lists(st.integers(0, 5), max_size=9)), dtype=torch.int64)
    expected = DeviceRows(stored, "train", CPU)
    assert_same_batch(rows.batch(chosen), expected.batch(chosen))
    both = torch.stack([chosen, chosen.flip(0)])
    assert_same_batch(rows.batch(both), expected.batch(both))


def test_a_table_that_is_no_memory_map_can_be_read_too(table):
    rows, expected = (kind(table, "valid", CPU) for kind in (MappedRows, DeviceRows))
    rows.hold([range(1, 3)])
    chosen = torch.tensor([2, 0, 1])
    assert_same_batch(rows.batch(chosen), expected.batch(chosen))
    assert_same_batch(next(rows.batches(2)), next(expected.batches(2)))


def test_columns_stored_in_another_order_are_read_right(table, tmp_path):
    save_table(replace(table, labels=np.asfortranarray(table.labels)), tmp_path / "t")
    again = load_table(tmp_path / "t")
    assert again.labels.flags.f_contiguous
    found, expected = (kind(again, "test", CPU).batches(2) for kind in (MappedRows, DeviceRows))
    for one, other in zip(found, expected, strict=True):
        assert_same_batch(one, other)


def test_an_epoch_by_blocks_reads_every_byte_once_and_holds_one_window(wide, monkeypatch):
    read, looked_up, held = Counter(), Counter(), []

    class Counting(columns.Column):
        def read(self, start, stop, into=None):
            read.update({(self.row_bytes, row): 1 for row in range(start, stop)})
            return super().read(start, stop, into)

        def gather(self, rows):
            looked_up.update(rows.tolist())
            return super().gather(rows)

    monkeypatch.setattr(mapped_rows, "Column", Counting)
    rows = MappedRows(wide, "train", CPU)
    row_bytes = 2 * 4 + 4 + 2 * 4 + 2 + 4 + 4
    for batch in BlockBatches(rows, [7], batch_size=50, block_rows=16, window=4, stacked=False):
        held.append(rows.held_bytes)
        assert_same_batch(rows.batch(batch), DeviceRows(wide, "train", CPU).batch(batch))
    assert max(held) == 4 * 16 * row_bytes
    assert rows.held_bytes == 0
    # Five columns of one width each, or several of the same: every row of each is read as often as there are such.
    assert sum(width for width, _ in read.elements()) == 480 * row_bytes
    # A batch that takes the last rows of a window finds them on the disk when the next one is held: fewer than 50.
    assert sum(looked_up.values()) <= 6 * 49 * 7


def test_several_seeds_hold_a_window_each(wide):
    rows = MappedRows(wide, "train", CPU)
    expected = DeviceRows(wide, "train", CPU)
    for batch in BlockBatches(rows, [1, 2, 3], batch_size=64, block_rows=16, window=2, stacked=True):
        assert batch.shape[0] == 3
        assert rows.held_bytes == 3 * 2 * 16 * 30
        assert_same_batch(rows.batch(batch), expected.batch(batch))
    assert rows.held_bytes == 0


def test_a_file_that_lost_its_end_is_named(table, tmp_path):
    save_table(table, tmp_path / "t")
    rows = MappedRows(load_table(tmp_path / "t"), "test", CPU)
    path = tmp_path / "t" / "categorical.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"categorical\.npy: ends 8 bytes before the rows"):
        rows.hold([range(3)])
