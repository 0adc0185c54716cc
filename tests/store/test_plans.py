from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rmtl_bench.contracts.errors import StoreError, UsageError
from rmtl_bench.store import PlannedCell, StoredPlan, load_plan, plan_names, save_plan

PLAN = StoredPlan(
    suite="paper",
    version=1,
    digest="abc",
    cells=(PlannedCell("0" * 16, "toy", "mmoe", "fixed", 0), PlannedCell("1" * 16, "toy", "mmoe", "rmtl", 0)),
    title="Does it?",
    notes=("toy: a stand-in",),
    metrics=("auc", "logloss"),
    statistics={"reference": "*/fixed", "equivalence": {"auc": 0.001}},
    skipped=({"label": "toy/needy/fixed", "reason": "requires moonlight"},),
)


def test_a_plan_comes_back_as_it_was_kept(store):
    path = save_plan(store, PLAN)
    assert path.parent == store.suites
    assert load_plan(store, "paper") == PLAN


def test_the_same_suite_file_may_be_planned_again_with_other_cells(store):
    save_plan(store, PLAN)
    save_plan(store, replace(PLAN, cells=PLAN.cells[:1]))
    assert len(load_plan(store, "paper").cells) == 1


def test_a_suite_file_that_changed_under_its_version_is_refused(store):
    save_plan(store, PLAN)
    with pytest.raises(StoreError, match=r"paper@1 is kept in .* \(digest abc, now abd\).*raise its version"):
        save_plan(store, replace(PLAN, digest="abd"))
    assert load_plan(store, "paper") == PLAN


def test_versions_and_samples_stand_beside_each_other(store):
    plans = [PLAN, replace(PLAN, version=10, digest="x"), replace(PLAN, version=9, digest="y")]
    sample = replace(PLAN, sample=True, digest="z")
    for plan in (*plans, sample, replace(PLAN, suite="control")):
        save_plan(store, plan)
    assert plan_names(store) == ["control@1", "paper@1", "paper@1+sample", "paper@9", "paper@10"]
    assert load_plan(store, "paper").version == 10
    assert load_plan(store, "paper", 9).digest == "y"
    assert load_plan(store, "paper", sample=True) == sample
    assert sample.name == "paper@1+sample"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("papr",), "suite 'papr' has not been run in"),
        (("paper", 2), "suite 'paper@2' has not been run in"),
        (("paper", None, True), "suite 'paper[+]sample' has not been run in"),
    ],
)
def test_a_plan_that_is_not_kept_is_refused_with_those_that_are(store, asked, said):
    save_plan(store, PLAN)
    with pytest.raises(UsageError, match=rf"{said} .*'?paper@1'?"):
        load_plan(store, *asked)


def test_a_store_without_a_folder_of_plans_has_none(store):
    store.suites.rmdir()
    assert plan_names(store) == []
    save_plan(store, PLAN)
    assert plan_names(store) == ["paper@1"]


@pytest.mark.parametrize("name", ["../paper", "a/b", "paper@2", "", ".hidden", "p+sample"])
def test_a_name_that_is_no_files_is_refused(store, name):
    with pytest.raises(StoreError, match="has other characters than letters"):
        save_plan(store, replace(PLAN, suite=name))
    assert list(store.suites.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: "{",
        lambda data: "[]",
        lambda data: json.dumps(data | {"format": 2}),
        lambda data: json.dumps(data | {"cells": [{"run_id": "x"}]}),
        lambda data: json.dumps(data | {"colour": "red"}),
        lambda data: json.dumps({key: value for key, value in data.items() if key != "notes"}),
    ],
)
def test_a_damaged_plan_is_an_error_that_names_the_file(store, damage):
    path = save_plan(store, PLAN)
    path.write_text(damage(json.loads(path.read_text())))
    with pytest.raises(StoreError, match=r"paper@1\.json (is no plan of a suite|has format 2)"):
        load_plan(store, "paper")
    with pytest.raises(StoreError):
        save_plan(store, PLAN)


def test_what_is_no_plan_in_the_folder_is_passed_over(store):
    save_plan(store, PLAN)
    for name in ("paper@1.json.0123.part", "paper.json", "paper@one.json", "notes.txt"):
        (store.suites / name).write_text("")
    assert plan_names(store) == ["paper@1"]
