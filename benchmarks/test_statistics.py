"""The statistics of ten thousand runs, and the session bootstrap of one test split."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from rmtl_bench.statistics import (
    COMPARISON_COLUMNS,
    SCORE_COLUMNS,
    Family,
    exploratory_pairs,
    iqm,
    paired_bootstrap,
    power_table,
    rank_methods,
    run_families,
)

UP = {"auc": True, "logloss": False}


@pytest.fixture(scope="module")
def scores():
    """4 data sets, 10 backbones, 25 weightings, 10 seeds, 2 tasks, 2 metrics: 40,000 scores."""
    rng = np.random.default_rng(0)
    names = [[f"data-{i}" for i in range(4)], [f"b{i}" for i in range(10)], [f"w{i}" for i in range(25)]]
    keys = list(itertools.product(*names, ("click", "pay"), UP, range(10)))
    table = pd.DataFrame(keys, columns=["dataset", "backbone", "weighting", "task", "metric", "seed"])
    method = table["backbone"] + "/" + table["weighting"]
    return table.assign(method=method, value=rng.normal(0.7, 0.01, len(table)))[SCORE_COLUMNS]


def test_a_family_of_10000_runs(benchmark, scores):
    benchmark.group = "statistics of 10,000 runs"
    family = Family("reference", ("*",), ("*/w0",))
    assert len(benchmark(lambda: run_families(scores, [family], UP, {"auc": 0.001}))) == 16 * 240


def test_ranks_of_10000_runs(benchmark, scores):
    benchmark.group = "statistics of 10,000 runs"
    assert len(benchmark(lambda: rank_methods(scores, UP))) == 16 * 250


def test_all_pairs_of_10000_runs(benchmark, scores):
    benchmark.group = "statistics of 10,000 runs"
    assert len(benchmark.pedantic(lambda: exploratory_pairs(scores, UP, {}), rounds=3)) == 16 * 250 * 249 / 2


def test_iqm_of_10000_runs(benchmark, scores):
    benchmark.group = "statistics of 10,000 runs"
    assert len(benchmark.pedantic(lambda: iqm(scores, "b0/w0", UP), rounds=2)) == 2 * 249


def test_seeds_needed_for_2000_comparisons(benchmark):
    benchmark.group = "power"
    rows = pd.DataFrame({name: [0.0] * 2_000 for name in COMPARISON_COLUMNS})
    rows = rows.assign(family=[f"f{i % 50}" for i in range(2_000)], metric="auc", n=10)
    rows["sd"] = np.exp(np.random.default_rng(0).uniform(-9, 0, 2_000))
    assert len(benchmark(lambda: power_table(rows, difference=0.001))) == 2_000


@pytest.mark.parametrize("metric", ["auc", "logloss"])
def test_200_paired_draws_of_20000_sessions(benchmark, metric):
    benchmark.group = "session bootstrap: 200,000 rows, 20,000 sessions, one seed, 200 paired draws"
    rng = np.random.default_rng(0)
    clusters, labels = np.sort(rng.integers(0, 20_000, 200_000)), (rng.random(200_000) < 0.3).astype(float)
    a, b = rng.random((2, 1, 200_000), dtype=np.float32)
    draw = benchmark.pedantic(lambda: paired_bootstrap(labels, clusters, a, b, metric, draws=200), rounds=3)
    assert draw.sessions == len(np.unique(clusters))
