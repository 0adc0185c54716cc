"""What a run costs beside training and evaluation: the first of a command, started from nothing, and further ones.

A command's overhead is its time on the clock, from the shell's side, less what its runs' own records say of training
and evaluation. The data are prepared before; the store is new each time.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.clock import least_seconds
from benchmarks.figures import report
from rmtl_bench.store import Store
from rmtl_bench.store.run_files import read_run

SUITE = """
schema = 1
name = "overhead"
version = 1
title = "Runs of no account"
seeds = {seeds}
metrics = ["auc", "logloss"]

[trainer]
batch_size = 512
max_epochs = {epochs}
patience = {epochs}

[datasets.simulated]
parameters = {{ rows = {rows} }}
[backbones.shared-bottom]
parameters = {{ embedding_dim = 8, bottom = [64, 32], tower = [16] }}
[weightings.fixed]

[[grid]]
backbones = ["shared-bottom"]
weightings = ["fixed"]

[statistics]
reference = "*/fixed"
"""

SMALL, LARGE = 2_000, 200_000
FURTHER = 20
MINUTE = 60.0
ROUNDS = 5
COLD, MOST_SHARE = 1.5, 0.05


class Command(NamedTuple):
    """What a command took: seconds in all, and of that in training and evaluation."""

    seconds: float
    trained: float

    @property
    def overhead(self) -> float:
        return self.seconds - self.trained


@pytest.fixture
def run_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Command]:
    """Run a suite of one cell and some seeds in a new store, one run at once, in a process of its own."""
    monkeypatch.setenv("RMTL_BENCH_CACHE", str(tmp_path / "cache"))
    stores = 0

    def run_suite(seeds: int, rows: int = SMALL, epochs: int = 1) -> Command:
        nonlocal stores
        stores += 1
        suite, store = tmp_path / "overhead.toml", tmp_path / f"store-{stores}"
        suite.write_text(SUITE.format(seeds=seeds, rows=rows, epochs=epochs))
        arguments = ["run", "--suite", suite, "--store", store, "--jobs", "1", "--device", "cpu"]
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-P", "-m", "rmtl_bench.cli.main", *map(str, arguments)], check=True, capture_output=True
        )
        seconds = time.perf_counter() - started
        folders, _ = Store.open(store, create=False).names()
        records = [read_run(store / "runs" / folder) for folder in folders]
        assert len(records) == seeds
        trained = sum(record.seconds["train"] + record.seconds["evaluate"] for record in records)
        return Command(seconds, trained)

    return run_suite


def test_the_overhead_of_a_cold_run_and_of_further_ones(benchmark, run_suite):
    benchmark.group = "harness overhead"
    run_suite(1)
    cold = min(run_suite(1).overhead for _ in range(ROUNDS))
    benchmark.pedantic(run_suite, args=(1,), rounds=1)
    more = run_suite(1 + FURTHER)
    figures = {
        "milliseconds, cold": 1e3 * cold,
        "milliseconds, further": 1e3 * (more.overhead - cold) / FURTHER,
        "ratio, cold to an import of torch": cold / least_seconds(_import_torch, ROUNDS),
        f"share of {COLD} s, cold": cold / COLD,
    }
    report(benchmark, "overhead of a run", figures, at_most={f"share of {COLD} s, cold": 1.0})


def _import_torch() -> None:
    subprocess.run([sys.executable, "-c", "import torch"], check=True)


def test_the_share_of_the_overhead_in_a_run_of_a_minute(benchmark, run_suite):
    benchmark.group = "harness overhead"
    epochs = 3
    run_suite(1, LARGE)
    tried = run_suite(1, LARGE, epochs)
    epochs = math.ceil(epochs * MINUTE / tried.trained)
    minute = benchmark.pedantic(run_suite, args=(1, LARGE, epochs), rounds=1)
    figures = {"share of the overhead": minute.overhead / minute.seconds, "seconds": minute.seconds}
    report(benchmark, "a run of a minute", figures, at_most={"share of the overhead": MOST_SHARE})
