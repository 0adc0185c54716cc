from __future__ import annotations

import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.execution.planning import stored_plan
from rmtl_bench.plugins import Registry
from rmtl_bench.plugins.registry import Origin
from rmtl_bench.store import Store, load_plan, save_plan
from rmtl_bench.suites import expand, read_variant, with_precision


def test_another_precision_makes_another_suite_whose_tables_say_so(suite):
    own = suite()
    changed = with_precision(own, "bf16")
    assert changed.title_line == "toy-bf16@1"
    assert changed.trainer == {**own.trainer, "precision": "bf16"}
    assert changed.notes == ("precision bf16 in place of float32, which toy@1 has",)
    assert with_precision(suite(sample=True), "tf32").title_line == "toy-tf32@1 (sample)"


def test_the_suites_own_precision_changes_nothing(suite):
    assert with_precision(suite(), "float32") == suite()
    own = suite("patience = 1", 'patience = 1\nprecision = "bf16"')
    assert with_precision(own, "bf16") == own
    assert with_precision(own, "float32").title_line == "toy-float32@1"


def test_an_unknown_precision_is_refused_with_what_there_is(suite):
    with pytest.raises(UsageError, match=r"'precision' is 'bf32'; it takes one of 'float32', 'tf32', 'bf16'"):
        with_precision(suite(), "bf32")


def test_no_run_is_taken_for_one_of_another_precision(suite, registry):
    plans = [expand(with_precision(suite(), name), registry, lambda _: "f") for name in ("float32", "tf32", "bf16")]
    ids = [{cell.run_id for cell in plan.cells} for plan in plans]
    assert len(set().union(*ids)) == sum(map(len, ids))
    assert [cell.label for cell in plans[0].cells] == [cell.label for cell in plans[2].cells]


def test_both_plans_stand_side_by_side_in_a_store(suite, registry, tmp_path):
    store = Store.open(tmp_path)
    for name in ("float32", "bf16"):
        save_plan(store, stored_plan(expand(with_precision(suite(), name), registry, lambda _: "f")))
    own, changed = load_plan(store, "toy"), load_plan(store, "toy-bf16", 1)
    assert own.notes == ()
    assert "bf16" in changed.notes[0]
    assert not {cell.run_id for cell in own.cells} & {cell.run_id for cell in changed.cells}


@pytest.fixture
def shipped(toy_suite, edited):
    registry = Registry()
    registry.suites.append((toy_suite, Origin("toy", "1")))
    return registry


def test_a_suite_under_another_precision_is_found_by_its_name(shipped):
    for wanted in ("toy-bf16", "toy-bf16@1"):
        found = read_variant(shipped, wanted, sample=True)
        assert found == read_variant(shipped, "toy", sample=True, precision="bf16")
        assert found.title_line == "toy-bf16@1 (sample)"
    with pytest.raises(UsageError, match="unknown suite 'toy@2'"):
        read_variant(shipped, "toy-bf16@2")


def test_a_suite_that_is_called_so_comes_first(shipped, edited):
    shipped.suites.append((edited('name = "toy"', 'name = "toy-bf16"'), Origin("other", "1")))
    assert "precision" not in read_variant(shipped, "toy-bf16").trainer


def test_what_no_suite_is_called_is_refused_as_it_was_written(shipped):
    for wanted in ("else-bf16", "toy-fp16"):
        with pytest.raises(UsageError, match=f"unknown suite '{wanted}'"):
            read_variant(shipped, wanted)
