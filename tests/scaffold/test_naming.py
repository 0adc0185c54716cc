from __future__ import annotations

import pytest

from rmtl_bench import MetricInfo, WeightingInfo
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.plugins import Registry
from rmtl_bench.plugins.registry import Origin
from rmtl_bench.scaffold import check_name


@pytest.fixture(scope="module")
def registry() -> Registry:
    registry = Registry()
    registry.add("weighting", WeightingInfo(name="even", target="a:B", summary=""), Origin("old-methods", "2.0"))
    info = MetricInfo(name="recall", target="a:B", summary="", higher_is_better=True)
    registry.add("metric", info, Origin("old-metrics", "3.0"))
    return registry


def test_every_part_is_called_after_the_name(registry):
    names = check_name("weighting", "my-2nd-method", registry)
    assert (names.package, names.title, names.class_name) == ("my_2nd_method", "My2ndMethod", "My2ndMethod")


@pytest.mark.parametrize(
    ("kind", "name", "class_name"),
    [
        ("dataset", "session-table", "SessionTableDataset"),
        ("backbone", "tensor", "TensorBackbone"),
        ("executor", "runtime-error", "RuntimeErrorExecutor"),
    ],
)
def test_a_class_never_hides_what_its_module_imports(registry, kind, name, class_name):
    assert check_name(kind, name, registry).class_name == class_name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_method", "'my_method': it takes .*; did you mean 'my-method'"),
        ("MyMethod", "did you mean 'my-method'"),
        ("My  Method!", "did you mean 'my-method'"),
        ("2nd", "begins with a letter$"),
        ("", "begins with a letter$"),
        ("x/../y", "did you mean 'x-y'"),
        ("a" * 41, "at most 40 lower-case letters"),
        ("a" * 5000, "begins with a letter$"),
        ("lambda", "its package 'lambda' is a word of Python"),
        ("match", "its package 'match' is a word of Python"),
        ("tests", "there is a folder 'tests'"),
        ("even", "weighting 'even' comes from old-methods 2.0 already"),
        ("recall", "metric 'recall' comes from old-metrics 3.0 already"),
        ("rmtl-bench", "a distribution 'rmtl-bench' is installed already"),
        ("numpy", "a distribution 'numpy' is installed already"),
        ("email", "a module 'email' is installed already"),
    ],
)
def test_a_name_that_cannot_be_is_refused_in_one_line(registry, name, message):
    with pytest.raises(UsageError, match=message) as refusal:
        check_name("weighting", name, registry)
    assert "\n" not in str(refusal.value)


def test_an_unknown_kind_is_refused_with_the_nearest(registry):
    with pytest.raises(UsageError, match="unknown kind 'weigthing'; did you mean 'weighting'"):
        check_name("weigthing", "my-method", registry)
