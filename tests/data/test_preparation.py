from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rmtl_bench.contracts import Component, Dataset, scratch_array
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.data import preparation
from rmtl_bench.data.preparation import (
    default_cache_dir,
    default_data_dir,
    fingerprint,
    known_fingerprint,
    prepare,
    prepared_folders,
)
from rmtl_bench.data.storage import load_table

SHOP = Component("shop", "the shop", 1, "shops", "1.0", {"rows": 10, "rates": (0.1, 0.2)})


class Files(Dataset):
    """Reads every .csv below the data folder, and counts how often it is built."""

    def __init__(self, table=None, more=()):
        self.table = table
        self.more = more
        self.built = 0

    def raw_files(self, data_dir):
        return [*data_dir.rglob("*.csv"), *(data_dir / name for name in self.more)]

    def build(self, data_dir, scratch):
        self.built += 1
        return self.table


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "events.csv").write_text("a,b\n1,2\n")
    (folder / "items.csv").write_text("item\n7\n")
    return folder


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def found(raw, cache):
    """The fingerprint of the files, with some of what it depends on changed."""

    def make(data_dir=raw, **changes):
        return fingerprint(Files(), replace(SHOP, **changes), data_dir, cache)

    return make


def settle(*files, seconds=100):
    """Make files look as if they had not been touched for a while."""
    for file in files:
        then = file.stat().st_mtime - seconds
        os.utime(file, (then, then))


def test_a_fingerprint_is_sixteen_digits_and_always_the_same(found):
    assert len(found()) == 16
    assert int(found(), 16) >= 0
    assert found() == found()


def test_it_changes_with_the_content_of_a_file_and_back(found, raw):
    before = found()
    (raw / "items.csv").write_text("item\n8\n")
    changed = found()
    (raw / "items.csv").write_text("item\n7\n")
    assert changed != before == found()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "shop2"},
        {"version": 2},
        {"distribution_version": "1.0.1"},
        {"parameters": {"rows": 11, "rates": (0.1, 0.2)}},
        {"parameters": {"rows": 10, "rates": (0.2, 0.1)}},
        {"parameters": {}},
    ],
)
def test_it_changes_with_everything_that_decides_the_numbers(found, changes):
    assert found(**changes) != found()


def test_it_changes_with_another_file_and_with_a_files_name(found, raw):
    seen = {found()}
    (raw / "more.csv").write_text("")
    seen.add(found())
    (raw / "more.csv").rename(raw / "most.csv")
    seen.add(found())
    assert len(seen) == 3


def test_it_depends_on_neither_place_nor_time(found, raw, tmp_path):
    before = found()
    settle(*raw.iterdir())
    elsewhere = raw.rename(tmp_path / "else where")
    assert found(data_dir=elsewhere) == before


def test_it_depends_on_no_order_of_parameters(found):
    assert found(parameters={"rates": [0.1, 0.2], "rows": 10}) == found()


def test_a_large_file_is_hashed_once(found, raw, monkeypatch):
    settle(*raw.iterdir())
    before = found()
    read = []
    hash_of = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: read.append(file.name) or hash_of(file, name))
    assert found() == before
    assert read == []
    settle(raw / "events.csv", seconds=-10)
    assert found() == before
    assert [Path(name).name for name in read] == ["events.csv"]


def test_a_file_touched_just_now_is_read_again(found, raw):
    """Its time stamp may stay the same although it changes once more."""
    path = raw / "items.csv"
    before = found()
    stamp = path.stat().st_mtime_ns
    path.write_text("item\n8\n")
    os.utime(path, ns=(stamp, stamp))
    assert found() != before


@pytest.mark.parametrize("memory", ["{", "[]", '{"a": 3}', "\udcff"])
def test_a_damaged_memory_of_hashes_only_costs_time(found, raw, cache, memory):
    settle(*raw.iterdir())
    before = found()
    (cache / "raw-file-hashes.json").write_bytes(memory.encode("utf-8", "surrogateescape"))
    assert found() == before


def test_a_file_that_cannot_be_read_is_named(raw, cache):
    with pytest.raises(DataError, match=r"nowhere\.txt: cannot be read"):
        fingerprint(Files(more=["nowhere.txt"]), SHOP, raw, cache)


@pytest.fixture
def prepared(raw, cache):
    """Prepare a data set, and return the folder of its table."""

    def make(dataset, **changes):
        component = replace(SHOP, **changes)
        return prepare(dataset, fingerprint(dataset, component, raw, cache), component, raw, cache)

    return make


def left_in(cache):
    return [path.name for path in (cache / "prepared").iterdir()]


def test_a_table_is_built_once(table, prepared, assert_same):
    dataset = Files(table)
    first = prepared(dataset)
    assert prepared(dataset) == first
    assert dataset.built == 1
    assert_same(load_table(first), table)


def test_another_fingerprint_is_another_table(table, raw, cache, prepared):
    dataset = Files(table)
    folders = [prepared(dataset), prepared(dataset, version=2)]
    (raw / "items.csv").write_text("item\n8\n")
    folders.append(prepared(dataset))
    assert len(set(folders)) == dataset.built == 3
    assert prepared_folders("shop", cache) == sorted(folders)


def test_the_tables_of_a_data_set_are_not_those_of_one_whose_name_goes_on(table, cache, prepared):
    folder = prepared(Files(table))
    prepared(Files(table), name="shop-sample")
    assert prepared_folders("shop", cache) == [folder]


def test_a_table_that_breaks_a_promise_is_not_kept(table, cache, prepared):
    with pytest.raises(DataError, match="shop: split_sizes"):
        prepared(Files(replace(table, split_sizes=(6, 3, 2))))
    assert left_in(cache) == []


def test_a_raw_file_that_changes_while_it_is_read_is_an_error(table, raw, cache, prepared):
    class Touched(Files):
        def build(self, data_dir, scratch):
            (raw / "items.csv").write_text("item\n9\n")
            return super().build(data_dir, scratch)

    with pytest.raises(DataError, match="shop: a raw file changed while it was read"):
        prepared(Touched(table))
    assert left_in(cache) == []


def test_memory_maps_in_the_scratch_folder_are_moved(table, cache, prepared, assert_same):
    class Mapped(Files):
        def build(self, data_dir, scratch):
            labels = scratch_array(scratch, "labels", np.float32, table.labels.shape)
            labels[:] = table.labels
            self.inode = Path(labels.filename).stat().st_ino
            return replace(table, labels=labels)

    dataset = Mapped(table)
    folder = prepared(dataset)
    assert_same(load_table(folder), table)
    assert (folder / "labels.npy").stat().st_ino == dataset.inode
    assert left_in(cache) == [folder.name]


def test_a_killed_preparation_leaves_nothing_that_loads_and_is_cleared_away(table, raw, cache, prepared, tmp_path):
    program = tmp_path / "killed.py"
    program.write_text(
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from rmtl_bench.contracts import Component, Dataset\n"
        "from rmtl_bench.data.preparation import prepare\n"
        "class Killed(Dataset):\n"
        "    def build(self, data_dir, scratch):\n"
        "        (scratch / 'half.npy').write_bytes(b'half')\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "component = Component('shop', 'shop', 1, 'shops', '1.0', {})\n"
        "prepare(Killed(), '0' * 16, component, Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    assert subprocess.run([sys.executable, program, raw, cache]).returncode == -signal.SIGKILL
    assert len(left_in(cache)) == 2
    assert prepared_folders("shop", cache) == []
    folder = prepared(Files(table))
    assert left_in(cache) == [folder.name]


def test_of_two_at_once_one_builds_and_the_other_waits(table, prepared):
    class Slow(Files):
        def build(self, data_dir, scratch):
            time.sleep(0.2)
            return super().build(data_dir, scratch)

    dataset = Slow(table)
    with ThreadPoolExecutor() as pool:
        folders = {future.result() for future in [pool.submit(prepared, dataset) for _ in range(3)]}
    assert (len(folders), dataset.built) == (1, 1)


def test_a_fingerprint_is_known_where_every_raw_file_was_read_before(raw, cache):
    settle(*raw.iterdir())
    assert known_fingerprint(Files(), SHOP, raw, cache) is None
    digits = fingerprint(Files(), SHOP, raw, cache)
    assert known_fingerprint(Files(), SHOP, raw, cache) == digits
    (raw / "items.csv").write_text("item\n10\n")
    assert known_fingerprint(Files(), SHOP, raw, cache) is None


def test_a_cache_that_cannot_be_written_is_named(table, cache, prepared):
    cache.mkdir()
    (cache / "prepared").write_text("a file, where a folder should be")
    with pytest.raises(DataError, match="shop: cannot write the prepared table to"):
        prepared(Files(table))


@pytest.mark.parametrize(
    ("variable", "default"), [("RMTL_BENCH_DATA", default_data_dir), ("RMTL_BENCH_CACHE", default_cache_dir)]
)
def test_the_environment_says_where_data_are(variable, default, monkeypatch, tmp_path):
    monkeypatch.setenv(variable, str(tmp_path))
    assert default() == tmp_path
    monkeypatch.delenv(variable)
    assert "rmtl-bench" in str(default())
    assert default() != tmp_path


def test_the_storages_format_is_a_part_of_the_fingerprint(found, monkeypatch):
    before = found()
    monkeypatch.setattr(preparation, "FORMAT", 999)
    assert found() != before
