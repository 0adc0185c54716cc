"""Parts of a suite that need modules which are not installed."""

from __future__ import annotations

import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.plugins import load_plugins
from rmtl_bench.suites import datasets_of, expand

GRID = '[[grid]]\nbackbones = ["toy-logistic"]\nweightings = ["toy-equal", "toy-mgda"]\n'
INSTALL = "no_such_solver, which is not installed; type: pip install no-such-solver"


@pytest.fixture(scope="module")
def registry(toy_plugin):
    """What the toy plugin offers, and the one whose modules nobody has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RMTL_BENCH_LOAD_PLUGINS", "")
        return load_plugins([toy_plugin, toy_plugin.with_name("solver_plugin.py")]).registry


@pytest.fixture
def planned(suite, registry):
    """The plan of the toy suite with some texts replaced; data sets that nobody can load have no fingerprint."""

    def make(*changes):
        fingerprinted = []
        plan = expand(suite(*changes), registry, lambda component: fingerprinted.append(component.name) or "f" * 16)
        assert fingerprinted == ["toy-sessions"]
        return plan

    return make


def reasons(plan):
    return {skipped.label: skipped.reason for skipped in plan.skipped}


def labels(plan):
    return {cell.label.rpartition("/")[0] for cell in plan.cells}


def test_cells_of_a_weighting_that_lacks_a_module_are_skipped_once_with_the_command(planned):
    plan = planned(
        "[weightings.toy-mgda]",
        "[weightings.toy-mgda]\n[weightings.solver-weights]",
        '"toy-mgda"]',
        '"toy-mgda", "solver-weights"]',
    )
    assert reasons(plan)["toy-sessions/toy-logistic/solver-weights"] == f"weighting 'solver-weights' needs {INSTALL}"
    assert labels(plan) == {"toy-sessions/toy-logistic/toy-equal", "toy-sessions/toy-logistic/toy-mgda"}


def test_a_part_whose_modules_are_installed_is_planned(planned):
    plan = planned("[weightings.toy-mgda]", "[weightings.solver-free]", "toy-mgda", "solver-free")
    assert "toy-sessions/toy-logistic/solver-free" in labels(plan)


def test_what_cannot_go_together_anyway_is_said_first(planned):
    plan = planned(
        'backbones = ["toy-needy"]',
        'backbones = ["solver-network"]',
        "[backbones.toy-needy]",
        "[backbones.solver-network]",
        'weightings = ["toy-equal"]',
        'weightings = ["toy-mgda"]',
    )
    assert reasons(plan) == {
        "toy-sessions/solver-network/toy-mgda": "weighting 'toy-mgda' requires 'shared-parameters', which nothing here "
        "provides; backbone 'solver-network' needs no_such_solver and nor_such, which are not installed; "
        "type: pip install no-such-solver nor-such"
    }


def test_a_data_set_that_lacks_a_module_is_neither_fingerprinted_nor_fetched(planned, suite, registry):
    changes = ("[datasets.toy-sessions]\n", "[datasets.toy-sessions]\n[datasets.solver-sessions]\n")
    plan = planned(*changes)
    assert reasons(plan)["solver-sessions/toy-logistic/toy-equal"] == f"dataset 'solver-sessions' needs {INSTALL}"
    assert {cell.dataset.name for cell in plan.cells} == {"toy-sessions"}
    assert [component.name for component in datasets_of(suite(*changes), registry)] == ["toy-sessions"]


def test_a_cell_says_what_the_run_that_it_builds_on_lacks(suite, registry):
    heir = '[weightings.toy-heir]\nparameters = { builds_on = "solver-network" }\n[backbones.solver-network]\n'
    changed = suite("[weightings.toy-mgda]\n", heir, '"toy-mgda"', '"toy-heir"', "toy-mgda", "toy-equal")
    found = reasons(expand(changed, registry, lambda component: "f" * 16))["toy-sessions/toy-logistic/toy-heir"]
    assert found.startswith(
        "it builds on toy-sessions/solver-network/toy-heir: backbone 'solver-network' needs no_such"
    )


def test_a_suite_whose_metric_lacks_a_module_is_refused_with_the_command(suite, registry):
    with pytest.raises(UsageError) as error:
        expand(suite('"session-logloss"]', '"solver-metric"]'), registry, lambda component: "f" * 16)
    assert str(error.value) == f"metric 'solver-metric' needs {INSTALL}"
