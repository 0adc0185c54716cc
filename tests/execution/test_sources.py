"""Runs that build on others: what is kept, what is handed on, and in which order."""

from __future__ import annotations

import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.contracts.run_request import RunRequest
from rmtl_bench.execution.kept import read_kept, write_kept
from rmtl_bench.execution.queue import CellQueue
from rmtl_bench.execution.worker import make_run
from rmtl_bench.store import Index
from rmtl_bench.store.run_files import read_run, read_table


def _weights(store, cell):
    return read_table(store.runs_path / cell.run_id, "weights")["mean"]


@pytest.fixture(scope="module")
def family(workshop, new_watcher):
    """A source, its heir and two others, two at once; the heir was listed first."""
    source, heir = workshop.heirs()
    others = [workshop.cell(seed) for seed in (20, 21)]
    watcher = new_watcher()
    counts = workshop.execute([heir, source, *others], watcher, kept=[source])
    return source, heir, others, watcher, counts


def test_an_heir_waits_for_its_source_and_others_go_on_meanwhile(family):
    source, heir, others, watcher, counts = family
    assert counts == {"ok": 4}
    assert watcher.begun[:2] == [source.run_id, others[0].run_id]
    assert list(watcher.outcomes).index(source.run_id) < watcher.begun.index(heir.run_id)


def test_only_the_source_keeps_something(workshop, family):
    source, heir, others, *_ = family
    kept = workshop.store.kept_file(source.run_id)
    assert kept == workshop.store.runs_path / source.run_id / "kept.safetensors"
    assert set(read_kept(kept, "")) == {"weights", "again", "transposed", "scalar"}
    assert [workshop.store.kept_file(cell.run_id) for cell in (heir, *others)] == [None] * 3


def test_what_was_kept_reaches_the_heir(workshop, family):
    source, heir, *_ = family
    kept = read_kept(workshop.store.kept_file(source.run_id), "")["weights"]
    for cell in (source, heir):
        np.testing.assert_array_equal(_weights(workshop.store, cell)[:2], kept.double().numpy())
    assert len(set(kept.tolist())) == 2


def test_an_heir_has_the_same_numbers_whether_its_source_ran_with_it_or_before(workshop, family, new_watcher):
    source, heir, *_ = family
    assert workshop.execute([heir], new_watcher(), kept=[source]) == {"ok": 1}
    again = workshop.store.runs_path / f"{heir.run_id}.2"
    for name in ("metrics", "predictions", "weights"):
        one, other = read_table(workshop.store.runs_path / heir.run_id, name), read_table(again, name)
        for column in one:
            np.testing.assert_array_equal(one[column], other[column])


def test_keeping_decides_no_number(workshop, family, tmp_path):
    source, *_ = family
    table = workshop.sources.prepare(source.dataset, source.fingerprint)
    threads = torch.get_num_threads()
    make_run(RunRequest(source, table, tmp_path, "cpu", 1, tuple(workshop.host.files)), lambda event: None)
    torch.set_num_threads(threads)
    assert not (tmp_path / "kept.safetensors").exists()
    one, other = (
        read_table(workshop.store.runs_path / source.run_id, "predictions"),
        read_table(tmp_path, "predictions"),
    )
    for column in one:
        np.testing.assert_array_equal(one[column], other[column])


def test_the_heir_of_a_failed_source_is_skipped_and_names_it(workshop, new_watcher):
    source, heir = workshop.heirs(seed=1, alone="raise")
    watcher = new_watcher()
    assert workshop.execute([source, heir], watcher, jobs=1, kept=[source]) == {"failed": 1, "skipped": 1}
    called = f"toy-sessions/toy-logistic/toy-heir/1 ({source.run_id})"
    error = f"not started: the run it builds on, {called}, ended as failed"
    assert watcher.outcomes[heir.run_id].error == error
    assert watcher.begun == [source.run_id, heir.run_id]
    record = read_run(workshop.store.runs_path / heir.run_id)
    assert (record.status, record.error, record.cell) == ("skipped", error, heir)
    assert Index(workshop.store).latest()[heir.run_id].status == "skipped"
    assert list(workshop.store.staging.iterdir()) == []


def test_the_heir_of_a_run_that_kept_nothing_is_skipped(workshop, new_watcher):
    source, heir = workshop.heirs(seed=2)
    watcher = new_watcher()
    assert workshop.execute([source], new_watcher()) == {"ok": 1}
    assert workshop.execute([heir], watcher) == {"skipped": 1}
    said = f"not started: the run it builds on, {source.run_id}, has no kept.safetensors in the store"
    assert watcher.outcomes[heir.run_id].error == said


def test_a_source_that_kept_nothing_is_made_again_and_the_latest_file_is_handed_on(workshop, new_watcher):
    source, heir = workshop.heirs(seed=3)
    workshop.execute([source], new_watcher())
    assert workshop.store.kept_file(source.run_id) is None
    assert workshop.execute([source, heir], new_watcher(), kept=[source]) == {"ok": 2}
    assert workshop.store.kept_file(source.run_id).parent.name == f"{source.run_id}.2"


def test_an_interrupt_between_a_source_and_its_heir_leaves_the_source_to_build_on(workshop, new_watcher):
    source, heir = workshop.heirs(seed=4)
    watcher = new_watcher(lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        workshop.execute([source, heir], watcher, kept=[source])
    latest = Index(workshop.store).latest()
    assert latest[source.run_id].status == "ok"
    assert heir.run_id not in latest
    assert workshop.execute([heir], new_watcher(), kept=[source]) == {"ok": 1}


@pytest.mark.parametrize("damage", ["cut", "gone", "ungiven"])
def test_a_damaged_file_fails_the_heir_in_one_line_that_names_run_and_file(workshop, family, tmp_path, damage):
    source, heir, *_ = family
    file = tmp_path / "kept.safetensors"
    if damage == "cut":
        file.write_bytes(workshop.store.kept_file(source.run_id).read_bytes()[:-3])
    table = workshop.sources.prepare(heir.dataset, heir.fingerprint)
    given = None if damage == "ungiven" else file
    threads = torch.get_num_threads()
    make_run(RunRequest(heir, table, tmp_path, "cpu", 1, tuple(workshop.host.files), source=given), lambda event: None)
    torch.set_num_threads(threads)
    record = read_run(tmp_path)
    last = record.error.splitlines()[-1]
    assert record.status == "failed"
    assert f"StoreError: what the source run {source.run_id} kept" in last
    assert (str(file) in last) == (damage != "ungiven")


def test_tensors_of_every_shape_are_kept_as_they_are(tmp_path):
    matrix = torch.arange(6.0).view(2, 3)
    kept = {"matrix": matrix, "part": matrix[0], "columns": matrix.T, "none": matrix[:0], "one": torch.tensor(7)}
    write_kept(tmp_path / "file", {**kept, "trained": matrix.clone().requires_grad_()})
    again = read_kept(tmp_path / "file", "")
    assert torch.equal(again.pop("trained"), matrix)
    assert again.keys() == kept.keys()
    for name, tensor in kept.items():
        assert torch.equal(again[name], tensor)
        assert again[name].dtype == tensor.dtype


def test_nothing_may_be_kept_too(tmp_path):
    write_kept(tmp_path / "file", {})
    assert read_kept(tmp_path / "file", "") == {}


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=r"what the source run abc kept cannot be read: .*file: "):
        read_kept(tmp_path / "file", "abc")


def test_a_queue_holds_back_what_waits_and_nothing_else(workshop):
    source, heir = workshop.heirs()
    other = workshop.cell(9)
    orphan = replace(other, source="f" * 16)
    queue = CellQueue([heir, source, orphan, other])
    assert [queue.take(), queue.take(), queue.take(), queue.take()] == [[source], [orphan], [other], []]
    assert queue
    assert queue.end_of_source(heir) == ""
    queue.finished(source, "diverged")
    assert queue.take() == [heir]
    assert queue.end_of_source(heir) == "diverged"
    assert not queue


def test_a_queue_gives_seeds_of_one_cell_together(workshop):
    first, second = (
        [workshop.cell(seed) for seed in range(4)],
        [workshop.cell(seed, trainer={"max_epochs": 1}) for seed in range(2)],
    )
    queue = CellQueue([first[0], second[0], *first[1:], second[1]])
    asked = []

    def most(seeds, groups):
        asked.append((seeds, groups))
        return 3

    assert [queue.take(most), queue.take(most), queue.take(most), queue.take(most)] == [
        first[:3],
        second,
        first[3:],
        [],
    ]
    assert asked == [(4, 2), (2, 2), (1, 1)]
    queue.put_back(first[2:])
    assert queue.take(most) == first[2:]
