from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import pytest


class SmokeRun(NamedTuple):
    """A store in which the suite ``smoke`` was run, and the seconds it took."""

    store: Path
    seconds: float


@pytest.fixture(scope="session")
def smoke_run(rmtl_bench, tmp_path_factory) -> SmokeRun:
    """Run ``smoke`` once for all tests that look at it, or add to it."""
    store, began = tmp_path_factory.mktemp("smoke") / "store", time.monotonic()
    run = rmtl_bench("run", "--suite", "smoke", "--store", store)
    assert run.returncode == 0, run.stderr
    return SmokeRun(store, time.monotonic() - began)
