from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from rmtl_bench.contracts import GradientWeighting, LossWeighting, StagedWeighting, UsageError
from rmtl_bench.suites import read_suite
from rmtl_bench_weightings.plugin import rmtl_suites, rmtl_weightings

INFOS = {info.name: info for info in rmtl_weightings()}
BASES = {"loss": LossWeighting, "gradient": GradientWeighting, "staged": StagedWeighting}


def test_the_suite_of_this_distribution_compares_with_tuned_weights_of_the_same_budget():
    (path,) = rmtl_suites()
    suite = read_suite(path)
    assert (suite.name, path.name) == ("conflict", "conflict.toml")
    tuned = suite.components["weightings"]["fixed-tuned"].parameters
    # Every candidate may train for as long as everybody else.
    assert tuned["epochs"] == tuned["candidates"] * suite.trainer["max_epochs"]
    for component in suite.components["weightings"].values():
        INFOS[component.plugin].resolve(component.parameters)


def test_listing_imports_neither_torch_nor_torchjd_nor_scipy():
    code = (
        "import sys; from rmtl_bench_weightings.plugin import rmtl_weightings; "
        "print(*[i.name for i in rmtl_weightings()]); assert not {'torch', 'torchjd', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(INFOS)
    assert len(INFOS) == len(rmtl_weightings()) >= 36


@pytest.mark.parametrize("info", INFOS.values(), ids=INFOS)
def test_a_description_fits_its_class(info):
    module, _, target = info.target.partition(":")
    found = getattr(import_module(module), target)
    signature = inspect.signature(found.__init__)
    defaults = {n: p.default for n, p in signature.parameters.items() if n not in ("self", "tasks")}
    assert defaults == info.resolve({})
    assert all(parameter.help for parameter in info.parameters.values())
    assert issubclass(found, BASES[info.form])
    assert ("scope" in info.parameters) == (info.form == "gradient")


@pytest.mark.parametrize("info", [info for info in INFOS.values() if info.form == "gradient"], ids=lambda i: i.name)
def test_what_a_gradient_weighting_requires_depends_on_its_scope(info):
    required = {scope: info.required(info.resolve({"scope": scope})) for scope in info.parameters["scope"].choices}
    assert required["shared"] == info.required(info.resolve({})) == {"shared-parameters"}
    assert required.get("representation", {"shared-representation"}) == {"shared-representation"}
    assert required["all"] == frozenset()


@pytest.mark.parametrize("info", INFOS.values(), ids=INFOS)
def test_every_method_says_where_it_comes_from_what_it_costs_and_what_differs(info):
    assert info.cost
    assert info.differs
    assert info.name == "fixed" or (info.paper and str(info.year) in info.paper)


@pytest.mark.parametrize(
    ("weighting", "given", "message"),
    [
        ("fixed", {"weights": [1.0, -1.0]}, "parameter 'weights' is [1.0, -1.0]"),
        ("dwa", {"temperature": 0.0}, "parameter 'temperature' is 0.0; it takes a number from 0.01 to 1000000"),
        ("stch", {"smoothing": "small"}, "parameter 'smoothing' is 'small'; it takes a number from 0.0001 to 100"),
        ("cagrad", {"c": -1}, "parameter 'c' is -1; it takes a number from 0 to 100"),
        ("mgda", {"scope": "some"}, "parameter 'scope' is 'some'; it takes one of 'shared', 'representation', 'all'"),
        ("moco", {"scope": "representation"}, "it takes one of 'shared', 'all'"),
        ("fixed-tuned", {"candidates": 2.5}, "parameter 'candidates' is 2.5; it takes a whole number from 1 to 1000"),
        ("pcgrad", {"beta": 0.5}, "weighting 'pcgrad' has no parameter 'beta'"),
    ],
)
def test_wrong_parameters_name_parameter_value_and_range(weighting, given, message):
    with pytest.raises(UsageError) as caught:
        INFOS[weighting].resolve(given)
    assert message in str(caught.value)
    assert str(next(iter(given.values()))) in str(caught.value)
    assert weighting in str(caught.value)
    assert "\n" not in str(caught.value)
