from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import pytest

from rmtl_bench.statistics import SCORE_COLUMNS

MakeScores = Callable[..., pd.DataFrame]


@pytest.fixture
def make_scores() -> MakeScores:
    """Frame of scores from ``{method: values by seed}``, the same in every cell."""

    def make(
        values: Mapping[str, Sequence[float]],
        datasets: Sequence[str] = ("toy",),
        tasks: Sequence[str] = ("click",),
        metrics: Sequence[str] = ("auc",),
    ) -> pd.DataFrame:
        rows = [
            (dataset, *method.split("/", 1), method, task, metric, seed, value)
            for dataset in datasets
            for task in tasks
            for metric in metrics
            for method, row in values.items()
            for seed, value in enumerate(row)
        ]
        return pd.DataFrame(rows, columns=SCORE_COLUMNS)

    return make
