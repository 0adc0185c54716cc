"""Plugins that are wrong on purpose, and what the checks find of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rmtl_bench.plugins import PluginHost, load_plugins
from rmtl_bench.testing import Finding, Subject, checks_of, run_check

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def host_of() -> Callable[[str], PluginHost]:
    """Return the core and one file of this folder as loaded plugins."""
    loaded: dict[str, PluginHost] = {}

    def load(file: str) -> PluginHost:
        if file not in loaded:
            loaded[file] = load_plugins([HERE / file])
        return loaded[file]

    return load


@pytest.fixture(scope="session")
def find() -> Callable[[Subject, str], Finding]:
    """Run one check, by name."""

    def run(subject: Subject, name: str) -> Finding:
        (chosen,) = [check for check in checks_of(subject.kind) if check.name == name]
        return run_check(chosen, subject)

    return run
