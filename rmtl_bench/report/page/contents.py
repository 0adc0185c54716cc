"""Everything a report is made from, read from a store and computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.report.diagnostics import StoredDiagnostics, read_diagnostics
from rmtl_bench.report.leaderboard import Leaderboard, build_leaderboard
from rmtl_bench.report.page.variance import Variance, read_variance
from rmtl_bench.report.stored_suite import StoredSuite, read_stored_suite
from rmtl_bench.statistics import EXPLORATORY_COLUMNS, Friedman, exploratory_pairs, friedman
from rmtl_bench.store import Attempt, Index, Store
from rmtl_bench.store.calibration import RELIABILITY_COLUMNS, reliability

_TIMES = """
SELECT min(started), max(finished) FROM v_latest WHERE run_id IN (SELECT unnest(CAST(? AS VARCHAR[])))
"""


@dataclass(frozen=True)
class ReportContents:
    """A suite and what is said of it.

    ``metrics``: those shown, in the suite's order; none when no run has ended well. ``diagnostics``: None then.
    ``exploratory``: all pairs of methods. ``critical``: the tests over data sets, one a metric, each with its reason
    where there is none. ``attempts``, ``environments`` (JSON texts) and ``fingerprints`` by run id. ``times``: when the
    first run started and the last one ended. ``notes``: what could not be read.
    """

    store: Store
    suite: StoredSuite
    board: Leaderboard
    metrics: tuple[str, ...]
    diagnostics: StoredDiagnostics | None
    calibration: pd.DataFrame
    exploratory: pd.DataFrame
    critical: tuple[Friedman, ...]
    variance: Variance
    attempts: Mapping[str, Attempt]
    environments: Mapping[str, str]
    fingerprints: Mapping[str, str]
    times: tuple[str, str]
    notes: tuple[str, ...] = ()

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that the plan names, in its order."""
        return tuple(dict.fromkeys(f"{cell.backbone}/{cell.weighting}" for cell in self.suite.plan.cells))


def read_contents(store: Store, name: str, *, sample: bool, metrics: Sequence[str], draws: int) -> ReportContents:
    """Read a suite named as :func:`find_plan` takes it, whatever state it is in; ``draws`` of the test sessions.

    Raises :class:`UsageError` when the suite was not run in this store, and for a metric that no run has.
    """
    suite = read_stored_suite(store, name, sample=sample, metrics=metrics)
    plan, scored = suite.plan, not suite.scores.empty
    board = build_leaderboard(suite.scores, suite.expected, suite.settings(), suite.costs)
    shown = tuple(dict.fromkeys(suite.scores["metric"]))
    run_ids = [cell.run_id for cell in plan.cells]
    index = Index(store)
    with index.reading():
        attempts, environments = index.latest(run_ids), index.environments(run_ids)
        fingerprints, folders = index.fingerprints(run_ids), index.folders(run_ids)
        _, [(started, finished)] = index.query(_TIMES, [run_ids])
    notes = [f"passed over: {problem.reason}" for problem in suite.refreshed.problems]
    calibration = pd.DataFrame(columns=list(RELIABILITY_COLUMNS))
    try:
        calibration = pd.DataFrame(reliability(plan.cells, folders))
    except StoreError as error:
        # A damaged file of predictions takes a figure away, and not the report.
        notes.append(f"no calibration: {error}")
    return ReportContents(
        store=store,
        suite=suite,
        board=board,
        metrics=shown,
        diagnostics=read_diagnostics(store, plan.name) if folders else None,
        calibration=calibration,
        exploratory=_exploratory(suite, board) if scored else pd.DataFrame(columns=EXPLORATORY_COLUMNS),
        critical=tuple(friedman(suite.scores, metric, suite.higher_is_better) for metric in shown),
        variance=read_variance(store, plan, board, shown, draws),
        attempts=attempts,
        environments=environments,
        fingerprints=fingerprints,
        times=(started or "", finished or ""),
        notes=tuple(notes),
    )


def _exploratory(suite: StoredSuite, board: Leaderboard) -> pd.DataFrame:
    return exploratory_pairs(suite.scores, suite.higher_is_better, suite.equivalence, incomplete=board.incomplete)
