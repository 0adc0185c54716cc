"""The conformance kit: what every backbone, weighting, data set, metric and executor must keep to.

For a plugin's own tests, a class and one fixture::

    class TestMyMethod(WeightingContract):
        @pytest.fixture
        def plugin(self):
            return "my-method"

``pytest --rmtl-bench-check DISTRIBUTION`` runs the same checks over all that an installed distribution offers, and so
does ``rmtl-bench check NAME`` without pytest. :func:`checks_of` lists them. A check that fails says what to change.

The kit is versioned with the harness: a release may bring further checks, so a plugin's tests should pin the versions
of ``rmtl-bench`` that they were written for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmtl_bench.testing.checks import Broken, Check, Finding, NotApplicable, checks_of, run_check
    from rmtl_bench.testing.contract_classes import (
        BackboneContract,
        DatasetContract,
        ExecutorContract,
        MetricContract,
        WeightingContract,
    )
    from rmtl_bench.testing.sessions import simulated_sessions
    from rmtl_bench.testing.subjects import Subject, find_subjects

_MODULE_OF = {
    "BackboneContract": "contract_classes",
    "Broken": "checks",
    "Check": "checks",
    "DatasetContract": "contract_classes",
    "ExecutorContract": "contract_classes",
    "Finding": "checks",
    "MetricContract": "contract_classes",
    "NotApplicable": "checks",
    "Subject": "subjects",
    "WeightingContract": "contract_classes",
    "checks_of": "checks",
    "find_subjects": "subjects",
    "run_check": "checks",
    "simulated_sessions": "sessions",
}

__all__ = [
    "BackboneContract",
    "Broken",
    "Check",
    "DatasetContract",
    "ExecutorContract",
    "Finding",
    "MetricContract",
    "NotApplicable",
    "Subject",
    "WeightingContract",
    "checks_of",
    "find_subjects",
    "run_check",
    "simulated_sessions",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted(_MODULE_OF)
