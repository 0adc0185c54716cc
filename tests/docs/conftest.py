from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rmtl_bench.plugins import load_plugins
from rmtl_bench.store import Store, save_plan
from rmtl_bench.suites import find_suite, read_suite

GAINS = {"fixed": 0.0, "fixed-tuned": 0.02, "uncertainty": 0.003, "db-mtl": 0.01, "rmtl": 0.011, "rmtl-cw": 0.01}
SUITES = (
    ("conflict", False, "simulated-conflict", "narrow-bottom"),
    ("smoke", False, "simulated", "mmoe"),
    ("paper", False, "retailrocket", "ple"),
    ("paper", True, "simulated-retail", "ple"),
    ("ablation", True, "simulated-retail", "ple"),
    ("dependence", False, "simulated-dependent", "ple"),
    ("transfer", True, "simulated-retail", "ple"),
)
"""The suites whose results the pages look at, and whether it is their sample; what data set and backbone to show."""


@pytest.fixture(scope="session")
def shown_store(tmp_path_factory: pytest.TempPathFactory, publish_suite: Callable[..., object]) -> Path:
    """A store with toy results under the names of the suites that the pages show; the runs are the same for all."""
    store = Store.open(tmp_path_factory.mktemp("docs") / "store")
    plan = publish_suite(store, GAINS, 4, tasks=("click", "purchase"))
    registry = load_plugins().registry
    for name, sample, dataset, backbone in SUITES:
        suite = read_suite(find_suite(registry, name))
        cells = tuple(replace(cell, dataset=dataset, backbone=backbone) for cell in plan.cells)
        known = {"suite": name, "version": suite.version, "digest": suite.digest, "sample": sample}
        save_plan(store, replace(plan, cells=cells, **known))
    (store.suites / f"{plan.name}.json").unlink()
    return store.path
