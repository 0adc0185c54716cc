from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.contracts.schema import CategoricalField, Schema, Task

SCHEMA = Schema((CategoricalField("user", 7),), ("age",), (Task("click"), Task("pay", "click", "bought")))


def component(name: str, **parameters: object) -> Component:
    return Component(name, name, 1, "dist", "1.0", parameters)


CELL = Cell(
    component("d", rates=(0.1, 0.2)), "f" * 16, component("b"), component("w", x=1.0), {"batch_size": 8}, ("auc",), 3
)


def test_a_schema_survives_json() -> None:
    assert Schema.from_json(json.loads(json.dumps(SCHEMA.to_json()))) == SCHEMA


def test_the_parent_of_a_task_is_found_by_column() -> None:
    assert [SCHEMA.parent_index(k) for k in range(2)] == [None, 0]


@pytest.mark.parametrize(
    ("tasks", "fault"),
    [
        ((), "at least one task"),
        ((Task("a"), Task("a")), "twice"),
        ((Task("pay", "click"), Task("click")), "no earlier task"),
        ((Task("a", "a"),), "no earlier task"),
    ],
)
def test_an_impossible_schema_is_refused(tasks: tuple[Task, ...], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Schema((CategoricalField("user", 7),), (), tasks)


def test_a_cell_survives_json_with_the_same_run_id() -> None:
    again = Cell.from_json(json.loads(json.dumps(CELL.to_json())))
    assert again == CELL
    assert again.run_id == CELL.run_id


def test_everything_that_decides_numbers_is_in_the_run_id() -> None:
    changed = [
        replace(CELL, fingerprint="0" * 16),
        replace(CELL, seed=4),
        replace(CELL, trainer={"batch_size": 16}),
        replace(CELL, metrics=("auc", "logloss")),
        replace(CELL, backbone=component("b2")),
        replace(CELL, weighting=component("w", x=2.0)),
        replace(CELL, weighting=replace(CELL.weighting, distribution_version="1.1")),
        replace(CELL, weighting=replace(CELL.weighting, version=2)),
    ]
    assert len({cell.run_id for cell in [CELL, *changed]}) == len(changed) + 1


def test_the_ids_of_runs_that_build_on_none_stay_what_they_were() -> None:
    assert CELL.run_id == "02421380338c4f85"


def test_what_a_run_builds_on_is_in_its_id() -> None:
    first, second = (replace(CELL, source=source) for source in ("a" * 16, "b" * 16))
    assert len({cell.run_id for cell in (CELL, first, second)}) == 3
    assert Cell.from_json(first.to_json()) == first


def test_a_cell_that_was_written_before_there_were_sources_is_read() -> None:
    data = CELL.to_json()
    del data["source"]
    assert Cell.from_json(data) == CELL


def test_what_a_suite_calls_a_component_is_not() -> None:
    assert replace(CELL, backbone=replace(CELL.backbone, label="other")).run_id == CELL.run_id
