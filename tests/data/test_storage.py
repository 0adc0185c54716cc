from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest

from rmtl_bench.contracts.errors import DataError
from rmtl_bench.data.storage import load_table, save_table


@pytest.fixture
def saved(table, tmp_path):
    folder = tmp_path / "tables" / "tiny"
    save_table(table, folder)
    return folder


def test_a_table_comes_back_as_it_was_saved(table, saved, assert_same):
    assert_same(load_table(saved), table)


@pytest.mark.parametrize(
    "without",
    [
        {"label_mask": None, "optimum": None},
        {"numerical": np.empty((12, 0), np.float32)},
        {"notes": {"gr\u00f6\u00dfe": [1, 2], "none": None}},
    ],
)
def test_what_a_table_lacks_it_lacks_when_it_comes_back(table, without, tmp_path, assert_same):
    less = replace(table, **without)
    save_table(less, tmp_path / "less")
    assert_same(load_table(tmp_path / "less"), less)


def test_split_sizes_may_be_numbers_of_numpy(table, tmp_path):
    save_table(replace(table, split_sizes=tuple(np.array([6, 3, 3]))), tmp_path / "t")
    assert load_table(tmp_path / "t").split_sizes == (6, 3, 3)


def test_the_arrays_are_memory_maps_that_cannot_be_written(saved):
    labels = load_table(saved).labels
    assert isinstance(labels, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        labels[0, 0] = 1


def test_nothing_but_the_table_is_left_in_its_place(saved):
    assert [path.name for path in saved.parent.iterdir()] == ["tiny"]


def test_what_stands_there_already_is_kept(table, saved, assert_same):
    save_table(replace(table, notes={"second": True}), saved)
    assert_same(load_table(saved), table)
    assert [path.name for path in saved.parent.iterdir()] == ["tiny"]


def test_a_table_that_cannot_be_written_leaves_nothing(table, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="no space"):
        save_table(table, tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []


def test_many_may_save_the_same_table_at_once(table, tmp_path, assert_same):
    folder, errors = tmp_path / "tiny", []
    barrier = threading.Barrier(6)

    def save():
        barrier.wait()
        try:
            save_table(table, folder)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=save) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert_same(load_table(folder), table)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def _edit(**changes):
    def damage(folder):
        path = folder / "table.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


DAMAGE = {
    "gone": shutil.rmtree,
    "no description": lambda f: (f / "table.json").unlink(),
    "half a description": lambda f: (f / "table.json").write_text((f / "table.json").read_text()[:40]),
    "another description": lambda f: (f / "table.json").write_text("[]"),
    "description of bytes": lambda f: (f / "table.json").write_bytes(b"\xff\xfe"),
    "another schema": _edit(schema=[]),
    "an array is not listed": _edit(arrays=["labels"]),
    "more rows than arrays": _edit(rows=13),
    "another format": _edit(format=99),
    "no array": lambda f: (f / "user.npy").unlink(),
    "an empty array": lambda f: (f / "user.npy").write_bytes(b""),
    "a truncated array": lambda f: (f / "user.npy").write_bytes((f / "user.npy").read_bytes()[:-1]),
    "half a header": lambda f: (f / "user.npy").write_bytes((f / "user.npy").read_bytes()[:20]),
    "no array at all": lambda f: (f / "user.npy").write_text("PK\x03\x04"),
    "an array of zero bytes": lambda f: (f / "user.npy").write_bytes(bytes(176)),
    "fewer rows": lambda f: np.save(f / "user.npy", np.zeros(11, np.int32)),
    "an array of objects": lambda f: np.save(f / "user.npy", np.array([None] * 12), allow_pickle=True),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_folder_is_an_error_that_names_it(saved, damage):
    damage(saved)
    with pytest.raises(DataError) as error:
        load_table(saved)
    assert str(saved) in str(error.value)
    assert "\n" not in str(error.value)
