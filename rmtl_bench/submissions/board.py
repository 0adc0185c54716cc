"""The leaderboard of a submission's methods among themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from rmtl_bench.report import Leaderboard, StoredSuite, build_leaderboard
from rmtl_bench.statistics import SCORE_COLUMNS
from rmtl_bench.store import Refreshed
from rmtl_bench.submissions.form import Submission


@dataclass(frozen=True)
class Board:
    """A submission and its leaderboard.

    ``fingerprints`` of the data, by data set; ``shown``: the suite's headline, ``None`` for all metrics.
    """

    submission: Submission
    leaderboard: Leaderboard
    fingerprints: Mapping[str, str]
    shown: list[str] | None


def board_of(submission: Submission) -> Board:
    """Return the leaderboard of a submission that has no fault otherwise.

    Raises :class:`UsageError` where its suite declares statistics that cannot be.
    """
    frame = scores_of(submission)
    directions = {s.metric: s.higher_is_better for cell in submission.cells for s in cell.scores}
    suite = StoredSuite(submission.suite, frame, pd.DataFrame(), directions, {}, Refreshed())
    leaderboard = build_leaderboard(frame, suite.expected, suite.settings())
    fingerprints = {cell.cell.dataset.label: cell.cell.fingerprint for cell in submission.cells}
    return Board(submission, leaderboard, fingerprints, suite.shown(()))


def scores_of(submission: Submission) -> pd.DataFrame:
    """Return the scores of a submission as :mod:`rmtl_bench.statistics` takes them; NaN where none is defined."""
    rows = [
        (*cell.labels, cell.method, score.task, score.metric, run.seed, value)
        for cell in submission.cells
        for score in cell.scores
        for run, value in zip(cell.runs, score.values, strict=True)
    ]
    return pd.DataFrame(rows, columns=SCORE_COLUMNS).astype({"value": float})
