"""The tables of what was compared: declared families with their claims, and all cells together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from rmtl_bench.report.across import across_sections
from rmtl_bench.report.claims import claim_sections, star_sections
from rmtl_bench.report.document import DASH, Column, Section, against, p_value, spread
from rmtl_bench.report.layout import direction
from rmtl_bench.report.leaderboard import Leaderboard
from rmtl_bench.report.page.contents import ReportContents
from rmtl_bench.report.page.views import Cell, Heading, Row, Table, section_table, verdict_cell
from rmtl_bench.statistics import VERDICTS, iqm, probability_of_improvement

IMPROVEMENT = (
    "gain: interquartile mean over cells and seeds of the relative gain on the reference in %, positive for better; "
    "chance of improvement: share of seeds that are better than the reference with the same seed, a tie counting half, "
    "averaged over cells. Intervals resample the seeds; they describe, they do not test."
)
"""What the two aggregates are."""


class FamilyTables(NamedTuple):
    """A declared family: its name, whether its references are controls, and its tables."""

    name: str
    control: bool
    tables: tuple[Table, ...]


def family_tables(contents: ReportContents) -> Iterator[FamilyTables]:
    """Yield the declared families, those of controls first, each with a table a metric and its claims."""
    board = contents.board
    for family in sorted(board.settings.families, key=lambda family: not family.control):
        rows = board.comparisons[board.comparisons["family"] == family.name]
        tables = [
            _comparisons(contents, metric, rows[rows["metric"] == metric])
            for metric in contents.metrics
            if (rows["metric"] == metric).any()
        ]
        claims, stars = (frame[frame["family"] == family.name] for frame in (board.claims, board.stars))
        for section in (*claim_sections(claims, contents.metrics), *star_sections(stars, contents.metrics)):
            tables.append(section_table(section, contents.methods))
        yield FamilyTables(family.name, family.control, tuple(tables))


def _comparisons(contents: ReportContents, metric: str, rows: pd.DataFrame) -> Table:
    headings: tuple[Heading, ...] = (
        Heading("data set"),
        Heading("task"),
        Heading("candidate", "method"),
        Heading("against"),
        Heading("n", "number"),
        Heading("difference", "number"),
        Heading("p", "number"),
        Heading("exact p", "number"),
        Heading("verdict", "verdict"),
    )
    table_rows = tuple(
        Row(
            r["candidate"],
            (
                Cell(r["dataset"]),
                Cell(r["task"]),
                Cell(r["candidate"]),
                Cell(against(r["candidate"], r["reference"])),
                Cell(str(r["n"])),
                Cell(spread(r["difference"], r["low"], r["high"], signed=True)),
                Cell(p_value(r["p_holm"])),
                Cell(p_value(r["p_exact_holm"])),
                verdict_cell(r),
            ),
        )
        for r in rows.to_dict("records")
    )
    return Table(direction(metric, contents.suite.higher_is_better), headings, table_rows)


def across_tables(contents: ReportContents) -> Iterator[Table]:
    """Yield what is said over all cells: verdicts and ranks, gains on the reference, gains over tasks, counts."""
    sections = [
        *across_sections(contents.board.across, contents.metrics),
        *_improvement(contents),
        *_delta_m(contents),
        *_counts(contents.board),
    ]
    for section in sections:
        yield section_table(section, contents.methods)


def _improvement(contents: ReportContents) -> Iterator[Section]:
    """Yield a section a metric of the gains on the reference; none without a reference, or for a single cell."""
    board, scores = contents.board, contents.suite.scores
    reference = board.settings.reference
    if scores.empty or reference is None:
        return
    judged: dict[str, list[str]] = {}
    for candidate, other in reference.pairs(scores["method"].unique()):
        judged.setdefault(other, []).append(candidate)
    gains = pd.concat([_gains(contents, other, candidates) for other, candidates in judged.items()] or [pd.DataFrame()])
    titles = (("method", False), ("against", False), ("gain %", True), ("chance of improvement", True), ("cells", True))
    columns = tuple(Column(title, numeric=numeric) for title, numeric in titles)
    for metric in contents.metrics if len(gains) else ():
        of_metric = gains[gains["metric"] == metric].sort_values("method")
        if of_metric.empty or of_metric["of_cells"].max() < 2:
            continue
        rows = tuple(
            (
                r["method"],
                against(r["method"], r["reference"]),
                _bracketed(r["iqm"], r["low"], r["high"], "+.3f"),
                _bracketed(r["probability"], r["p_low"], r["p_high"], ".2f"),
                f"{r['cells']}/{r['of_cells']}",
            )
            for r in of_metric.to_dict("records")
        )
        yield Section(f"{metric}: gain on the reference over all cells", columns, rows)


def _gains(contents: ReportContents, reference: str, candidates: list[str]) -> pd.DataFrame:
    scores = contents.suite.scores
    own = scores[scores["method"].isin([reference, *candidates])]
    gains = iqm(own, reference, contents.suite.higher_is_better)
    chances = probability_of_improvement(own, reference, contents.suite.higher_is_better)
    chances = chances.rename(columns={"low": "p_low", "high": "p_high"})
    both = gains.merge(chances[["metric", "method", "probability", "p_low", "p_high"]], on=["metric", "method"])
    return both[both["method"].isin(candidates)].assign(reference=reference)


def _bracketed(value: float, low: float, high: float, form: str) -> str:
    if not np.isfinite(value):
        return DASH
    return f"{value:{form}}" + (f" [{low:{form}}, {high:{form}}]" if np.isfinite(low) else "")


def _delta_m(contents: ReportContents) -> Iterator[Section]:
    board = contents.board
    columns = (Column("method"), Column("Delta_m %", numeric=True), Column("n", numeric=True))
    for (dataset, metric), group in board.delta_m.groupby(["dataset", "metric"], sort=False):
        rows = tuple(
            (r["method"], spread(r["mean"], r["low"], r["high"], signed=True), str(r["n"]))
            for r in group.to_dict("records")
        )
        title = f"{dataset} · {metric} · mean relative gain over the tasks against {board.settings.delta_m_reference}"
        yield Section(title, columns, rows)


def _counts(board: Leaderboard) -> Iterator[Section]:
    if board.counts.empty:
        return
    by = ["family", "candidate", "reference", "metric"]
    wide = board.counts.set_index([*by, "verdict"])["cells"].unstack("verdict", fill_value=0, sort=False)
    shown = [verdict for verdict in VERDICTS if verdict in wide.columns]
    rows = tuple((*map(str, key), *(str(row[verdict]) for verdict in shown)) for key, row in wide.iterrows())
    names = ("family", "weighting", "against", "metric")
    columns = (*map(Column, names), *(Column(verdict, numeric=True) for verdict in shown))
    yield Section("verdicts, counted over data sets, tasks and backbones", columns, rows)
