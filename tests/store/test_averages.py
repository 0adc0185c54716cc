from __future__ import annotations

import math

import pytest

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.store import Index, PlannedCell
from rmtl_bench.store.averages import average_over_seeds
from rmtl_bench.store.run_files import write_table

LABELS = ("dataset", "backbone", "weighting")


def _history(folder, values, stage="train"):
    columns = {"stage": stage, "epoch": 1, "task": "click", "quantity": "loss"}
    repeated = {name: [value] * len(values) for name, value in columns.items()}
    write_table(folder, "history", {**repeated, "epoch": list(range(1, len(values) + 1)), "value": values})


@pytest.fixture
def runs(store, publish, make_cell):
    """Publish runs with these histories by seed; return the cells that were planned and the folders of the runs."""

    def make(histories, labels=("fixed",)):
        cells = [
            PlannedCell(make_cell(seed).run_id, "toy", "mmoe", label, seed)
            for seed in range(len(histories))
            for label in labels
        ]
        for seed, values in enumerate(histories):
            folder = publish(store, seed)
            if values is not None:
                _history(folder, values)
        index = Index(store)
        index.refresh()
        return cells, index.folders([cell.run_id for cell in cells])

    return make


def test_values_are_averaged_over_the_seeds_that_have_them(runs):
    found = average_over_seeds("history", *runs([[1.0, 5.0, math.nan], [2.0, math.nan], [6.0], None]))
    assert found["epoch"].tolist() == [1, 2, 3]
    assert found["mean"].tolist() == pytest.approx([3.0, 5.0, math.nan], nan_ok=True)
    assert found["sd"].tolist() == pytest.approx([math.sqrt(7), math.nan, math.nan], nan_ok=True)
    assert found["n"].tolist() == [3, 1, 0]


def test_a_value_that_is_infinite_is_left_out_and_fails_nothing(runs):
    found = average_over_seeds("history", *runs([[1.0], [math.inf], [3.0]]))
    assert (found["mean"].tolist(), found["n"].tolist()) == ([2.0], [2])


def test_methods_come_in_the_plans_order_and_a_run_under_each_label(runs):
    found = average_over_seeds("history", *runs([[1.0], [2.0, 3.0]], labels=("z", "a")))
    assert found["weighting"].tolist() == ["z", "z", "a", "a"]
    assert found["mean"].tolist() == [1.5, 3.0, 1.5, 3.0]


def test_nothing_to_average_has_the_columns_all_the_same(runs):
    cells, folders = runs([[1.0]])
    for table, keys in (("diagnostics", ["task", "quantity", "position"]), ("history", None)):
        found = average_over_seeds(table, cells, folders if keys else {})
        assert list(found) == [*LABELS, *(keys or ["stage", "epoch", "task", "quantity"]), "mean", "sd", "n"]
        assert all(len(column) == 0 for column in found.values())


def test_the_order_within_a_method_is_the_order_it_was_written_in(runs, store, publish):
    cells, folders = runs([None])
    columns = {"task": ["pay", "click"], "quantity": ["z", "a"], "value": [1.0, 2.0], "position": [-1, -1]}
    write_table(folders[cells[0].run_id], "diagnostics", columns)
    assert average_over_seeds("diagnostics", cells, folders)["quantity"].tolist() == ["z", "a"]


def test_weights_have_the_mean_of_each_quantile(runs):
    cells, folders = runs([None, None])
    for value, cell in zip((1.0, 3.0), cells, strict=True):
        quantiles = {q: [value + i] for i, q in enumerate(("q05", "q25", "q50", "q75", "q95"))}
        columns = {"stage": ["train"], "epoch": [1], "task": ["pay"], "mean": [value], **quantiles}
        write_table(folders[cell.run_id], "weights", columns)
    found = average_over_seeds("weights", cells, folders)
    assert (found["mean"][0], found["q05"][0], found["q95"][0], found["n"][0]) == (2.0, 2.0, 6.0, 2)


def test_a_file_that_is_not_whole_is_named(runs):
    cells, folders = runs([[1.0], [2.0]])
    broken = folders[cells[1].run_id] / "history.parquet"
    broken.write_bytes(b"PAR1")
    with pytest.raises(StoreError) as error:
        average_over_seeds("history", cells, folders)
    assert str(broken) in str(error.value)


def test_folders_and_warnings_are_of_the_latest_attempt_that_ended_well(store, index, publish, make_cell):
    first, _, third = (publish(store, 0, status) for status in ("ok", "failed", "ok"))
    publish(store, 0, "failed")
    publish(store, 1, "failed")
    index.refresh()
    assert first != third
    assert index.folders() == {make_cell(0).run_id: third}
    assert index.folders([make_cell(1).run_id]) == {}
    assert index.warnings() == {}
