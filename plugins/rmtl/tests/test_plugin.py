from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from rmtl_bench.contracts import StagedWeighting, UsageError
from rmtl_bench_rmtl.plugin import rmtl_suites, rmtl_weightings


def test_listing_does_not_import_torch():
    code = (
        "import sys; from rmtl_bench_rmtl.plugin import rmtl_suites, rmtl_weightings; "
        "print(*[i.name for i in rmtl_weightings()], *[p.stem for p in rmtl_suites()]); "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["rmtl", "rmtl-cw", "control", "paper", "smoke"]


@pytest.mark.parametrize("info", rmtl_weightings(), ids=lambda info: info.name)
def test_described_parameters_and_defaults_are_those_of_the_constructor(info):
    module, _, target = info.target.partition(":")
    method = getattr(import_module(module), target)
    assert issubclass(method, StagedWeighting)
    signature = inspect.signature(method.__init__)
    defaults = {n: p.default for n, p in signature.parameters.items() if n not in ("self", "tasks")}
    assert defaults == info.resolve({})
    assert all(parameter.help for parameter in info.parameters.values())


def test_the_control_takes_the_same_parameters_and_needs_the_same_data():
    method, control = rmtl_weightings()
    assert method.parameters == control.parameters
    assert method.requires == control.requires == {"sessions"}
    assert method.target != control.target


@pytest.mark.parametrize("given", [{"discount": 1.1}, {"lambda_q": -0.1}, {"dropout": 1.0}, {"bottom": [8, 0]}])
def test_impossible_values_are_refused_by_the_catalogue(given):
    for info in rmtl_weightings():
        with pytest.raises(UsageError, match=next(iter(given))):
            info.resolve(given)


def test_suites_are_files_of_this_distribution():
    paths = list(rmtl_suites())
    assert all(path.is_file() for path in paths)
    assert len(paths) == 3
