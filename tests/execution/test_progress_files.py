"""What the main process lets others know of the runs that it makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmtl_bench.store import Store
from rmtl_bench.store.progress import PROGRESS_FILE, runs_in_progress


@pytest.fixture
def shop(workshop, tmp_path):
    """The workshop with a store of its own, as it was before."""
    before, workshop.store = workshop.store, Store.open(tmp_path / "store")
    yield workshop
    workshop.store = before


@pytest.fixture
def looking(new_watcher):
    """A watcher that looks at the store like another command whenever it is told of something."""

    class Looking(new_watcher):
        def __init__(self, store):
            super().__init__()
            self.store, self.seen = store, []

        def run_started(self, cell):
            super().run_started(cell)
            self.seen.append(runs_in_progress(self.store))

        def epoch_finished(self, cell, record):
            super().epoch_finished(cell, record)
            self.seen.append(runs_in_progress(self.store))

    return Looking


def test_a_run_tells_what_it_is_while_it_is_made_and_nothing_afterwards(shop, looking):
    watcher = looking(shop.store)
    cell = shop.cell(behaviour="sleep", trainer={"max_epochs": 4, "patience": 4})
    assert shop.execute([cell], watcher) == {"ok": 1}
    first, *later = [runs[0] for runs in watcher.seen]
    assert (first.run_id, first.label, first.suite) == (cell.run_id, cell.label, "toy@1")
    assert (first.stage, first.epoch, first.score) == ("", 0, None)
    assert 0 < first.begun <= first.started
    # Epochs take 0.6 s here, and the file is written once a second.
    last = later[-1]
    assert last.stage == "train"
    assert 1 <= last.epoch <= 4
    assert 0 < last.score < 1
    assert runs_in_progress(shop.store) == []


@pytest.mark.parametrize("behaviour", ["learn", "raise", "kill", "diverge-later"])
def test_the_file_is_in_no_published_run_however_it_ended(shop, new_watcher, behaviour, tmp_path):
    cell = shop.cell(behaviour=behaviour, flag=str(tmp_path / "killed"))
    shop.execute([cell], new_watcher())
    names = {path.name for path in (shop.store.runs_path / cell.run_id).iterdir()}
    assert "run.json" in names
    assert not any(name.startswith(PROGRESS_FILE) for name in names)


def test_an_interrupted_run_leaves_no_file(shop, new_watcher):
    def interrupt():
        raise KeyboardInterrupt

    endless = shop.cell(behaviour="sleep", trainer={"max_epochs": 1000, "patience": 1000})
    with pytest.raises(KeyboardInterrupt):
        shop.execute([endless, shop.cell()], new_watcher(interrupt))
    assert list(shop.store.staging.iterdir()) == []


def test_a_file_that_cannot_be_written_fails_no_run(shop, looking, monkeypatch):
    replace, tried = Path.replace, []

    def full(path, target):
        if Path(target).name != PROGRESS_FILE:
            return replace(path, target)
        tried.append(path)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    watcher = looking(shop.store)
    assert shop.execute([shop.cell()], watcher) == {"ok": 1}
    assert tried
    assert [(run.run_id, run.label) for run in watcher.seen[0]] == [(shop.cell().run_id, "")]
