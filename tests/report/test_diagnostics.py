from __future__ import annotations

import io
import json
import math

import pandas as pd
import pytest

from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.contracts.errors import StoreError, UsageError
from rmtl_bench.report import FORMATS, diagnostics_document, read_diagnostics, render
from rmtl_bench.store import PlannedCell, Store, StoredPlan, save_plan
from rmtl_bench.store.run_files import RunRecord, write_run, write_table

TIME = "2026-01-01T00:00:00.000+00:00"
SEEDS = 3
QUANTILES = ("q05", "q25", "q50", "q75", "q95")


def _cell(weighting: str, seed: int) -> Cell:
    dataset, backbone, other = (Component(n, n, 1, "d", "1") for n in ("sessions", "ple", weighting))
    return Cell(dataset, "0" * 16, backbone, other, {}, ("logloss", "auc"), seed)


def _rows(names, rows):
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _publish(store, weighting, seed, history=(), weights=(), diagnostics=None, status="ok", warnings=()):
    cell = _cell(weighting, seed)
    staging = store.staging_folder(cell.run_id)
    facts = {"warnings": list(warnings)} if warnings else {}
    write_run(staging, RunRecord(cell.run_id, cell, status, TIME, TIME, {"total": 1.0}, facts=facts))
    columns = ("task", "metric", "value", "higher_is_better")
    write_table(staging, "metrics", _rows(columns, [("click", "auc", 0.7, True)]))
    write_table(staging, "history", _rows(("stage", "epoch", "task", "quantity", "value"), history))
    write_table(staging, "weights", _rows(("stage", "epoch", "task", "mean", *QUANTILES), weights))
    if diagnostics is not None:
        write_table(staging, "diagnostics", _rows(("task", "quantity", "value", "position"), diagnostics))
    return store.publish(staging, cell.run_id)


def _plan(labels, seeds=SEEDS, **more) -> StoredPlan:
    cells = tuple(
        PlannedCell(_cell(plugin, seed).run_id, "sessions", "ple", label, seed)
        for seed in range(seeds)
        for label, plugin in labels.items()
    )
    return StoredPlan("tiny", 1, "d", cells=cells, title="A suite", metrics=("logloss", "auc"), **more)


def _history(seed, epochs):
    rows = []
    for epoch in range(1, epochs + 1):
        rows += [("critics", epoch, "click", "td-error", seed + epoch / 10), ("critics", epoch, "", "score", 0.5)]
        rows += [("critics", epoch, "click", "train-loss", 0.25), ("critics", epoch, "click", "auc", 0.5)]
    return rows


def _weights(stage, value, spread=0.0):
    return [(stage, 1, task, value, *(value + q * spread for q in (-2, -1, 0, 1, 2))) for task in ("click", "pay")]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """``mine`` varies its weights and speaks, its last seed ended an epoch before the others; ``plain`` is silent."""
    # A pattern of DuckDB's in the path of a store is a name all the same.
    store = Store.open(tmp_path_factory.mktemp("diagnostics[1]") / "store")
    for seed in range(SEEDS):
        _publish(store, "equal", seed, [("train", 1, "click", "train-loss", 0.6)], _weights("train", 1.0))
        final = [("click", "correlation", seed / 10, -1), ("pay", "correlation", math.nan, -1)]
        final += [("click", "weight-mean", seed + position, position) for position in range(2 + (seed == 0))]
        weights = _weights("pre-train", 1.0) + _weights("critics", 1.5 + seed / 4, 0.125)
        warned = ("a weight <was> clipped",) if seed else ()
        _publish(store, "rmtl", seed, _history(seed, 3 if seed < 2 else 2), weights, final, warnings=warned)
    save_plan(store, _plan({"plain": "equal", "mine": "rmtl"}, notes=("read this first",)))
    return store


@pytest.fixture(scope="module")
def stored(store):
    return read_diagnostics(store, "tiny")


def _section(document, title):
    (section,) = (s for s in document.sections if title in s.title)
    return [c.title for c in section.columns], section.rows


def test_an_epoch_is_averaged_over_the_seeds_that_have_it(stored):
    rows = stored.epochs[stored.epochs["quantity"] == "td-error"].set_index("epoch")
    assert rows["mean"].to_dict() == pytest.approx({1: 1.1, 2: 1.2, 3: 0.8})
    assert rows["sd"].to_dict() == pytest.approx({1: 1.0, 2: 1.0, 3: math.sqrt(0.5)})
    assert rows["n"].to_dict() == {1: 3, 2: 3, 3: 2}
    columns, shown = _section(diagnostics_document(stored), "critics · td-error by epoch")
    assert columns == ["method", "task", "n", "1", "2", "3"]
    assert shown == (("ple/mine", "click", "3", "1.1000", "1.2000", "0.8000 (2)"),)


def test_usual_quantities_and_metrics_are_shown_when_they_are_asked_for(stored):
    titles = [s.title for s in diagnostics_document(stored).sections]
    assert not any(word in title for title in titles for word in ("train-loss", "score", "auc"))
    asked = diagnostics_document(stored, ["train-loss", "score"])
    titles = [s.title for s in asked.sections]
    assert titles == [
        f"sessions · {end} by epoch" for end in ("train · train-loss", "critics · score", "critics · train-loss")
    ]
    assert _section(asked, "score")[1][0][:2] == ("ple/mine", "-")
    assert "td-error" in asked.footnotes[-1]


def test_an_unknown_quantity_is_refused_with_a_hint(stored):
    with pytest.raises(UsageError, match="unknown quantity 'td-eror'; did you mean 'td-error'"):
        diagnostics_document(stored, ["td-eror"])


def test_weights_are_shown_where_they_are_not_all_the_same(stored):
    document = diagnostics_document(stored)
    titles = [s.title for s in document.sections if "weights by epoch" in s.title]
    assert [title.split(" · ")[1] for title in titles] == ["critics"]
    columns, shown = _section(document, "weights by epoch")
    assert columns[3:] == ["1"]
    assert shown[0] == ("ple/mine", "click", "3", "1.750\n[1.500, 2.000]")
    only = diagnostics_document(stored, ["weights"])
    assert [s.title for s in only.sections] == titles


def test_final_diagnostics_have_their_deviation_and_undefined_ones_a_dash(stored):
    columns, shown = _section(diagnostics_document(stored), "mean ± standard deviation")
    assert columns == ["method", "task", "n", "correlation"]
    assert shown == (("ple/mine", "click", "3", "0.1000 ± 0.1000"), ("ple/mine", "pay", "0", "-"))


def test_diagnostics_by_position_have_a_column_a_position(stored):
    columns, shown = _section(diagnostics_document(stored), "weight-mean by position")
    assert columns == ["method", "task", "n", "0", "1", "2"]
    assert shown == (("ple/mine", "click", "3", "1.0000", "2.0000", "2.0000 (1)"),)


def test_one_run_stands_under_each_of_its_labels(store, tmp_path):
    save_plan(store, _plan({"one": "rmtl", "two": "rmtl"}, sample=True))
    frame = read_diagnostics(store, "tiny", sample=True).epochs
    one, two = (frame[frame["weighting"] == label].drop(columns="weighting") for label in ("one", "two"))
    assert len(one) > 5
    pd.testing.assert_frame_equal(one.reset_index(drop=True), two.reset_index(drop=True))


def test_notes_say_what_the_runs_warned_of(stored):
    notes = diagnostics_document(stored).notes
    assert notes == ("read this first", "warning from 2 runs: a weight <was> clipped")


@pytest.mark.parametrize("fmt", ["table", "markdown", "latex", "html"])
def test_text_formats_hold_every_section(stored, fmt):
    text = render(diagnostics_document(stored), fmt).replace("\\", "")
    for word in ("td-error by epoch", "weights by epoch", "0.8000 (2)", "weight-mean by position", "1.500, 2.000"):
        assert word in text, word


def test_csv_and_json_hold_the_long_frames_whatever_is_asked_for(stored):
    document = diagnostics_document(stored, ["td-error"])
    content = json.loads(render(document, "json"))
    labels = ["dataset", "backbone", "weighting"]
    wanted = {
        "epochs": [*labels, "stage", "epoch", "task", "quantity", "mean", "sd", "n"],
        "weights": [*labels, "stage", "epoch", "task", "mean", "sd", *QUANTILES, "n"],
        "diagnostics": [*labels, "task", "quantity", "position", "mean", "sd", "n"],
    }
    for name, columns in wanted.items():
        assert [list(row) for row in content[name][:1]] == [columns]
    undefined = [row for row in content["diagnostics"] if row["task"] == "pay"]
    assert [(row["mean"], row["n"]) for row in undefined] == [(None, 0)]
    table = pd.read_csv(io.StringIO(render(document, "csv")))
    assert table["table"].value_counts().to_dict() == {name: len(content[name]) for name in wanted}


def test_a_wide_grid_is_split_to_the_width_of_a_terminal(tmp_path):
    store = Store.open(tmp_path / "store")
    history = [("train", epoch, "click", "td-error", epoch / 100) for epoch in range(1, 31)]
    _publish(store, "rmtl", 0, history)
    save_plan(store, _plan({"mine": "rmtl"}, seeds=1))
    document = diagnostics_document(read_diagnostics(store, "tiny"))
    assert [s.title[-8:] for s in document.sections] == [f"({i} of 3)" for i in (1, 2, 3)]
    assert [c.title for s in document.sections for c in s.columns[3:]] == [str(epoch) for epoch in range(1, 31)]
    assert max(map(len, render(document, "table").splitlines())) <= 120


@pytest.mark.parametrize("fmt", FORMATS)
def test_runs_that_say_nothing_are_said_to_in_one_line(tmp_path, fmt):
    store = Store.open(tmp_path / "store")
    _publish(store, "equal", 0, [("train", 1, "click", "train-loss", 0.6)], _weights("train", 0.1 + 0.2))
    save_plan(store, _plan({"plain": "equal"}))
    document = diagnostics_document(read_diagnostics(store, "tiny"))
    assert document.sections == document.footnotes == ()
    assert document.notes == (
        "2 of 3 planned runs have not ended well; they are left out",
        "no weighting of these runs says anything of itself, and no weight varies; "
        "--quantity NAME shows one of train-loss",
    )
    assert render(document, fmt).strip()


def test_a_suite_without_a_run_that_ended_well_is_refused(tmp_path):
    store = Store.open(tmp_path / "store")
    _publish(store, "rmtl", 0, _history(0, 1), status="failed")
    save_plan(store, _plan({"mine": "rmtl"}))
    with pytest.raises(UsageError, match=r"no run of tiny@1 in .* has ended well yet"):
        read_diagnostics(store, "tiny")


def test_a_table_that_is_not_whole_is_named(tmp_path):
    store = Store.open(tmp_path / "store")
    _publish(store, "rmtl", 0, _history(0, 1))
    broken = _publish(store, "rmtl", 1, _history(1, 1)) / "history.parquet"
    broken.write_bytes(broken.read_bytes()[:40])
    save_plan(store, _plan({"mine": "rmtl"}))
    with pytest.raises(StoreError, match=r"history\.parquet cannot be read") as caught:
        read_diagnostics(store, "tiny")
    assert str(broken) in str(caught.value)


def test_the_command_shows_it_and_writes_it(rmtl_bench, store, tmp_path):
    options = ("diagnostics", "--suite", "tiny@1", "--store", store.path)
    shown = rmtl_bench(*options, "--quantity", "td-error")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "tiny@1: A suite" in shown.stdout
    assert "td-error by epoch" in shown.stdout
    assert "weights by epoch" not in shown.stdout
    target = tmp_path / "said.json"
    written = rmtl_bench(*options, "--format", "json", "--output", target)
    assert (written.returncode, written.stdout) == (0, "")
    assert len(json.loads(target.read_text())["epochs"]) == 3 * 4 + 1
    refused = rmtl_bench(*options, "--quantity", "td-eror")
    assert refused.returncode == 2
    assert refused.stderr == "error: unknown quantity 'td-eror'; did you mean 'td-error'?\n"
