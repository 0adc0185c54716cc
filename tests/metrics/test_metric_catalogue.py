"""The harness's own metrics, as they are found through the catalogue."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from rmtl_bench.metrics.catalogue import rmtl_metrics
from rmtl_bench.plugins.registry import Origin, Registry

INFOS = {info.name: info for info in rmtl_metrics()}


@pytest.fixture(scope="module")
def load():
    registry = Registry()
    for info in INFOS.values():
        registry.add("metric", info, Origin("rmtl-bench", "0"))
    return lambda name: registry.find("metric", name).load()


def test_the_metrics_of_the_papers_are_offered():
    assert set(INFOS) == {"auc", "gauc", "logloss", "session-logloss", "normalised-entropy", "ece"}


@pytest.mark.parametrize("name", INFOS)
def test_better_predictions_score_better_in_the_stated_direction(predictions, load, name):
    rng = np.random.default_rng(0)
    probability = rng.random(2000)
    labels = (rng.random(2000) < probability).astype(float)
    user, session = np.arange(2000) // 40, np.arange(2000) // 4
    good = load(name)(predictions(labels, probability, user, session))
    bad = load(name)(predictions(labels, 1 - probability, user, session))
    assert (good > bad) == INFOS[name].higher_is_better


def test_listing_the_metrics_imports_neither_them_nor_torch():
    code = (
        "import sys, rmtl_bench.metrics.catalogue as c; c.rmtl_metrics();"
        "sys.exit(any(m in sys.modules for m in ('torch', 'rmtl_bench.metrics.ranking')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
