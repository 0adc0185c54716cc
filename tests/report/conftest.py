from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from rmtl_bench.report import Leaderboard, LeaderboardSettings, build_leaderboard
from rmtl_bench.statistics import Family

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
