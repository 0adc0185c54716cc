"""What the index says of runs beside their scores: directions, states of the data, environments."""

from __future__ import annotations

import json
import math

import pytest

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store import Index, OtherData

OLD, NEW = "0" * 16, "1" * 16


def test_only_the_metrics_asked_for_are_returned(store, index, publish):
    run = publish(store).name
    index.refresh()
    assert set(index.scores([run], ["auc"])["metric"]) == {"auc"}
    assert set(index.scores(None, ["auc", "no-such-metric"])["metric"]) == {"auc"}
    assert len(index.scores([run], [])["metric"]) == 0


def test_directions_are_those_of_the_runs_asked_for(store, index, publish):
    one = publish(store, 0, values={("click", "auc"): 0.5}).name
    publish(store, 1, values={("click", "logloss"): 0.5, ("click", "auc"): math.nan})
    publish(store, 2, "failed", values={("click", "ece"): 0.1})
    index.refresh()
    assert index.directions() == {"auc": True, "logloss": False}
    assert index.directions([one]) == {"auc": True}
    assert index.directions([]) == {}


def test_every_run_has_the_fingerprint_of_its_data(store, index, publish):
    runs = {publish(store, fingerprint=fingerprint).name: fingerprint for fingerprint in (OLD, NEW)}
    index.refresh()
    assert index.fingerprints() == runs
    assert index.fingerprints(list(runs)[:1]) == dict(list(runs.items())[:1])


def test_runs_on_another_state_of_the_data_are_counted(store, index, publish):
    planned = [publish(store, seed, fingerprint=NEW).name for seed in range(3)]
    for seed in range(2):
        publish(store, seed, fingerprint=OLD)
    index.refresh()
    assert index.other_data(planned) == [OtherData("toy", NEW, OLD, 2)]


def test_a_second_attempt_on_another_state_counts_once(store, index, publish):
    planned = [publish(store, fingerprint=NEW).name]
    publish(store, 0, "failed", fingerprint=OLD)
    publish(store, 0, fingerprint=OLD)
    index.refresh()
    assert [other.runs for other in index.other_data(planned)] == [1]


def test_other_cells_are_no_other_states(store, index, publish):
    planned = [publish(store, fingerprint=NEW).name]
    publish(store, 1, fingerprint=OLD)
    publish(store, fingerprint=OLD, weighting="uncertainty")
    publish(store, fingerprint=OLD, dataset="another")
    index.refresh()
    assert index.other_data(planned) == []


def test_environments_are_those_of_the_runs(store, index, publish):
    runs = [publish(store, seed, environment={"python": python}).name for seed, python in enumerate(("3.11", "3.12"))]
    index.refresh()
    found = {run: json.loads(content) for run, content in index.environments(runs).items()}
    assert found == {runs[0]: {"python": "3.11"}, runs[1]: {"python": "3.12"}}
    assert list(index.environments(runs[:1])) == runs[:1]


def test_folders_and_strangers_are_told_apart_by_name(store, publish):
    run = publish(store).name
    publish(store)
    for name in ("notes", ".hidden", "0123"):
        (store.runs_path / name).mkdir()
    folders, strangers = store.names()
    assert sorted(folders) == [run, f"{run}.2"]
    assert strangers == ["0123", "notes"]
    assert store.run_folder(f"{run}.2").attempt == 2


def test_reads_within_see_one_state_and_a_reader_beside_is_not_kept_waiting(store, index, publish):
    publish(store, 0)
    index.refresh()
    with index.reading():
        publish(store, 1)
        assert len(index.scores(None, ["auc"])["value"]) == 1
        assert len(Index(store, patience=0).directions()) == 2
        with pytest.raises(StoreError, match="held by another process"):
            Index(store, patience=0).refresh()
    assert index.refresh().ingested == 1
    assert len(index.scores(None, ["auc"])["value"]) == 2
