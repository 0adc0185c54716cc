"""Metrics on a million rows of 50,000 users."""

from __future__ import annotations

import numpy as np
import pytest

from rmtl_bench.contracts.metric import Predictions

ROWS, USERS = 1_000_000, 50_000


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(0)
    scores = rng.beta(2, 8, ROWS)
    user = np.sort(rng.integers(USERS, size=ROWS)).astype(np.int32)
    labels = (rng.random(ROWS) < scores).astype(np.float32)
    return Predictions(labels, scores, user, np.arange(ROWS, dtype=np.int32) // 5)


@pytest.mark.parametrize("metric", ["auc", "gauc", "logloss", "session-logloss", "ece"])
def test_metric(benchmark, registry, predictions, metric):
    benchmark.group = "metric on 1,000,000 rows"
    value = benchmark.pedantic(registry.find("metric", metric).load(), (predictions,), rounds=5, warmup_rounds=1)
    assert np.isfinite(value)
