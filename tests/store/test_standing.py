"""What a command may take as made: runs that ended well, and whose folders are what was published."""

from __future__ import annotations

import json
import os

import pytest

from rmtl_bench.store import Index
from rmtl_bench.store.checksums import CHECKSUMS_FILE
from rmtl_bench.store.prune import Asked, prune, removals
from rmtl_bench.store.standing import standing


def test_a_whole_store_stands_as_its_index_says(store, publish):
    well, badly = publish(store, 0).name, publish(store, 1, status="failed").name
    found = standing(store, [well, badly])
    assert found.statuses == {well: "ok", badly: "failed"}
    assert found.attempts == {well: 1, badly: 1}
    assert found.damaged == {}


@pytest.mark.parametrize("name", ["metrics.parquet", "environment.json", CHECKSUMS_FILE])
def test_a_file_that_was_emptied_since_it_was_ingested_is_damage(store, publish, name):
    run, whole = publish(store, 0), publish(store, 1)
    Index(store).refresh()
    os.truncate(run / name, 0)
    found = standing(store, [run.name, whole.name])
    assert found.statuses == {whole.name: "ok"}
    assert list(found.damaged) == [run.name]
    assert name in found.damaged[run.name]
    assert standing(store, [whole.name]).damaged == {}


def test_a_file_that_is_gone_is_damage_unless_it_was_pruned(store, publish, stage):
    staging = stage(store, 0)
    (staging / "predictions.parquet").write_bytes((staging / "metrics.parquet").read_bytes())
    pruned = store.publish(staging, staging.name.partition("-")[0])
    Index(store).refresh()
    prune(store, removals(store, Asked(predictions=True)))
    assert not (pruned / "predictions.parquet").exists()
    lacking = publish(store, 1)
    (lacking / "environment.json").unlink()
    found = standing(store, [pruned.name, lacking.name])
    assert found.damaged == {lacking.name: f"{lacking / 'environment.json'} is missing"}


def test_folders_of_earlier_versions_say_nothing_of_sizes_and_are_taken_as_they_are(store, publish):
    without, old = publish(store, 0), publish(store, 1)
    (without / CHECKSUMS_FILE).unlink()
    checksums = json.loads((old / CHECKSUMS_FILE).read_text())
    del checksums["bytes"]
    (old / CHECKSUMS_FILE).write_text(json.dumps(checksums))
    (old / "environment.json").write_text("{}")
    assert standing(store, [without.name, old.name]).damaged == {}


def test_an_attempt_that_cannot_be_read_is_counted_so_that_it_is_not_taken_for_another_commands(store, publish):
    first, second = publish(store, 0), publish(store, 0)
    os.truncate(second / "metrics.parquet", 10)
    found = standing(store, [first.name])
    assert found.statuses == {first.name: "ok"}
    assert found.attempts == {first.name: 2}
    assert [problem.path for problem in found.refreshed.problems] == [second]
