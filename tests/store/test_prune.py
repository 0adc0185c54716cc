"""Pruning removes what is superseded and what nobody holds, and keeps every score."""

from __future__ import annotations

import json
import shutil

import pytest

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store import Index, PlannedCell, Store, StoredPlan, prune, save_plan
from rmtl_bench.store.check import check_store
from rmtl_bench.store.layout import ATTEMPTS_APART, KEPT_FILE
from rmtl_bench.store.run_files import write_predictions

Asked = prune.Asked


def pruned(store, **asked):
    """Prune a store and return the names of what went."""
    Index(store).refresh()
    done = prune.prune(store, prune.removals(store, Asked(**asked)))
    assert done.held == ()
    assert done.size == sum(removal.size for removal in done.removed)
    return sorted(str(removal.path.relative_to(store.path)) for removal in done.removed)


def attempts(store):
    return [folder.attempt for folder in store.runs()]


def scores(store):
    index = Index(store)
    index.refresh()
    return {name: column.tolist() for name, column in index.scores().items()}


@pytest.fixture
def endings(store, publish):
    """Publish attempts at one run that end in these ways, and return its id."""

    def make(*statuses, seed=0):
        first, *_ = [publish(store, seed, status).name for status in statuses]
        return first

    return make


def test_attempts_before_one_that_ended_well_go(store, endings):
    run = endings("failed", "timeout", "ok", "ok", "failed", "diverged")
    before = scores(store)
    assert pruned(store) == [f"runs/{run}", f"runs/{run}.2", f"runs/{run}.3"]
    assert attempts(store) == [4, 5, 6]
    assert store.attempts(run) == 6
    assert scores(store) == before
    assert check_store(store).findings == ()
    assert list(store.staging.iterdir()) == []


def test_attempts_at_a_run_that_never_ended_well_stay(store, endings):
    endings("failed", "timeout")
    assert pruned(store) == []
    assert attempts(store) == [1, 2]


def test_a_broken_attempt_goes_once_a_later_one_ended_well(store, endings, publish):
    run = endings("failed", seed=0)
    (store.runs_path / run / "run.json").write_text("{")
    assert pruned(store) == []
    endings("ok", seed=0)
    assert pruned(store) == [f"runs/{run}"]
    assert Index(store).refresh().problems == ()


def test_the_attempt_that_kept_what_others_build_on_stays(store, endings):
    run = endings("ok", "ok", "ok")
    (store.runs_path / f"{run}.2" / KEPT_FILE).write_bytes(b"weights")
    kept = store.kept_file(run)
    assert pruned(store) == [f"runs/{run}"]
    assert store.kept_file(run) == kept


def test_numbers_stay_close_enough_to_be_found(store, endings):
    count = 2 * ATTEMPTS_APART + 5
    run = endings("failed")
    first = store.runs_path / run
    for number in range(2, count + 1):
        shutil.copytree(first, store.attempt_folder(run, number))
    endings("ok")
    pruned(store)
    assert attempts(store) == [ATTEMPTS_APART, 2 * ATTEMPTS_APART, count + 1]
    assert store.attempts(run) == count + 1


def test_failed_runs_go_when_asked(store, endings):
    well, badly = endings("ok", "failed"), endings("failed", "oom", seed=1)
    assert pruned(store, failed=True) == sorted([f"runs/{badly}", f"runs/{badly}.2", f"runs/{well}.2"])
    assert [folder.path.name for folder in store.runs()] == [well]


def test_predictions_go_when_asked_and_leave_checksums_that_agree(store, publish, stage):
    staging = stage(store, 0)
    columns = {"row": [0], "session": [0], "label_click": [1.0], "score_click": [0.5]}
    write_predictions(staging, columns)
    run = store.publish(staging, staging.name.partition("-")[0])
    publish(store, 1)
    before = scores(store)
    assert pruned(store) == []
    assert pruned(store, predictions=True) == [f"runs/{run.name}/predictions.parquet"]
    assert "predictions.parquet" not in json.loads((run / "checksums.json").read_text())["sha256"]
    assert check_store(store).findings == ()
    assert scores(store) == before
    assert pruned(store, predictions=True) == []


def test_runs_in_no_plan_go_when_asked_and_sources_stay(store, publish, make_cell, monkeypatch):
    source, user, other = (publish(store, seed) for seed in range(3))
    record = json.loads((user / "run.json").read_text())
    record["cell"]["source"] = source.name
    (user / "run.json").write_text(json.dumps(record))
    with pytest.raises(StoreError, match="keeps no plan, so every run would go"):
        pruned(store, not_in_plans=True)
    save_plan(store, StoredPlan("tiny", 1, "d", (PlannedCell(user.name, "toy", "mmoe", "fixed", 1),)))
    assert pruned(store, not_in_plans=True) == [f"runs/{other.name}"]
    assert {folder.run_id for folder in store.runs()} == {source.name, user.name}


def test_leftovers_go_and_what_lives_stays(store, endings, stage, python):
    ended, interrupted, unknown = endings("ok"), endings("interrupted", seed=1), "0" * 16
    for run in (ended, interrupted, unknown):
        store.checkpoint(run).mkdir()
        (store.checkpoint(run) / "weights").write_bytes(b"0" * 1000)
    (store.staging / f"{ended}-dead").mkdir()
    (store.claims / f"{'1' * 16}.lock").touch()
    (store.path / "results.duckdb.aside").write_bytes(b"old")
    living = Store.open(store.path)
    alive = stage(living, 5)
    assert living.claim("2" * 16)
    assert pruned(store) == [
        f"checkpoints/{ended}",
        f"claims/{'1' * 16}.lock",
        "results.duckdb.aside",
        f"staging/{ended}-dead",
    ]
    assert alive.is_dir()
    assert {path.name for path in store.staging.iterdir()} == {alive.name, f"{alive.name}.lock"}
    assert {path.name for path in store.claims.iterdir()} == {f"{'2' * 16}.lock"}
    assert {path.name for path in store.checkpoints.iterdir()} == {interrupted, unknown}
    assert not Store.open(store.path).claim("2" * 16)


def test_what_a_living_command_makes_is_left(store, endings):
    run, other = endings("failed", "ok"), endings("failed", "ok", seed=1)
    living = Store.open(store.path)
    assert living.claim(run)
    Index(store).refresh()
    done = prune.prune(store, prune.removals(store, Asked()))
    assert [removal.path.name for removal in done.held] == [run]
    assert [removal.path.name for removal in done.removed] == [other]
    living.release(run)
    assert pruned(store) == [f"runs/{run}"]


def test_an_interrupted_pruning_leaves_whole_runs(store, endings, monkeypatch):
    run = endings("failed", "failed", "ok")
    Index(store).refresh()
    planned = prune.removals(store, Asked())
    removed = []

    def interrupted(path):
        removed.append(path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(prune, "remove", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prune.prune(store, planned)
    assert len(removed) == 1
    assert attempts(store) == [2, 3]
    assert list(store.staging.iterdir()) == []
    # The index still has the row, which the next refresh forgets.
    assert Index(store).refresh().removed == 1
    assert pruned(store) == [f"runs/{run}.2"]


def test_to_look_changes_nothing(store, endings):
    endings("failed", "ok")
    (store.staging / "0123456789abcdef-dead").mkdir()
    Index(store).refresh()
    before = {path: path.stat().st_mtime_ns for path in store.path.rglob("*")}
    found = prune.removals(store, Asked(failed=True, predictions=True))
    assert {path: path.stat().st_mtime_ns for path in store.path.rglob("*")} == before
    assert [removal.size > 0 for removal in found] == [True, False]
