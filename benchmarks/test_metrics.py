"""Metrics on a million rows, on ten million rows of 100,000 users, and on the device of a training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rmtl_bench.contracts.metric import Predictions
from rmtl_bench.metrics import on_device
from rmtl_bench.metrics.evaluation import evaluate
from rmtl_bench.metrics.probability import session_logloss
from rmtl_bench.metrics.ranking import auc, auc_score, gauc

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")],
    ),
]


def generated(rows, users, sessions):
    """Rows by user and session with float64 scores, of which hardly any two are equal."""
    rng = np.random.default_rng(0)
    scores = rng.beta(2, 8, rows)
    labels = (rng.random(rows) < scores).astype(np.float64)
    user, session = (np.sort(rng.integers(count, size=rows)).astype(np.int32) for count in (users, sessions))
    return Predictions(labels, scores, user, session)


@pytest.fixture(scope="module")
def million():
    return generated(1_000_000, 50_000, 200_000)


@pytest.fixture(scope="module")
def ten_million():
    return generated(10_000_000, 100_000, 2_000_000)


@pytest.mark.parametrize("metric", ["auc", "gauc", "logloss", "session-logloss", "normalised-entropy", "ece"])
def test_metric(benchmark, registry, million, metric):
    benchmark.group = "metric on 1,000,000 rows"
    value = benchmark.pedantic(registry.find("metric", metric).load(), (million,), rounds=5, warmup_rounds=1)
    assert np.isfinite(value)


def test_all_metrics_of_two_tasks(benchmark, registry, million):
    benchmark.group = "metric on 1,000,000 rows"
    metrics = {entry.info.name: (entry.load(), entry.info) for entry in registry.entries("metric")}
    labels = np.column_stack([million.labels, 1 - million.labels]).astype(np.float32)
    scores = np.column_stack([million.scores, 1 - million.scores]).astype(np.float32)
    columns = (metrics, ("click", "pay"), labels, None, scores, million.user, million.session)
    rows = benchmark.pedantic(evaluate, columns, rounds=3, warmup_rounds=1)
    assert len(rows) == 2 * len(metrics)


def test_auc_and_gauc_of_ten_million_rows(benchmark, ten_million):
    benchmark.group = "metric on 10,000,000 rows of 100,000 users"
    values = benchmark.pedantic(lambda: (auc(ten_million), gauc(ten_million)), rounds=3, warmup_rounds=1)
    assert 0.7 < min(values) < max(values) < 0.72
    assert benchmark.stats.stats.min < 3


def test_session_logloss_of_ten_million_rows(benchmark, ten_million):
    benchmark.group = "metric on 10,000,000 rows of 100,000 users"
    assert np.isfinite(benchmark.pedantic(session_logloss, (ten_million,), rounds=3, warmup_rounds=1))


def test_auc_of_scikit_learn_on_ten_million_rows(benchmark, ten_million):
    benchmark.group = "metric on 10,000,000 rows of 100,000 users"
    other = pytest.importorskip("sklearn.metrics").roc_auc_score
    expected = benchmark.pedantic(other, (ten_million.labels, ten_million.scores), rounds=1)
    assert auc(ten_million) == pytest.approx(expected, rel=0, abs=1e-12)


def test_gauc_of_scikit_learn_on_some_of_the_users(benchmark, ten_million):
    benchmark.group = "metric on 1,000 users of 10,000,000 rows"
    other = pytest.importorskip("sklearn.metrics").roc_auc_score
    rows = slice(int(np.searchsorted(ten_million.user, 1000)))
    some = Predictions(*(column[rows] for column in vars(ten_million).values()))
    of_user = np.split(np.arange(len(some.user)), np.flatnonzero(np.diff(some.user)) + 1)
    of_user = [mine for mine in of_user if 0 < some.labels[mine].mean() < 1]
    areas = benchmark.pedantic(lambda: [other(some.labels[mine], some.scores[mine]) for mine in of_user], rounds=1)
    expected = np.average(areas, weights=[len(mine) for mine in of_user])
    assert gauc(some) == pytest.approx(expected, rel=0, abs=1e-12)


@pytest.fixture(scope="module", params=[(8, 12_000), (1, 2_000_000)], ids=["8 seeds, 12,000 rows", "2,000,000 rows"])
def validation(request):
    """Labels [N, 2] and scores [S, N, 2] of a validation split."""
    seeds, rows = request.param
    torch.manual_seed(0)
    scores = torch.rand(seeds, rows, 2, dtype=torch.float64)
    return (torch.rand(rows, 2) < scores[0]).float(), scores


@pytest.mark.parametrize("device", DEVICES)
def test_auc_on_device(benchmark, validation, device):
    labels, scores = (column.to(device) for column in validation)
    benchmark.group = f"AUC of two tasks: {scores.shape[0]} seeds, {scores.shape[1]:,} rows"
    value = benchmark.pedantic(lambda: on_device.auc(labels, scores).cpu(), rounds=5, warmup_rounds=1)
    assert value.shape == (len(scores), 2)


def test_auc_by_numpy(benchmark, validation):
    labels, scores = validation
    benchmark.group = f"AUC of two tasks: {scores.shape[0]} seeds, {scores.shape[1]:,} rows"
    cells = list(np.ndindex(scores.shape[0], 2))
    values = benchmark.pedantic(
        lambda: [auc_score(labels[:, k].double().numpy(), scores[s, :, k].numpy()) for s, k in cells],
        rounds=5,
        warmup_rounds=1,
    )
    assert values == pytest.approx(on_device.auc(labels, scores).flatten().tolist(), rel=0, abs=1e-12)
