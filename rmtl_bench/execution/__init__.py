"""Execution: runs the cells of a plan, by default each in a process of its own.

The names below are loaded on first use: a command starts the template of its runs' processes before anything else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmtl_bench.execution.listener import Listener
    from rmtl_bench.execution.options import Options
    from rmtl_bench.execution.pending import missing_cells, with_sources
    from rmtl_bench.execution.planning import stored_plan
    from rmtl_bench.execution.sources import DataSources
    from rmtl_bench.execution.starter import RunStarter
    from rmtl_bench.execution.suite_runner import SuiteRunner

__all__ = [
    "DataSources",
    "Listener",
    "Options",
    "RunStarter",
    "SuiteRunner",
    "missing_cells",
    "stored_plan",
    "with_sources",
]

_MODULES = {
    "DataSources": "sources",
    "Listener": "listener",
    "Options": "options",
    "RunStarter": "starter",
    "SuiteRunner": "suite_runner",
    "missing_cells": "pending",
    "stored_plan": "planning",
    "with_sources": "pending",
}


def __getattr__(name: str) -> Any:
    """Load a name on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
