"""Merging: what is lacking is copied, once, whole, and nothing but runs and plans."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store import Index, PlannedCell, Store, StoredPlan, plan_names, save_plan
from rmtl_bench.store import merge as merging
from rmtl_bench.store.check import check_store
from rmtl_bench.store.merge import Selection, check_apart, merge, would_merge


@pytest.fixture
def other(tmp_path):
    return Store.open(tmp_path / "other")


def plan(digest="d", suite="tiny"):
    return StoredPlan(suite, 1, digest, (PlannedCell("0" * 16, "toy", "mmoe", "fixed", 0),))


def records(store):
    """What each run's attempts are, whatever their numbers."""
    found = {}
    for folder in store.runs():
        found.setdefault(folder.run_id, set()).add((folder.path / "run.json").read_bytes())
    return found


def contents(store):
    return {
        path.relative_to(store.path): path.read_bytes()
        for folder in (store.runs_path, store.suites)
        for path in folder.rglob("*")
        if path.is_file()
    }


def counts(merged):
    return merged.runs, merged.attempts, merged.present


def test_runs_and_plans_that_are_lacking_are_copied(store, other, publish):
    publish(store, 0)
    new = publish(other, 1, environment={"python": "3.12"})
    save_plan(other, plan())
    merged = merge(store, other)
    assert (counts(merged), merged.plans, merged.problems) == ((1, 0, 0), ("tiny@1",), ())
    copied = store.runs_path / new.name
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == {
        path.name: path.read_bytes() for path in new.iterdir()
    }
    assert (store.suites / "tiny@1.json").read_bytes() == (other.suites / "tiny@1.json").read_bytes()
    assert list(store.staging.iterdir()) == []
    assert Index(store).refresh().problems == ()
    assert check_store(store).findings == ()


def test_to_merge_twice_changes_nothing(store, other, publish):
    for seed in range(3):
        publish(other, seed)
    publish(other, 0, "failed")
    save_plan(other, plan())
    assert counts(merge(store, other)) == (3, 1, 0)
    before = contents(store)
    again = merge(store, other)
    assert (counts(again), again.plans) == ((0, 0, 4), ())
    assert contents(store) == before


def test_both_ways_give_the_same_runs(store, other, publish):
    for seed in range(3):
        publish(store, seed, "failed" if seed else "ok")
    for seed in range(1, 4):
        publish(other, seed)
    publish(other, 1, "diverged")
    shutil.copytree(next(store.runs_path.iterdir()), other.runs_path / next(store.runs_path.iterdir()).name)
    merge(store, other)
    merge(other, store)
    assert records(store) == records(other)
    assert counts(merge(store, other)) == (0, 0, sum(map(len, records(store).values())))


def test_another_attempt_becomes_the_next_and_one_that_is_there_does_not(store, other, publish):
    run = publish(store, 0, "failed")
    shutil.copytree(run, other.runs_path / run.name)
    publish(other, 0, "timeout")
    publish(other, 0)
    assert counts(merge(store, other)) == (0, 2, 1)
    assert [folder.attempt for folder in store.runs()] == [1, 2, 3]
    statuses = [json.loads((folder.path / "run.json").read_text())["status"] for folder in store.runs()]
    assert statuses == ["failed", "timeout", "ok"]


def test_a_run_that_ended_well_stays_one_that_did(store, other, publish):
    run = publish(store, 0)
    publish(other, 0, "interrupted")
    merge(store, other)
    index = Index(store)
    index.refresh()
    assert (index.latest()[run.name].status, index.latest()[run.name].attempt) == ("ok", 1)
    assert store.attempts(run.name) == 2


def test_a_damaged_run_is_put_back_from_a_copy(store, other, publish):
    run = publish(store, 0)
    shutil.copytree(run, other.runs_path / run.name)
    (run / "metrics.parquet").write_bytes(b"half")
    assert counts(merge(store, other)) == (0, 1, 0)
    index = Index(store)
    assert len(index.refresh().problems) == 1
    assert len(index.scores()["value"]) == 2


def test_a_dry_run_says_what_would_be_and_writes_nothing(store, other, publish):
    publish(store, 0)
    publish(other, 0, "failed")
    publish(other, 1)
    save_plan(other, plan())
    before = contents(store)
    would = would_merge(store, other)
    assert contents(store) == before
    assert would == merge(store, other)


def test_another_suite_of_one_name_is_refused_before_anything_is_copied(store, other, publish):
    publish(other, 0)
    save_plan(other, plan("theirs"))
    save_plan(other, plan("d", "fine"))
    save_plan(store, plan("ours"))
    before = contents(store)
    for do in (merge, would_merge):
        with pytest.raises(
            StoreError, match=r"tiny@1 is another suite in .*digest theirs.*digest ours.*nothing was co"
        ):
            do(store, other)
    assert contents(store) == before
    assert plan_names(store) == ["tiny@1"]


def test_the_store_itself_and_parts_that_are_links_are_refused(store, other, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(store.path)
    for path in (store.path, link, store.path / ".." / store.path.name):
        with pytest.raises(StoreError, match="is the store itself"):
            check_apart(store.path, Store.open(path, create=False))
    other.runs_path.rmdir()
    other.runs_path.symlink_to(store.runs_path)
    with pytest.raises(StoreError, match="runs is a link, which a merge does not follow"):
        check_apart(store.path, other)


def test_a_store_of_a_newer_format_is_refused(other):
    (other.path / "FORMAT").write_text("3\n")
    with pytest.raises(StoreError, match="is a store of format '3'; this rmtl-bench reads the formats 1, 2"):
        Store.open(other.path, create=False)


def _changed(name):
    def change(run, secret):
        path = run / name
        path.write_bytes(path.read_bytes().replace(b"3", b"4"))

    return change


def _link(name, target=None):
    def change(run, secret):
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(target or secret)

    return change


def _whole_link(run, secret):
    moved = run.rename(secret.parent / "moved")
    run.symlink_to(moved)


def _names(name):
    def change(run, secret):
        data = json.loads((run / "checksums.json").read_text())
        data["sha256"][name] = "0" * 64
        (run / "checksums.json").write_text(json.dumps(data))

    return change


STRANGE = {
    "a record cut short": lambda run, secret: (run / "run.json").write_text("{"),
    "no record": lambda run, secret: (run / "run.json").unlink(),
    "metrics cut short": lambda run, secret: (run / "metrics.parquet").write_bytes(b"PAR1"),
    "a file that has changed": _changed("environment.json"),
    "a file that is missing": lambda run, secret: (run / "environment.json").unlink(),
    "checksums that are none": lambda run, secret: (run / "checksums.json").write_text("{"),
    "a link to a file": _link("environment.json"),
    "a link more": _link("predictions.parquet"),
    "a link to nothing": _link("log.txt", "nowhere"),
    "a record that is a link": _link("run.json"),
    "a folder that is a link": _whole_link,
    "a folder within": lambda run, secret: (run / "inner").mkdir(),
    "a pipe": lambda run, secret: os.mkfifo(run / "log.txt"),
    "another run's name": lambda run, secret: run.rename(run.with_name("0" * 16)),
    "a checksum of a file elsewhere": _names("../../../secret.txt"),
    "a checksum of an absolute path": _names("/etc/passwd"),
    "a checksum of no file": _names(""),
}


@pytest.mark.parametrize("change", STRANGE.values(), ids=STRANGE.keys())
def test_what_is_broken_or_strange_is_passed_over_and_the_rest_is_copied(store, other, publish, tmp_path, change):
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret")
    good, bad = publish(other, 0), publish(other, 1)
    change(bad, secret)
    would = would_merge(store, other)
    merged = merge(store, other)
    assert [folder.path.name for folder in store.runs()] == [good.name]
    assert (counts(merged), len(merged.problems)) == ((1, 0, 0), 1)
    assert counts(would) == counts(merged)
    assert "\n" not in merged.problems[0].reason
    assert list(store.staging.iterdir()) == []
    assert not any(b"secret" in content for content in contents(store).values())


def test_a_plan_that_is_a_link_or_none_is_passed_over(store, other, tmp_path):
    save_plan(other, plan())
    save_plan(other, plan(suite="broken"))
    save_plan(other, plan(suite="link"))
    (other.suites / "broken@1.json").write_text("{")
    moved = (other.suites / "link@1.json").rename(tmp_path / "link@1.json")
    (other.suites / "link@1.json").symlink_to(moved)
    merged = merge(store, other)
    assert (merged.plans, len(merged.problems)) == (("tiny@1",), 2)


def test_an_interrupted_merge_leaves_whole_runs_and_goes_on(store, other, publish, monkeypatch):
    for seed in range(3):
        publish(other, seed)
    copy = merging.copy_run
    calls = []

    def interrupted(*arguments):
        calls.append(arguments)
        copy(*arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(merging, "copy_run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            merge(store, other)
    assert len(list(store.runs())) == 1
    assert list(store.staging.iterdir()) == []
    assert not check_store(store).damaged
    assert counts(merge(store, other)) == (2, 0, 1)


def test_a_selection_is_copied_without_what_is_left_out(store, other, publish):
    runs = [publish(other, seed).name for seed in range(3)]
    save_plan(other, plan())
    save_plan(other, plan(suite="other"))
    merged = merge(store, other, Selection({runs[1]}, {"other@1"}, ("environment.json",)))
    assert (counts(merged), merged.plans) == ((1, 0, 0), ("other@1",))
    (copied,) = store.runs()
    assert copied.run_id == runs[1]
    assert {path.name for path in copied.path.iterdir()} == {"run.json", "metrics.parquet", "checksums.json"}
    assert check_store(store).findings == ()
