"""A leaderboard over ten thousand runs, as a user types it, and the report of a suite."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import reported_store
from benchmarks.large_store import RUNS, write_store
from rmtl_bench.report import build_leaderboard, leaderboard_document, read_stored_suite, render
from rmtl_bench.store import Index


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = write_store(tmp_path_factory.mktemp("large") / "store")
    assert Index(store).refresh().ingested == RUNS
    return store


@pytest.fixture(scope="module")
def command(store):
    arguments = ["leaderboard", "--suite", "large", "--store", str(store.path)]
    return [sys.executable, "-P", "-m", "rmtl_bench.cli.main", *arguments]


def test_leaderboard_of_10000_runs(benchmark, command):
    benchmark.group = "leaderboard of 10,000 runs"
    done = benchmark.pedantic(
        lambda: subprocess.run(command, capture_output=True, check=True), rounds=5, warmup_rounds=1
    )
    assert b"backbone-9/weighting-24" in done.stdout
    assert benchmark.stats.stats.min < 2.0


def test_importing_what_a_leaderboard_needs(benchmark):
    benchmark.group = "leaderboard of 10,000 runs"
    code = [sys.executable, "-P", "-c", "import rmtl_bench.report"]
    benchmark.pedantic(lambda: subprocess.run(code, check=True), rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("step", ["read", "build", "render"])
def test_steps_of_a_leaderboard(benchmark, store, step):
    benchmark.group = "leaderboard of 10,000 runs, by step"
    suite = read_stored_suite(store, "large", metrics=())
    board = build_leaderboard(suite.scores, suite.expected, suite.settings(), suite.costs)
    steps = {
        "read": lambda: read_stored_suite(store, "large", metrics=()),
        "build": lambda: build_leaderboard(suite.scores, suite.expected, suite.settings(), suite.costs),
        "render": lambda: render(leaderboard_document(board, suite.shown(())), "table"),
    }
    benchmark.pedantic(steps[step], rounds=5, warmup_rounds=1)


def test_report_of_300_runs(benchmark, tmp_path):
    benchmark.group = "report of 300 runs"
    store = reported_store.write_store(tmp_path / "store")
    assert Index(store).refresh().ingested == reported_store.RUNS == 300
    page = tmp_path / "report.html"
    arguments = ["report", "--suite", "reported", "--store", str(store.path), "--output", str(page)]
    command = [sys.executable, "-P", "-m", "rmtl_bench.cli.main", *arguments]
    benchmark.pedantic(lambda: subprocess.run(command, capture_output=True, check=True), rounds=2)
    assert benchmark.stats.stats.min < 30
    assert page.stat().st_size < 5_000_000
