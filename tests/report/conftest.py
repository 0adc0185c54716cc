from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.report import Leaderboard, LeaderboardSettings, build_leaderboard
from rmtl_bench.statistics import Family
from rmtl_bench.store import PlannedCell, Store, StoredPlan, save_plan
from rmtl_bench.store.run_files import RunRecord, write_run, write_table

TIME = "2026-01-01T00:00:00.000+00:00"
STATISTICS = {
    "reference": "*/plain",
    "scope": "same-backbone",
    "delta_m": "",
    "headline": [],
    "equivalence": {"auc": 0.001},
    "comparisons": [],
}
MakeScores = Callable[..., pd.DataFrame]
ODD = "<b>&_x|y"
"""A name with what html, Markdown and LaTeX each read as their own."""


@pytest.fixture(scope="session")
def board(make_scores: MakeScores) -> Leaderboard:
    """Two backbones, two weightings, eight seeds; one method lacks two seeds, another was planned and has no run."""
    rng = np.random.default_rng(0)
    base = rng.normal(0.7, 0.01, 8)
    values = {
        "ple/equal": base,
        "ple/rmtl": base + rng.normal(0.02, 0.001, 8),
        f"{ODD}/equal": base + rng.normal(0, 0.001, 8),
        f"{ODD}/rmtl": base[:6] + rng.normal(0.02, 0.001, 6),
    }
    scores = make_scores(values, ("toy",), ("click", "pay"), ("auc", "logloss"))
    settings = LeaderboardSettings(
        title="T <i>",
        higher_is_better={"auc": True, "logloss": False},
        notes=("a sample & not the real thing",),
        reference=Family("reference", ("*",), ("*/equal",)),
        equivalence={"auc": 0.001, "logloss": "0.1%"},
        families=(Family("across", ("ple/*",), (f"{ODD}/*",), "same-weighting"),),
        delta_m_reference="ple/equal",
    )
    plan = [("toy", method, seed) for method in [*values, "ple/gone"] for seed in range(8)]
    return build_leaderboard(scores, plan, settings)


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One suite of two weightings and five seeds, the one better by .02 to .024."""
    store = Store.open(tmp_path_factory.mktemp("results") / "store")
    cells = []
    for weighting, gain in (("plain", 0.0), ("mine", 0.02)):
        for seed in range(5):
            parts = [Component(name, name, 1, "d", "1") for name in ("sessions", "logistic", weighting)]
            cell = Cell(parts[0], "0" * 16, *parts[1:], {}, ("auc",), seed)
            staging = store.staging_folder(cell.run_id)
            write_run(staging, RunRecord(cell.run_id, cell, "ok", TIME, TIME, {"total": 1.0}))
            value = 0.6 + seed / 100 + gain * (1 + seed / 20)
            row = {"task": ["click"], "metric": ["auc"], "value": [value], "higher_is_better": [True]}
            write_table(staging, "metrics", row)
            store.publish(staging, cell.run_id)
            cells.append(PlannedCell(cell.run_id, "sessions", "logistic", weighting, seed))
    save_plan(store, StoredPlan("tiny", 1, "d", tuple(cells), metrics=("auc",), statistics=STATISTICS))
    return store.path
