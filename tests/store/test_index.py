"""The index: made from the run folders, and never more than they say."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store import Index, Store
from rmtl_bench.store import index as index_module

TABLES = ("runs", "metrics", "environments", "ingested_files", "v_latest", "v_scores")


def contents(index):
    """Everything the index says, in an order of its own."""
    return {table: sorted(map(repr, index.query(f"SELECT * FROM {table}")[1])) for table in TABLES}


def values(index, run_ids=None):
    """The scores by run, task and metric."""
    found = index.scores(run_ids)
    keys = zip(found["run_id"], found["task"], found["metric"], strict=True)
    return dict(zip(keys, found["value"].tolist(), strict=True))


def test_a_run_is_ingested_with_all_it_says(store, index, publish, make_cell):
    run = publish(store, 3, environment={"python": "3.11"}).name
    assert index.refresh().ingested == 1
    columns, (row,) = index.query("SELECT * FROM runs")
    found = dict(zip(columns, row, strict=True))
    assert (found["folder"], found["run_id"], found["attempt"], found["status"]) == (run, run, 1, "ok")
    assert (found["dataset"], found["backbone"], found["weighting"], found["seed"]) == ("toy", "mmoe", "fixed", 3)
    assert found["seconds"] == 2.5
    assert json.loads(found["seconds_by_phase"]) == {"training": 2.0, "evaluation": 0.5}
    assert json.loads(found["facts"]) == {"rows": 12}
    assert json.loads(found["cell"]) == make_cell(3).to_json()
    _, ((environment,),) = index.query("SELECT content FROM environments WHERE hash = ?", [found["environment"]])
    assert json.loads(environment) == {"python": "3.11"}


def test_scores_are_typed_columns_in_order(store, index, publish):
    run = publish(store, 3, values={("pay", "auc"): 0.75, ("click", "logloss"): 0.25, ("click", "auc"): math.nan}).name
    index.refresh()
    scores = index.scores()
    assert {name: column.dtype.kind for name, column in scores.items()} == {
        "run_id": "O",
        "dataset": "O",
        "backbone": "O",
        "weighting": "O",
        "seed": "i",
        "task": "O",
        "metric": "O",
        "value": "f",
        "higher_is_better": "b",
    }
    assert scores["run_id"].tolist() == [run] * 3
    assert scores["task"].tolist() == ["click", "click", "pay"]
    assert scores["metric"].tolist() == ["auc", "logloss", "auc"]
    assert scores["higher_is_better"].tolist() == [True, False, True]
    np.testing.assert_array_equal(scores["value"], [math.nan, 0.25, 0.75])
    assert not np.ma.is_masked(scores["value"])


def test_a_refresh_ingests_only_what_is_new(store, index, publish):
    publish(store, 0)
    first = index.refresh()
    assert (first.ingested, first.rebuilt) == (1, True)
    written = index.path.stat().st_mtime_ns
    assert index.refresh() == index_module.Refreshed()
    assert index.path.stat().st_mtime_ns == written
    publish(store, 1)
    assert index.refresh() == index_module.Refreshed(ingested=1)
    assert len(index.latest()) == 2


def test_a_refresh_of_an_empty_store_makes_an_empty_index(store, index):
    assert index.refresh().ingested == 0
    assert index.latest() == {}
    assert index.scores()["value"].tolist() == []


def test_many_runs_are_ingested_in_several_transactions(store, index, publish, monkeypatch):
    monkeypatch.setattr(index_module, "BATCH", 2)
    runs = {publish(store, seed).name for seed in range(5)}
    assert index.refresh().ingested == 5
    assert set(index.latest()) == runs
    assert index.query("SELECT count(*) FROM environments")[1] == [(1,)]


def test_without_an_index_there_is_nothing_to_read(index):
    with pytest.raises(StoreError, match="there is no index"):
        index.latest()


def test_a_failed_run_has_a_traceback_and_no_scores(store, index, publish):
    run = publish(store, 0, "failed").name
    index.refresh()
    attempt = index.latest()[run]
    assert (attempt.attempt, attempt.status, attempt.seconds) == (1, "failed", 2.5)
    assert attempt.error == "Traceback of a run that failed"
    assert values(index) == {}


def test_the_latest_attempt_that_ended_well_has_the_scores(store, index, publish):
    run = publish(store, 0, "failed").name
    publish(store, 0, values={("click", "auc"): 0.6})
    publish(store, 0, values={("click", "auc"): 0.7})
    publish(store, 0, "diverged", values={("click", "auc"): 0.1})
    index.refresh()
    assert values(index) == {(run, "click", "auc"): 0.7}
    assert (index.latest()[run].attempt, index.latest()[run].status) == (3, "ok")


def test_ten_attempts_are_ordered_as_numbers(store, index, publish):
    run = publish(store, 0).name
    for attempt in range(2, 12):
        publish(store, 0, values={("click", "auc"): attempt / 100})
    index.refresh()
    assert index.latest()[run].attempt == 11
    assert values(index) == {(run, "click", "auc"): 0.11}


def test_scores_and_attempts_are_of_the_runs_asked_for(store, index, publish):
    runs = [publish(store, seed).name for seed in range(3)]
    index.refresh()
    assert set(index.latest(runs[:2])) == set(runs[:2])
    assert {key[0] for key in values(index, runs[1:])} == set(runs[1:])
    assert index.latest([]) == {}
    assert index.latest(["' OR 1=1 --"]) == {}
    assert index.scores([])["value"].tolist() == []


def test_a_folder_that_is_removed_is_forgotten(store, index, publish):
    kept, removed = publish(store, 0).name, publish(store, 1)
    index.refresh()
    shutil.rmtree(removed)
    assert index.refresh() == index_module.Refreshed(removed=1)
    assert set(index.latest()) == {kept}
    assert {key[0] for key in values(index)} == {kept}


def test_an_attempt_that_is_removed_gives_way_to_the_one_before(store, index, publish):
    run = publish(store, 0, "failed").name
    index.refresh()
    later = publish(store, 0, "timeout")
    index.refresh()
    assert index.latest()[run].status == "timeout"
    shutil.rmtree(later)
    index.refresh()
    assert index.latest()[run].status == "failed"


def test_a_folder_that_has_changed_is_read_again(store, index, publish):
    run = publish(store, 0, "failed")
    index.refresh()
    record = run / "run.json"
    record.write_text(record.read_text().replace('"failed"', '"timeout"').replace("that failed", "took too long"))
    assert index.refresh().ingested == 1
    assert index.latest()[run.name].status == "timeout"
    assert index.query("SELECT count(*) FROM runs")[1] == [(1,)]
    assert index.query("SELECT count(*) FROM metrics")[1] == [(2,)]


def test_a_run_that_diverged_has_no_scores_though_it_has_metrics(store, index, publish):
    diverged = publish(store, 0, "diverged", values={("click", "auc"): 0.9}).name
    well = publish(store, 1, values={("click", "auc"): 0.6}).name
    index.refresh()
    assert values(index) == values(index, [diverged, well]) == {(well, "click", "auc"): 0.6}
    assert index.query("SELECT run_id FROM v_scores")[1] == [(well,)]
    assert set(index.folders()) == {well}
    assert index.query("SELECT count(*) FROM metrics")[1] == [(2,)]
    assert index.latest()[diverged].status == "diverged"


def test_the_costs_of_runs_are_what_their_facts_say_and_none_where_they_do_not(store, index, publish):
    said = {"seconds_a_step": 0.25, "parameters": 123}
    facts = [said, {"parameters": 7}, {"seconds_a_step": None}, {"seconds_a_step": "fast", "parameters": [1]}]
    runs = [publish(store, seed, facts=fact).name for seed, fact in enumerate(facts)]
    publish(store, 0, "diverged", facts={"seconds_a_step": 9.0})
    publish(store, 8, "failed", facts=said)
    index.refresh()
    costs = index.costs()
    assert [costs[run] for run in runs] == [(0.25, 123), (None, 7), (None, None), (None, None)]
    assert costs.keys() == set(runs)
    assert index.costs(runs[:1]) == {runs[0]: (0.25, 123)}
    assert index.costs([]) == {}


def test_a_rebuild_says_the_same(store, index, publish):
    for seed in range(3):
        publish(store, seed)
        publish(store, seed, "failed", environment={"python": "3.12"})
        index.refresh()
    before = contents(index)
    assert index.rebuild() == index_module.Refreshed(ingested=6, rebuilt=True)
    assert contents(index) == before


STEPS = st.lists(
    st.tuples(st.sampled_from(("ok", "failed", "remove", "break", "refresh")), st.integers(0, 2)), max_size=8
)


@settings(deadline=None, max_examples=8)
@given(STEPS)
def test_an_index_kept_up_to_date_is_the_one_made_anew(publish, steps):
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "store")
        index = Index(store)
        for step, seed in steps:
            runs = list(store.runs())
            if step in ("ok", "failed"):
                publish(store, seed, step)
            elif step == "refresh":
                index.refresh()
            elif runs and step == "remove":
                shutil.rmtree(runs[seed % len(runs)].path)
            elif runs:
                (runs[seed % len(runs)].path / "run.json").write_text("{")
        problems = index.refresh().problems
        before = contents(index)
        rebuilt = index.rebuild()
        # Environments that no run has any more may stay until then.
        after = contents(index)
        assert {table: after[table] for table in TABLES if table != "environments"} == {
            table: before[table] for table in TABLES if table != "environments"
        }
        assert set(after["environments"]) <= set(before["environments"])
        assert rebuilt.problems == problems


@pytest.fixture
def full(store, index, publish):
    """An index of two runs, and what it says."""
    for seed in range(2):
        publish(store, seed)
    index.refresh()
    return contents(index)


def aside(index):
    return index.path.with_name("results.duckdb.aside")


@pytest.mark.parametrize("garbage", [b"", b"no database", bytes(20_000), b"\xff" * 20_000])
def test_a_corrupt_index_is_moved_aside_and_made_anew(index, full, garbage):
    index.path.write_bytes(garbage)
    assert index.refresh() == index_module.Refreshed(ingested=2, rebuilt=True)
    assert contents(index) == full
    if garbage:
        assert aside(index).read_bytes() == garbage


@pytest.mark.parametrize("start", [0, 4096, 12_288, 262_144])
def test_an_index_damaged_anywhere_is_made_anew_when_it_is_needed(store, index, full, publish, start):
    content = index.path.read_bytes()
    assert start < len(content)
    index.path.write_bytes(content[:start] + bytes(b ^ 0x5A for b in content[start:]))
    publish(store, 7)
    index.refresh()
    assert len(index.latest()) == 3
    index.rebuild()
    assert len(index.latest()) == 3


def test_an_index_cut_short_is_made_anew(index, full):
    content = index.path.read_bytes()
    index.path.write_bytes(content[: len(content) // 2])
    index.refresh()
    assert contents(index) == full


def test_an_index_of_another_version_is_made_anew(index, full):
    with duckdb.connect(str(index.path)) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    assert index.refresh().rebuilt
    assert aside(index).exists()
    assert contents(index) == full


def test_an_index_that_turns_out_to_be_damaged_when_written_is_made_anew(store, index, full, publish):
    with duckdb.connect(str(index.path)) as connection:
        connection.execute("DROP VIEW v_scores")
        connection.execute("DROP TABLE metrics")
    publish(store, 7)
    assert index.refresh() == index_module.Refreshed(ingested=3, rebuilt=True)
    assert len(values(index)) == 6


def test_a_database_of_somebody_else_is_moved_aside(index, full):
    index.path.unlink()
    with duckdb.connect(str(index.path)) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS a")
    index.rebuild()
    assert contents(index) == full
    with duckdb.connect(str(aside(index)), read_only=True) as connection:
        assert connection.execute("SELECT a FROM mine").fetchall() == [(1,)]


def test_a_deleted_index_is_made_anew(index, full):
    index.path.unlink()
    assert index.refresh().rebuilt
    assert contents(index) == full


def test_reading_a_corrupt_index_asks_for_a_rebuild(index, full):
    index.path.write_bytes(b"no database")
    for read in (index.scores, index.latest, lambda: index.query("SELECT 1")):
        with pytest.raises(StoreError, match=r"results\.duckdb cannot be read: .*; rebuild it"):
            read()


def test_damage_anywhere_in_the_index_is_met_by_the_refresh_and_by_no_reader(store, index, publish):
    for seed in range(40):
        publish(store, seed, facts={"text": "".join(map(str, range(seed, 4000)))})
    index.refresh()
    before = contents(index)
    whole = index.path.read_bytes()
    made_anew = 0
    # Blocks of 256 KB behind three headers of 4 KB.
    for start in range(3 * 4096, len(whole), 1 << 18):
        damaged = bytearray(whole)
        damaged[start + 64 : start + 128] = bytes(64)
        index.path.write_bytes(damaged)
        made_anew += index.refresh().rebuilt
        assert contents(index) == before
    assert made_anew >= 2
