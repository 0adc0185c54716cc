from __future__ import annotations

import math

import numpy as np
import pytest

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store import Index, PlannedCell
from rmtl_bench.store.calibration import BINS, RELIABILITY_COLUMNS, STEPS, reliability
from rmtl_bench.store.run_files import write_predictions


@pytest.fixture
def runs(store, publish, make_cell):
    """Publish a run a seed with these predictions, ``{task: (labels, scores)}`` each, and return cells and folders."""

    def make(predictions):
        cells = [PlannedCell(make_cell(seed).run_id, "toy", "mmoe", "fixed", seed) for seed in range(len(predictions))]
        for seed, tasks in enumerate(predictions):
            folder = publish(store, seed)
            if tasks is None:
                continue
            rows = len(next(iter(tasks.values()))[0])
            columns = {"row": np.arange(rows), "session": np.arange(rows)}
            for task, (labels, scores) in tasks.items():
                columns |= {f"label_{task}": np.float32(labels), f"score_{task}": np.float32(scores)}
            write_predictions(folder, columns)
        index = Index(store)
        index.refresh()
        return cells, index.folders([cell.run_id for cell in cells])

    return make


def _drawn(seed, rows=4000, rate=0.3):
    rng = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-rng.normal(math.log(rate / (1 - rate)), 1, rows)))
    return (rng.random(rows) < scores).astype(float), scores.astype(np.float32).astype(float)


def _of(found, task):
    chosen = found["task"] == task
    return {name: values[chosen] for name, values in found.items()}


def _numpy(labels, scores, bins):
    """The same bins by sorting, the grid of log-odds kept whole."""
    step = np.floor(np.log(scores / (1 - scores)) * STEPS)
    _, inverse, counts = np.unique(step, return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / len(scores)
    place = np.floor(middle * bins)[inverse]
    return [(np.sum(place == b), scores[place == b].mean(), labels[place == b].mean()) for b in np.unique(place)]


@pytest.mark.parametrize(("bins", "rate"), [(10, 0.3), (BINS, 0.005)])
def test_bins_are_those_of_numpy_over_all_seeds(runs, bins, rate):
    parts = [_drawn(seed, rate=rate) for seed in range(3)]
    found = reliability(*runs([{"click": part} for part in parts]), bins)
    assert tuple(found) == RELIABILITY_COLUMNS
    right = _numpy(*(np.concatenate(values) for values in zip(*parts, strict=True)), bins)
    assert found["bin"].tolist() == list(range(bins))
    assert found["n"].tolist() == [n for n, _, _ in right]
    assert found["mean_score"].tolist() == pytest.approx([score for _, score, _ in right])
    assert found["mean_label"].tolist() == pytest.approx([label for _, _, label in right])


def test_bins_hold_nearly_as_many_rows_each(runs):
    counts = reliability(*runs([{"click": _drawn(0)}]), 10)["n"]
    assert counts.sum() == 4000
    assert abs(counts - 400).max() < 40


def test_missing_labels_and_scores_without_a_value_are_left_out(runs):
    labels = [1.0, math.nan, 0.0, 1.0]
    found = reliability(*runs([{"click": (labels, [0.2, 0.9, 0.2, math.nan])}]))
    assert found["n"].sum() == 2
    assert found["mean_label"].tolist() == [0.5]


def test_equal_scores_are_one_bin_and_certain_ones_no_error(runs):
    found = reliability(*runs([{"click": ([0.0, 1.0, 1.0, 0.0], [0.0, 0.5, 0.5, 1.0])}]), 4)
    assert found["mean_score"].tolist() == pytest.approx([0.0, 0.5, 1.0])
    assert found["n"].tolist() == [1, 2, 1]


def test_runs_may_have_other_tasks_and_names_that_sql_would_read(runs):
    odd = 'pay "x"; --'
    found = reliability(*runs([{"click": ([1.0], [0.5])}, {odd: ([0.0], [0.25])}, None]))
    assert _of(found, "click")["mean_label"].tolist() == [1.0]
    assert _of(found, odd)["mean_score"].tolist() == [0.25]


def test_no_predictions_have_the_columns_all_the_same(runs):
    found = reliability(*runs([None]))
    assert tuple(found) == RELIABILITY_COLUMNS
    assert all(len(values) == 0 for values in found.values())


def test_a_file_that_is_not_whole_is_named(runs):
    cells, folders = runs([{"click": ([1.0], [0.5])}, {"click": ([1.0], [0.5])}])
    broken = folders[cells[1].run_id] / "predictions.parquet"
    broken.write_bytes(b"PAR1")
    with pytest.raises(StoreError) as error:
        reliability(cells, folders)
    assert str(broken) in str(error.value)
