"""The two errors of a difference, from predictions that runs have stored."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report import Document, render
from rmtl_bench.report import session_variance as module
from rmtl_bench.report.session_variance import SESSION_COLUMNS, SESSION_FOOTNOTE, session_sections, session_variance
from rmtl_bench.statistics.sessions import paired_bootstrap
from rmtl_bench.store import Index, PlannedCell, Store, StoredPlan
from rmtl_bench.store.run_files import RunRecord, read_table, write_predictions, write_run, write_table

TIME = "2026-01-01T00:00:00.000+00:00"
ROWS, SEEDS, DRAWS = 120, 3, 40
METRICS = ("auc", "gauc", "logloss")
METHODS = ("plain", "mine", "other")
A, B, C = (f"logistic/{weighting}" for weighting in ("mine", "plain", "other"))


def _cell(dataset, weighting, seed):
    parts = (Component(name, name, 1, "d", "1") for name in (dataset, "logistic", weighting))
    return Cell(next(parts), "0" * 16, next(parts), next(parts), {}, METRICS, seed)


def _predictions(dataset, weighting, seed):
    """Labels of a data set, one of them missing, and the scores of a method with a seed of its own."""
    data = np.random.default_rng(len(dataset))
    labels = (data.random((2, ROWS)) < 0.4).astype(np.float32)
    labels[1, :7] = np.nan
    own = np.random.default_rng([METHODS.index(weighting), seed])
    scores = np.clip(own.normal(0.4, 0.1, (2, ROWS)) + 0.1 * np.nan_to_num(labels), 0.01, 0.99)
    return {
        "row": np.arange(ROWS) + 1000,
        "session": np.arange(ROWS) // 4,
        "label_click": labels[0],
        "score_click": scores[0],
        "label_pay": labels[1],
        "score_pay": scores[1],
    }


def _publish(store, dataset, weighting, seed, predictions):
    cell = _cell(dataset, weighting, seed)
    staging = store.staging_folder(cell.run_id)
    write_run(staging, RunRecord(cell.run_id, cell, "ok", TIME, TIME, {"total": 1.0}))
    metrics = {"task": ["click"], "metric": ["auc"], "value": [0.6], "higher_is_better": [True]}
    write_table(staging, "metrics", metrics)
    if predictions is not None:
        write_predictions(staging, predictions)
    store.publish(staging, cell.run_id)


def _make(folder, change=lambda dataset, weighting, seed, predictions: predictions, datasets=("toys",)):
    """A store and its plan; ``change`` may alter the predictions of a run, or take them away."""
    store = Store.open(folder / "store")
    runs = [(d, w, seed) for d in datasets for seed in range(SEEDS) for w in METHODS]
    for run in runs:
        _publish(store, *run, change(*run, _predictions(*run)))
    Index(store).refresh()
    cells = tuple(PlannedCell(_cell(d, w, seed).run_id, d, "logistic", w, seed) for d, w, seed in runs)
    return store, StoredPlan("tiny", 1, "d", cells, metrics=METRICS)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return _make(tmp_path_factory.mktemp("sessions"), datasets=("toys", "games"))


@pytest.fixture(scope="module")
def frame(made):
    return session_variance(*made, [(A, B), (C, B)], METRICS, DRAWS)


def _row(frame, dataset="toys", task="click", metric="auc", candidate=A):
    keys = {"dataset": dataset, "task": task, "metric": metric, "candidate": candidate}
    (row,) = [r for r in frame.to_dict("records") if keys.items() <= r.items()]
    return row


def test_a_row_for_each_data_set_task_metric_and_pair(frame):
    assert list(frame.columns) == SESSION_COLUMNS
    keys = ["dataset", "task", "metric", "candidate", "reference"]
    expected = [
        (dataset, task, metric, candidate, B)
        for dataset in ("games", "toys")
        for task in ("click", "pay")
        for metric in ("auc", "logloss")
        for candidate in (A, C)
    ]
    assert list(frame[keys].itertuples(index=False, name=None)) == expected


@pytest.mark.parametrize("task", ["click", "pay"])
@pytest.mark.parametrize("metric", ["auc", "logloss"])
def test_the_numbers_are_those_of_the_paired_bootstrap(frame, task, metric):
    runs = {w: [_predictions("toys", w, seed) for seed in range(SEEDS)] for w in ("mine", "plain")}
    first = runs["plain"][0]
    a, b = (np.stack([run[f"score_{task}"] for run in runs[w]]).astype(np.float32) for w in ("mine", "plain"))
    expected = paired_bootstrap(first[f"label_{task}"], first["session"], a, b, metric, draws=DRAWS)
    row = _row(frame, task=task, metric=metric)
    assert {name: row[name] for name in vars(expected)} == pytest.approx(vars(expected))
    assert row["note"] == ""
    # The first seven rows have no label of the second task: one session of four rows is gone, half another stays.
    assert row["sessions"] == (30 if task == "click" else 29)


@pytest.mark.parametrize(("pairs", "methods"), [([(A, B)], 2), ([(A, B), (C, B), (A, C)], 3)])
def test_the_runs_of_the_pairs_are_read_once_each(made, monkeypatch, pairs, methods):
    read = []

    def reading(folder, name):
        read.append(folder)
        return read_table(folder, name)

    monkeypatch.setattr(module, "read_table", reading)
    session_variance(*made, pairs, ["auc"], DRAWS)
    assert len(read) == len(set(read)) == 2 * methods * SEEDS


def test_a_pair_is_compared_where_both_are_planned(made):
    store, plan = made
    cells = tuple(c for c in plan.cells if (c.dataset, c.weighting) != ("games", "mine"))
    frame = session_variance(store, StoredPlan("tiny", 1, "d", cells), [(A, B), (C, B)], ["auc"], DRAWS)
    assert set(frame[frame["candidate"] == A]["dataset"]) == {"toys"}
    assert set(frame[frame["candidate"] == C]["dataset"]) == {"toys", "games"}


def test_seeds_without_predictions_are_left_out_and_named(tmp_path):
    def change(dataset, weighting, seed, predictions):
        return None if (weighting, seed) in {("mine", 1), ("other", 0), ("other", 1), ("other", 2)} else predictions

    store, plan = _make(tmp_path, change)
    frame = session_variance(store, plan, [(A, B), (C, B)], METRICS, DRAWS)
    row = _row(frame)
    assert (row["seeds"], row["note"]) == (2, "without predictions on both sides: seeds 1")
    whole = [_predictions("toys", w, seed) for seed in (0, 2) for w in ("mine", "plain")]
    a, b = (np.stack([run["score_click"] for run in side]).astype(np.float32) for side in (whole[::2], whole[1::2]))
    expected = paired_bootstrap(whole[0]["label_click"], whole[0]["session"], a, b, "auc", draws=DRAWS)
    assert row["se_sessions"] == pytest.approx(expected.se_sessions)
    nothing = _row(frame, task="", metric="", candidate=C)
    assert (nothing["seeds"], nothing["note"]) == (0, "no seed has predictions on both sides")
    assert math.isnan(nothing["difference"])
    text = render(Document("t", (), tuple(session_sections(frame)), (), {}), "table")
    assert "no seed has" in text
    assert "nan" not in text


@pytest.mark.parametrize("column", ["row", "session", "label_pay"])
def test_runs_that_were_tested_on_other_rows_are_named(tmp_path, column):
    def change(dataset, weighting, seed, predictions):
        if (weighting, seed) == ("mine", 2):
            predictions[column] = predictions[column][::-1].copy()
        return predictions

    store, plan = _make(tmp_path, change)
    message = r"\(logistic/mine, seed 2\) were not tested on the same rows of toys with the same labels"
    with pytest.raises(UsageError, match=message):
        session_variance(store, plan, [(A, B)], METRICS, DRAWS)
    # Who is not in the pair does not matter.
    assert len(session_variance(store, plan, [(C, B)], METRICS, DRAWS)) == 4


def test_what_is_unknown_is_refused(made):
    with pytest.raises(UsageError, match="tiny@1 has no method 'logistic/mien'; did you mean 'logistic/mine'"):
        session_variance(*made, [("logistic/mien", B)], METRICS)
    with pytest.raises(UsageError, match="none of gauc has a bootstrap over sessions; those that do are auc, logloss"):
        session_variance(*made, [(A, B)], ["gauc"])


def test_no_pairs_are_an_empty_frame(made):
    frame = session_variance(*made, [], METRICS)
    assert list(frame.columns) == SESSION_COLUMNS
    assert list(session_sections(frame)) == []


def test_a_section_a_pair_shows_both_errors_and_which_is_larger(frame):
    sections = list(session_sections(frame))
    assert [s.title for s in sections] == [f"A: {candidate}, B: {B} · seeds and test sessions" for candidate in (A, C)]
    columns = [column.title for column in sections[0].columns]
    assert "note" not in columns
    row = dict(zip(columns, sections[0].rows[0], strict=True))
    numbers = _row(frame, dataset="games")
    assert (row["data set"], row["task"], row["metric"], row["n"], row["sessions"]) == (
        "games",
        "click",
        "auc",
        "3",
        "30",
    )
    assert row["A - B"].startswith(f"{numbers['difference']:+.5f} ± ")
    assert row["se of sessions"] == f"{numbers['se_sessions']:.5f}"
    assert row["limited by"] == numbers["limited_by"] in ("seeds", "sessions")
    assert row["sessions alone"] == f"[{numbers['session_low']:+.5f}, {numbers['session_high']:+.5f}]"


@pytest.mark.parametrize("fmt", ["table", "markdown", "latex", "html", "csv", "json"])
def test_every_format_takes_it(frame, fmt):
    tables = {"sessions": frame}
    text = render(Document("t", (), tuple(session_sections(frame)), (SESSION_FOOTNOTE,), tables), fmt)
    assert "games" in text
