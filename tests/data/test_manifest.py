from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from rmtl_bench.contracts import Component
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.data.manifest import manifest_of, read_manifest, verify
from rmtl_bench.data.storage import save_table

SHOP = Component("shop", "the shop", 1, "shops", "1.0", {"rows": 12})
RAW = [{"name": "events.csv", "bytes": 8, "sha256": "00"}]


@pytest.fixture
def saved(table, tmp_path):
    def save(table=table):
        folder = tmp_path / "shop-0123"
        save_table(table, folder, describe=lambda arrays: manifest_of(table, SHOP, "0123", RAW, arrays))
        return folder

    return save


def test_it_says_what_the_table_was_made_of_and_what_is_in_it(saved):
    manifest = read_manifest(saved())
    assert manifest["raw_files"] == RAW
    assert (manifest["dataset"], manifest["distribution"], manifest["parameters"]) == (
        "shop",
        "shops 1.0",
        {"rows": 12},
    )
    assert manifest["rows"] == {"train": 6, "valid": 3, "test": 3}
    assert manifest["sessions"] == {"train": 3, "valid": 2, "test": 1}
    assert manifest["users"] == {"train": 2, "valid": 2, "test": 1}
    assert manifest["cut_sessions"] == 1
    assert manifest["vocabularies"] == {"item": 5, "hour": 3}
    assert manifest["out_of_vocabulary"]["hour"] == pytest.approx({"train": 1 / 3, "valid": 1 / 3, "test": 1 / 3})


def test_rates_are_over_the_known_labels(saved):
    rates = read_manifest(saved())["label_rates"]
    assert rates["click"] == pytest.approx({"train": 3 / 5, "valid": 2 / 3, "test": 2 / 3})
    assert rates["pay"]["test"] == pytest.approx(1 / 2)


def test_a_task_that_is_known_nowhere_has_no_rate(table, saved):
    mask = table.label_mask.copy()
    mask[6:9, 1] = False
    manifest = read_manifest(saved(replace(table, label_mask=mask, labels=table.labels * mask)))
    assert manifest["label_rates"]["pay"]["valid"] is None


def test_a_further_test_split_is_counted_too(table, saved):
    manifest = read_manifest(saved(replace(table, split_sizes=(6, 2, 1), extra_tests={"random": 3})))
    assert manifest["rows"] == {"train": 6, "valid": 2, "test": 1, "random": 3}
    assert manifest["label_rates"]["click"]["random"] == pytest.approx(2 / 3)


def test_a_table_as_it_was_saved_is_verified(saved):
    folder = saved()
    assert verify(folder) == read_manifest(folder)


def test_a_changed_byte_is_found(saved):
    folder = saved()
    labels = np.load(folder / "labels.npy", mmap_mode="r+")
    labels[0, 0] = 1 - labels[0, 0]
    labels.flush()
    with pytest.raises(DataError, match=r"labels\.npy: sha256 is [0-9a-f]{64}, the manifest says"):
        verify(folder)


def test_a_file_cut_short_missing_or_added_is_named(saved, tmp_path):
    folder = saved()
    path = folder / "user.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-4])
    with pytest.raises(DataError, match=rf"user\.npy: bytes is {len(content) - 4}, the manifest says {len(content)}"):
        verify(folder)
    path.unlink()
    with pytest.raises(DataError, match=r"user\.npy: the file is missing"):
        verify(folder)
    path.write_bytes(content)
    (folder / "more.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"more\.npy: the manifest does not know this file"):
        verify(folder)


def test_counts_that_are_not_those_of_the_table_are_named(saved):
    folder = saved()
    manifest = read_manifest(folder)
    manifest["sessions"]["test"] = 2
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"sessions is .*'test': 1.*, the manifest says .*'test': 2"):
        verify(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"manifest": 99}', '{"manifest": 1}'])
def test_a_manifest_that_cannot_be_read_is_one_line(saved, text):
    folder = saved()
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"shop-0123") as error:
        verify(folder)
    assert "\n" not in str(error.value)
