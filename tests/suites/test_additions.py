from __future__ import annotations

from dataclasses import replace

import pytest

from rmtl_bench import WeightingInfo
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.execution.planning import stored_plan
from rmtl_bench.plugins import Registry, load_plugins
from rmtl_bench.plugins.registry import Origin
from rmtl_bench.report.stored_suite import find_plan
from rmtl_bench.store import Store, plan_names, save_plan
from rmtl_bench.suites import expand, read_variant, split_additions


@pytest.fixture(scope="module")
def registry(toy_plugin, toy_suite) -> Registry:
    """The toy plugin's registry, the toy suite shipped, and two things that bear one name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RMTL_BENCH_LOAD_PLUGINS", "")
        registry = load_plugins([toy_plugin]).registry
    registry.suites.append((toy_suite, Origin("toy", "1")))
    for name in ("toy-needy", "sample", "ä"):
        registry.add("weighting", WeightingInfo(name=name, target="nowhere:Nothing", summary=""), Origin("toy", "1"))
    return registry


def test_a_weighting_is_added_to_every_block_of_the_grid_and_nothing_else_changes(registry):
    own, more = read_variant(registry, "toy"), read_variant(registry, "toy+toy-heir")
    assert more.title_line == "toy+toy-heir@1"
    assert [block["weightings"] for block in more.grid] == [
        ("toy-equal", "toy-mgda", "toy-heir"),
        ("toy-equal", "toy-heir"),
    ]
    assert [block["backbones"] for block in more.grid] == [("toy-logistic",), ("toy-needy",)]
    assert more.notes == ("weighting toy-heir added to toy@1",)
    assert replace(more, name="toy", components=own.components, grid=own.grid, notes=own.notes) == own


def test_the_runs_of_the_suite_itself_are_not_made_again(registry):
    own, more = (expand(read_variant(registry, name), registry, lambda _: "f") for name in ("toy", "toy+toy-heir"))
    ids = [{cell.run_id for cell in plan.cells} for plan in (own, more)]
    assert ids[0] < ids[1]
    assert {cell.weighting.name for cell in more.cells if cell.run_id not in ids[0]} == {"toy-heir"}
    assert len(more.cells) == len(own.cells) + 3


def test_backbones_and_data_sets_are_added_likewise(registry, toy_suite, tmp_path):
    path = tmp_path / "c++.toml"
    cut = toy_suite.read_text().replace("[datasets.toy-sessions]", "[datasets.other]\nplugin = 'toy-sessions'")
    path.write_text(
        cut.partition("[sample]")[0].replace("[backbones.toy-logistic]", "").replace("toy-logistic", "toy-needy")
    )
    suite = read_variant(registry, f"{path}+toy-logistic+toy-sessions")
    assert suite.name == "toy+toy-logistic+toy-sessions"
    assert suite.grid[0] == {
        "datasets": ("other", "toy-sessions"),
        "backbones": ("toy-needy", "toy-logistic"),
        "weightings": ("toy-equal", "toy-mgda"),
    }
    assert suite.notes == ("dataset toy-sessions and backbone toy-logistic added to toy@1",)


@pytest.mark.parametrize(
    ("wanted", "suite", "added", "name"),
    [
        ("toy", "toy", (), "toy"),
        ("toy@2", "toy@2", (), "toy@2"),
        ("toy+a", "toy", ("a",), "toy+a"),
        ("toy+a@2", "toy@2", ("a",), "toy+a@2"),
        ("toy@2+a", "toy@2", ("a",), "toy+a@2"),
        ("toy+b+a+b", "toy", ("a", "b"), "toy+a+b"),
        ("c++/toy.toml", "c++/toy.toml", (), None),
        ("c++/toy.toml+b+a", "c++/toy.toml", ("a", "b"), None),
    ],
)
def test_what_is_added_stands_behind_the_suite(wanted, suite, added, name):
    found = split_additions(wanted)
    assert (found.suite, found.added) == (suite, added)
    assert name is None or found.name == name


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("toy-hier", "no weighting, backbone or dataset is called 'toy-hier', .*; did you mean 'toy-heir'"),
        ("auc", "no weighting, backbone or dataset is called 'auc'"),
        ("toy-mgda", "suite 'toy' has the weighting 'toy-mgda' already"),
        ("toy-needy", "'toy-needy' is a backbone and a weighting: write a suite file"),
        ("sample", "its sample is asked for by --sample"),
        ("", "nothing stands behind the '.' of a suite's name"),
        ("ä", "'ä' cannot be added to a suite by its name"),
    ],
)
def test_what_cannot_be_added_is_refused(registry, added, message):
    with pytest.raises(UsageError, match=message):
        read_variant(registry, f"toy+{added}")


def test_precision_and_sample_go_with_it(registry):
    for wanted, precision in (("toy+toy-heir", "bf16"), ("toy-bf16+toy-heir", "")):
        suite = read_variant(registry, wanted, sample=True, precision=precision)
        assert suite.title_line == "toy-bf16+toy-heir@1 (sample)"
        assert suite.trainer["precision"] == "bf16"
        assert suite.seeds == 2


def test_its_plan_stands_beside_that_of_the_suite_and_is_found_by_its_name(registry, toy_suite, tmp_path):
    store = Store.open(tmp_path)
    for name in ("toy", "toy+toy-heir"):
        for sample in (False, True):
            suite = read_variant(registry, name, sample=sample)
            save_plan(store, stored_plan(expand(suite, registry, lambda _: "f")))
    assert set(plan_names(store)) == {"toy@1", "toy@1+sample", "toy+toy-heir@1", "toy+toy-heir@1+sample"}
    for wanted in ("toy+toy-heir", "toy@1+toy-heir", "toy+toy-heir@1", f"{toy_suite}+toy-heir"):
        plan = find_plan(store, wanted)
        assert (plan.suite, plan.sample) == ("toy+toy-heir", False)
        assert "toy-heir" in {cell.weighting for cell in plan.cells}
    assert find_plan(store, "toy+toy-heir+sample").sample
    assert "toy-heir" not in {cell.weighting for cell in find_plan(store, "toy").cells}
    with pytest.raises(UsageError, match=r"suite 'toy\+toy-hier' has not been run in .*; did you mean"):
        find_plan(store, "toy+toy-hier")
