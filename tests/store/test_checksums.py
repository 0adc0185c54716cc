"""Checksums are written with every run that is published, and tell what has changed since."""

from __future__ import annotations

import errno
import hashlib
import json
import os

import pytest

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store import layout
from rmtl_bench.store.checksums import cut_short, faults, read_checksums, read_sizes, unlisted


def test_a_published_run_has_the_checksum_of_each_of_its_files(store, publish):
    run = publish(store, 0)
    data = json.loads((run / "checksums.json").read_text())
    assert data["format"] == 1
    names = ["environment.json", "metrics.parquet", "run.json"]
    assert list(data["sha256"]) == names
    assert data["sha256"] == {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in names}
    assert read_checksums(run) == data["sha256"]
    assert list(faults(run, data["sha256"])) == unlisted(run, data["sha256"]) == []


def test_what_has_changed_since_is_told(store, publish):
    run = publish(store, 0)
    known = read_checksums(run)
    (run / "environment.json").unlink()
    content = bytearray((run / "metrics.parquet").read_bytes())
    content[40] ^= 1
    (run / "metrics.parquet").write_bytes(content)
    (run / "notes.txt").write_text("mine")
    assert [fault.removeprefix(f"{run}/") for fault in faults(run, known)] == [
        "environment.json is missing",
        "metrics.parquet is not what was published: its checksum differs",
    ]
    assert unlisted(run, known) == ["notes.txt"]


def test_a_link_is_no_file_that_was_published(store, publish, tmp_path):
    run = publish(store, 0)
    moved = (run / "environment.json").rename(tmp_path / "environment.json")
    (run / "environment.json").symlink_to(moved)
    assert list(faults(run, read_checksums(run))) == [f"{run / 'environment.json'} is missing"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", '{"format": 2}', '{"format": 1}', '{"format": 1, "sha256": 3}', "[" * 100_000, '"\\ud800"'],
)
def test_checksums_that_are_none_are_one_line(store, publish, text):
    run = publish(store, 0)
    (run / "checksums.json").write_text(text)
    with pytest.raises(StoreError, match=r"checksums\.json"):
        read_checksums(run)


def test_on_a_full_disk_a_run_is_published_without(store, stage, monkeypatch):
    def full(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(layout, "write_checksums", full)
    staging = stage(store, 0)
    run = store.publish(staging, staging.name.partition("-")[0])
    assert (run / "run.json").is_file()
    assert read_checksums(run) is None


def test_a_file_of_another_size_is_told_without_reading_it(store, publish):
    run = publish(store, 0)
    size = (run / "metrics.parquet").stat().st_size
    assert cut_short(run) == ""
    assert read_sizes(run)["metrics.parquet"] == size
    os.truncate(run / "metrics.parquet", 10)
    assert cut_short(run) == f"{run / 'metrics.parquet'} has 10 bytes; {size} were published"
    (run / "metrics.parquet").unlink()
    assert cut_short(run) == f"{run / 'metrics.parquet'} is missing"
