"""A store of an earlier version: read as it is, and brought up to today's format when it is written.

``old_store`` was made by rmtl-bench 0.1.0 when a store had format 1, with the toy plugin: a run that ended well, and
one whose process was killed. ``old_index.sql`` is what its index held.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from rmtl_bench.store import Index, Store, migrations
from rmtl_bench.store.check import check_store
from rmtl_bench.store.merge import merge
from rmtl_bench.store.plans import all_plans

HERE = Path(__file__).parent
WELL, KILLED = "8ac35f340398cf28", "aec11bc8d2025370"
# What rmtl-bench 0.1.0 itself said of the store: rmtl-bench db sql "SELECT task, metric, value FROM v_scores".
SCORES = {
    ("click", "auc"): 0.5178571428571429,
    ("click", "auc-gap"): 0.2366071428571428,
    ("click", "logloss"): 0.7921285407043595,
    ("click", "logloss-gap"): 0.22114570310543114,
    ("pay", "auc"): 0.5347222222222222,
    ("pay", "auc-gap"): 0.2662037037037037,
    ("pay", "logloss"): 0.7006244834228087,
    ("pay", "logloss-gap"): 0.2587308949355952,
}


@pytest.fixture
def old(tmp_path):
    """The path of a copy of the old store, its index included."""
    path = tmp_path / "old"
    shutil.copytree(HERE / "old_store", path)
    with duckdb.connect(str(path / "results.duckdb")) as connection:
        connection.execute((HERE / "old_index.sql").read_text())
    return path


def files(path):
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def said(store):
    """The scores and the statuses that the index gives."""
    index = Index(store)
    index.refresh()
    found = index.scores()
    scores = dict(zip(zip(found["task"], found["metric"], strict=True), found["value"].tolist(), strict=True))
    return scores, {run_id: attempt.status for run_id, attempt in index.latest().items()}


def test_an_old_store_is_read_as_it_is(old):
    store = Store.open(old, create=False)
    runs = {name: content for name, content in files(old).items() if name.suffix != ".duckdb"}
    assert said(store) == (SCORES, {WELL: "ok", KILLED: "interrupted"})
    assert [plan.name for plan in all_plans(store)] == ["old@1"]
    after = files(old)
    assert {name: after[name] for name in runs} == runs
    assert (old / "FORMAT").read_text() == "1\n"
    assert not (old / "claims").exists()


def test_an_old_index_is_made_anew(old):
    refreshed = Index(Store.open(old, create=False)).refresh()
    assert (refreshed.rebuilt, refreshed.ingested) == (True, 2)


def test_an_old_store_is_no_damaged_one(old):
    checked = check_store(Store.open(old, create=False))
    assert (checked.format, checked.runs, checked.plans, checked.without_checksums) == (1, 2, 1, 2)
    assert not checked.damaged
    assert [finding.what for finding in checked.findings] == [f"{old} is a store of format 1; today's is 2"]


def test_to_write_brings_an_old_store_up_to_date(old):
    before = files(old / "runs")
    store = Store.open(old)
    assert (old / "FORMAT").read_text() == "2\n"
    assert store.claim(WELL)
    assert store.checkpoint(WELL).parent.is_dir()
    assert files(old / "runs") == before
    assert said(store) == (SCORES, {WELL: "ok", KILLED: "interrupted"})
    assert Store.open(old).format == 2


@pytest.mark.parametrize("step", ["mkdir", "write"])
def test_a_migration_that_is_interrupted_goes_on_the_next_time(old, monkeypatch, step):
    def interrupt(*arguments, **more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        target, name = {"mkdir": (Path, "mkdir"), "write": (migrations, "write_atomically")}[step]
        patched.setattr(target, name, interrupt)
        with pytest.raises(KeyboardInterrupt):
            Store.open(old)
    assert (old / "FORMAT").read_text() == "1\n"
    assert said(Store.open(old, create=False))[0] == SCORES
    assert Store.open(old).format == 2
    assert {path.name for path in old.iterdir()} >= {"claims", "checkpoints"}


def test_the_steps_lead_from_every_format_to_today_s():
    assert sorted(migrations.STEPS) == list(range(1, migrations.STORE_FORMAT))


def test_an_old_store_is_merged_into_a_new_one_which_then_has_checksums(old, store):
    merged = merge(store, Store.open(old, create=False))
    assert (merged.runs, merged.plans, merged.problems) == (2, ("old@1",), ())
    assert said(store) == (SCORES, {WELL: "ok", KILLED: "interrupted"})
    assert check_store(store).without_checksums == 0
    assert merge(store, Store.open(old, create=False)).present == 2
