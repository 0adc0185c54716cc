"""Claims on runs, the checkpoints of runs in progress, and the numbers of attempts."""

from __future__ import annotations

import pytest

from rmtl_bench.store import Store, layout
from rmtl_bench.store.layout import ATTEMPTS_APART

RUN, OTHER = "0123456789abcdef", "fedcba9876543210"
CLAIM = """
import sys
from rmtl_bench.store import Store
store = Store.open(sys.argv[1])
print(store.claim(sys.argv[2]), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def claimant(store, python):
    """A process that has claimed the run."""
    process = python(CLAIM, store.path, RUN)
    assert process.stdout.readline() == "True\n"
    return process


def test_a_claim_is_held_once_and_given_up(store):
    second = Store.open(store.path)
    assert store.claim(RUN)
    assert store.claim(RUN)
    assert not second.claim(RUN)
    assert second.claim(OTHER)
    store.release(RUN)
    assert second.claim(RUN)
    assert not store.claim(RUN)
    assert store.claimed == frozenset()
    assert second.claimed == {RUN, OTHER}


def test_to_release_what_is_another_s_changes_nothing(store):
    second = Store.open(store.path)
    assert store.claim(RUN)
    second.release(RUN)
    assert not second.claim(RUN)


def test_a_released_claim_leaves_no_file(store):
    store.claim(RUN)
    store.release(RUN)
    assert list(store.claims.iterdir()) == []


def test_another_process_has_its_claim_until_it_dies(store, claimant):
    assert not store.claim(RUN)
    claimant.kill()
    claimant.wait()
    assert store.claim(RUN)


def test_cleaning_sweeps_the_claims_of_the_dead_and_of_nobody_else(store, claimant):
    store.claim(OTHER)
    assert store.clean_staging() == []
    assert not Store.open(store.path).claim(RUN)
    claimant.kill()
    claimant.wait()
    assert {path.name for path in store.claims.iterdir()} == {f"{RUN}.lock", f"{OTHER}.lock"}
    store.clean_staging()
    assert {path.name for path in store.claims.iterdir()} == {f"{OTHER}.lock"}
    assert not Store.open(store.path).claim(OTHER)


def test_a_claim_that_is_looked_at_for_a_moment_is_taken_all_the_same(store, monkeypatch):
    monkeypatch.setattr(layout, "try_lock", _busy_once(layout.try_lock))
    assert store.claim(RUN)


def _busy_once(take):
    busy = [True]

    def try_lock(path):
        return None if busy and busy.pop() else take(path)

    return try_lock


def test_a_store_without_the_folder_of_claims_gets_one(store):
    store.claims.rmdir()
    store.checkpoints.rmdir()
    opened = Store.open(store.path, create=False)
    assert opened.claim(RUN)
    assert opened.checkpoint(RUN).parent.is_dir()


@pytest.mark.parametrize("kind", ["nothing", "file", "folder"])
def test_a_checkpoint_is_dropped_whatever_it_is(store, kind):
    path = store.checkpoint(RUN)
    assert (path.name, path.exists(), path.parent.is_dir()) == (RUN, False, True)
    if kind == "file":
        path.write_text("half way")
    if kind == "folder":
        (path / "inner").mkdir(parents=True)
    store.drop_checkpoint(RUN)
    assert list(store.checkpoints.iterdir()) == []


def test_attempts_are_counted_by_their_names(store, publish):
    run = publish(store, 0).name
    assert (store.attempts(run), store.attempts(RUN)) == (1, 0)
    assert publish(store, 0).name == f"{run}.2"
    assert store.attempts(run) == 2


def test_a_gap_between_the_numbers_hides_no_attempt(store, publish):
    run = publish(store, 0)
    run.rename(run.with_name(f"{run.name}.{ATTEMPTS_APART}"))
    assert store.attempts(run.name) == ATTEMPTS_APART
    following = publish(store, 0)
    assert following.name == f"{run.name}.{ATTEMPTS_APART + 1}"
    following.rename(run.with_name(f"{run.name}.{2 * ATTEMPTS_APART}"))
    assert store.attempts(run.name) == 2 * ATTEMPTS_APART


def test_a_staging_folder_is_found_though_another_command_looks_at_its_lock(store, monkeypatch):
    monkeypatch.setattr(layout, "try_lock", _busy_once(layout.try_lock))
    folder = store.staging_folder(RUN)
    assert folder.is_dir()
    store.discard(folder)
