"""A leaderboard: every score with its interval, its rank and the verdict against a declared reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from rmtl_bench.report.across import across_cells
from rmtl_bench.report.controls import CONTROL_COLUMNS, beside, single_references
from rmtl_bench.report.costs import cost_table
from rmtl_bench.statistics import (
    CELL,
    DEFAULT_PROTOCOL,
    Family,
    Incomplete,
    cell_counts,
    check_scores,
    delta_m,
    find_protocol,
    incomplete_cells,
    missing_runs,
    rank_methods,
    run_families,
    split_method,
    summarise,
)
from rmtl_bench.statistics.claims import claims
from rmtl_bench.statistics.paper_stars import STAR_COLUMNS, paper_stars
from rmtl_bench.statistics.verdicts import MIN_SEEDS

ROW_COLUMNS = [
    *(*CELL, "rank", "method", "backbone", "weighting", "mean", "low", "high", "n", "expected", "reference"),
    *("difference", "difference_low", "difference_high", "p", "p_holm", "p_exact_holm", "verdict", "robust", "mde"),
    *CONTROL_COLUMNS,
]
"""The columns of ``Leaderboard.rows``; ``expected`` is N of n/N, differences are method - reference or - control."""


@dataclass(frozen=True)
class LeaderboardSettings:
    """What a leaderboard shows and against what it judges.

    ``notes`` are printed on top. ``reference`` names, for each method, the one it is judged against; ``families`` are
    further comparisons with corrections of their own. ``equivalence`` maps a metric to a difference too small to
    matter, in its unit (0.001) or in percent of the reference ("0.1%"). ``delta_m_reference`` is one method.
    ``protocol`` is one of :data:`~rmtl_bench.statistics.PROTOCOLS`. ``incomplete``: what the headline over all cells
    does about methods that lack a cell, see :mod:`rmtl_bench.statistics.aggregates`.
    """

    title: str
    higher_is_better: Mapping[str, bool]
    notes: tuple[str, ...] = ()
    reference: Family | None = None
    equivalence: Mapping[str, float | str] = field(default_factory=dict)
    families: tuple[Family, ...] = ()
    delta_m_reference: str | None = None
    protocol: str = DEFAULT_PROTOCOL
    incomplete: Incomplete = "exclude-method"
    confidence: float = 0.95


@dataclass(frozen=True)
class Leaderboard:
    """The frames of a leaderboard, one row per cell and method, comparison, Delta_m, count, missing run or cost.

    ``across``: the headline, one row per metric and method. ``claims``: one per family, cell and candidate. ``stars``:
    likewise, under the paper's protocol alone.
    """

    settings: LeaderboardSettings
    notes: tuple[str, ...]
    rows: pd.DataFrame
    comparisons: pd.DataFrame
    delta_m: pd.DataFrame
    counts: pd.DataFrame
    missing: pd.DataFrame
    incomplete: pd.DataFrame
    costs: pd.DataFrame
    across: pd.DataFrame
    claims: pd.DataFrame
    stars: pd.DataFrame


def build_leaderboard(
    scores: pd.DataFrame,
    expected: Iterable[tuple[str, str, int]] | None,
    settings: LeaderboardSettings,
    costs: pd.DataFrame | None = None,
) -> Leaderboard:
    """Build a leaderboard from scores and the planned (dataset, method, seed) runs, ``None`` for no plan.

    ``costs``, a row a run as :func:`cost_table` takes them, are shown beside the scores and decide nothing.
    """
    finite = check_scores(scores)
    plan = None if expected is None else list(expected)
    counts = cell_counts(plan, finite)
    incomplete = incomplete_cells(counts)
    methods = finite["method"].unique()
    if settings.reference is not None:
        single_references([settings.reference], methods, "references")
    single_references([family for family in settings.families if family.control], methods, "controls")
    against = _compare(finite, [settings.reference] if settings.reference else [], settings)
    comparisons = _compare(finite, settings.families, settings)
    missing = missing_runs(plan or [], finite)
    rows = _rows(finite, counts, incomplete, against, beside(comparisons, settings.families), settings)
    return Leaderboard(
        settings=settings,
        notes=(*settings.notes, *_own_notes(finite, settings, missing, incomplete)),
        rows=rows,
        comparisons=comparisons,
        delta_m=_delta_m(finite, settings),
        counts=_count(against, comparisons),
        missing=missing,
        incomplete=incomplete,
        costs=cost_table(costs, settings.reference),
        claims=claims(comparisons, settings.higher_is_better),
        stars=_stars(finite, settings),
        across=across_cells(rows, finite, settings.higher_is_better, settings.incomplete),
    )


def _compare(scores: pd.DataFrame, families: Iterable[Family], settings: LeaderboardSettings) -> pd.DataFrame:
    # A running suite has gaps; they are listed and n shows them, so that the rest can be read meanwhile.
    return run_families(
        scores,
        list(families),
        settings.higher_is_better,
        settings.equivalence,
        confidence=settings.confidence,
        only_shared=True,
        protocol=settings.protocol,
    )


def _stars(scores: pd.DataFrame, settings: LeaderboardSettings) -> pd.DataFrame:
    columns = ["family", *STAR_COLUMNS]
    if find_protocol(settings.protocol).corrected:
        return pd.DataFrame(columns=columns)
    families = settings.families or (Family("all methods", ("*",), ("*",), "all"),)
    stars = [paper_stars(scores, settings.higher_is_better, f).assign(family=f.name) for f in families]
    return pd.concat(stars, ignore_index=True)[columns]


def _rows(
    scores: pd.DataFrame,
    counts: pd.DataFrame,
    incomplete: pd.DataFrame,
    against: pd.DataFrame,
    controls: pd.DataFrame,
    settings: LeaderboardSettings,
) -> pd.DataFrame:
    key = [*CELL, "method"]
    means = summarise(scores, key, settings.confidence).drop(columns="n")
    ranks = rank_methods(scores, settings.higher_is_better, incomplete)
    names = {"candidate": "method", "low": "difference_low", "high": "difference_high"}
    judged = against.drop(columns=["n", "family"]).rename(columns=names)
    table = counts
    for more in (means, ranks, judged, controls):
        table = table.merge(more, on=key, how="left")
    parts = [split_method(method) for method in table["method"]]
    table = table.assign(backbone=[p[0] for p in parts], weighting=[p[1] for p in parts], rank=table["rank"])
    sign = table["metric"].map({m: -1.0 if up else 1.0 for m, up in settings.higher_is_better.items()})
    table = table.assign(_badness=sign * table["mean"]).sort_values(
        [*CELL, "rank", "_badness", "method"], ignore_index=True
    )
    return table[ROW_COLUMNS].assign(rank=table["rank"].astype("Int64"))


def _delta_m(scores: pd.DataFrame, settings: LeaderboardSettings) -> pd.DataFrame:
    columns = ["dataset", "metric", "method", "n", "mean", "low", "high"]
    if settings.delta_m_reference is None or scores.empty:
        return pd.DataFrame(columns=columns)
    table = delta_m(scores, settings.delta_m_reference, settings.higher_is_better, settings.confidence)
    order = table.sort_values(["dataset", "metric", "mean"], ascending=[True, True, False], ignore_index=True)
    return order[columns]


def _count(against: pd.DataFrame, comparisons: pd.DataFrame) -> pd.DataFrame:
    judged = pd.concat([against, comparisons], ignore_index=True)
    for side in ("candidate", "reference"):
        judged[side] = [split_method(method)[1] for method in judged[side]]
    counts = judged.groupby(["family", "candidate", "reference", "metric", "verdict"], sort=False).size()
    return counts.rename("cells").reset_index()


def _own_notes(
    scores: pd.DataFrame, settings: LeaderboardSettings, missing: pd.DataFrame, incomplete: pd.DataFrame
) -> list[str]:
    notes = []
    methods = scores["method"].unique()
    for family in (*([settings.reference] if settings.reference else []), *settings.families):
        unmatched = family.unmatched(methods)
        if unmatched:
            notes.append(f"family {family.name!r}: no scores of {', '.join(unmatched)}")
    if len(missing):
        notes.append(f"{len(missing)} planned runs have no scores; they are listed below")
    seeds = scores["seed"].nunique()
    if 0 < seeds < MIN_SEEDS:
        few = "one seed" if seeds == 1 else f"{seeds} seeds"
        notes.append(f"{few} alone: nothing is tested or ranked, since that takes {MIN_SEEDS} at least")
    if len(incomplete):
        cells = "1 incomplete cell is" if len(incomplete) == 1 else f"{len(incomplete)} incomplete cells are"
        notes.append(f"{cells} shown as n/N and left out of the ranks")
    return notes
