"""A leaderboard laid out for readers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.report import footnotes
from rmtl_bench.report.across import ACROSS, across_sections
from rmtl_bench.report.claims import CLAIMS, STARS, claim_sections, star_sections
from rmtl_bench.report.costs import cost_sections
from rmtl_bench.report.document import (
    DASH,
    Column,
    Document,
    Section,
    against,
    chosen,
    p_value,
    spread,
    verdict_text,
)
from rmtl_bench.report.leaderboard import Leaderboard, LeaderboardSettings
from rmtl_bench.report.overview import OVERVIEW, overview_sections
from rmtl_bench.statistics import CELL, VERDICTS

_CELL_COLUMNS: tuple[Column, ...] = (
    Column("rank", numeric=True),
    Column("method", width=28),
    Column("mean", numeric=True),
    Column("n/N", numeric=True),
    Column("difference", numeric=True),
    Column("p", numeric=True),
    Column("verdict", width=27),
)


def leaderboard_document(board: Leaderboard, metrics: Sequence[str] | None = None, by: str | None = None) -> Document:
    """Lay a leaderboard out; ``metrics`` chooses what the text formats show, csv and json hold all.

    ``by``: a task, a metric or ``TASK:METRIC``; the text formats then show one table a data set in that order in place
    of a table a cell and the comparisons. Raises :class:`UsageError` for one that the scores do not have.
    """
    settings = board.settings
    check_metrics(metrics or (), settings.higher_is_better)
    across = tuple(across_sections(board.across, metrics)) if by is None else ()
    if by is None:
        shown = (*_cells(board, metrics), *_comparisons(board, metrics), *_delta_m(board, metrics))
        claimed = (*claim_sections(board.claims, metrics), *star_sections(board.stars, metrics))
        sections = (*_missing(board), *across, *shown, *claimed, *_counts(board, metrics), *cost_sections(board.costs))
    else:
        sections = (*_missing(board), *overview_sections(board, by, metrics))
    equivalence = {m: r for m, r in settings.equivalence.items() if metrics is None or m in metrics}
    tests = footnotes.difference(settings.confidence, settings.protocol)
    notes = [*([OVERVIEW] if by else []), footnotes.COUNTS, tests, footnotes.RANK]
    notes += [ACROSS] if across else []
    if by is None:
        notes += [CLAIMS] if (board.claims["references"] > 1).any() else []
        notes += [STARS] if len(board.stars) else []
    controls = [family.name for family in settings.families if family.control]
    if board.rows["control"].notna().any():
        notes.append(footnotes.controls(controls))
    costs = [footnotes.COST] if len(board.costs) and by is None else []
    return Document(
        title=settings.title,
        notes=board.notes,
        sections=sections,
        footnotes=(*notes, footnotes.verdicts(equivalence, settings.protocol), footnotes.ROBUST, *costs),
        tables={
            "leaderboard": board.rows,
            "across": board.across,
            "comparisons": board.comparisons,
            "delta_m": board.delta_m,
            "counts": board.counts,
            "claims": board.claims,
            "stars": board.stars,
            "missing": board.missing,
            "incomplete": board.incomplete,
            "costs": board.costs,
        },
        settings=_settings(settings),
    )


def check_metrics(metrics: Iterable[str], known: Iterable[str]) -> None:
    """Raise :class:`UsageError` for a metric that the scores do not have."""
    names = list(known)
    for metric in metrics:
        if metric not in names:
            raise UsageError(f"unknown metric {metric!r}{did_you_mean(metric, names)}")


def direction(metric: str, higher_is_better: Mapping[str, bool]) -> str:
    """Return the metric's name with its better direction."""
    return f"{metric} ({'higher' if higher_is_better[metric] else 'lower'} is better)"


def _settings(settings: LeaderboardSettings) -> dict[str, Any]:
    family = settings.reference
    return {
        "higher_is_better": dict(settings.higher_is_better),
        "equivalence": dict(settings.equivalence),
        "confidence": settings.confidence,
        "protocol": settings.protocol,
        "reference": family and {"candidates": list(family.candidates), "references": list(family.references)},
        "control_families": [family.name for family in settings.families if family.control],
        "delta_m_reference": settings.delta_m_reference,
    }


def _missing(board: Leaderboard) -> Iterable[Section]:
    if len(board.missing):
        grouped = board.missing.groupby(["dataset", "method"])["seed"]
        rows = tuple((str(d), str(m), ", ".join(map(str, sorted(seeds)))) for (d, m), seeds in grouped)
        yield Section("missing runs", (Column("dataset"), Column("method"), Column("seeds", width=40)), rows)


def _cells(board: Leaderboard, metrics: Sequence[str] | None) -> Iterable[Section]:
    for (dataset, task, metric), cell in _groups(chosen(board.rows, metrics), CELL):
        records = cell.to_dict("records")
        versus = [against(r["method"], r["reference"]) for r in records]
        controls = [_control_text(record) for record in records]
        shared, controlled = set(versus) - {DASH}, set(controls) != {DASH}
        title = f"{dataset} · {task} · {direction(metric, board.settings.higher_is_better)}"
        columns, rows = _CELL_COLUMNS, [_cell_row(record) for record in records]
        if len(shared) == 1:
            title = f"{title}, difference to {shared.pop()}"
        elif not shared:
            columns, rows = columns[:4], [row[:4] for row in rows]
        elif controlled:
            # A terminal has place for one more column: the reference is named as the control is.
            rows = [(*row[:-1], _named(reference, row[-1])) for row, reference in zip(rows, versus, strict=True)]
        else:
            columns = (*_narrow(columns), Column("against", width=16))
            rows = [(*row, reference) for row, reference in zip(rows, versus, strict=True)]
        if controlled:
            columns = (*_narrow(columns), Column("against its control", width=22))
            rows = [(*row, text) for row, text in zip(rows, controls, strict=True)]
        yield Section(title, columns, tuple(rows))


def _narrow(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns of a cell, wrapped so that a terminal has place for one more."""
    widths = {"method": 18, "verdict": 16}
    return tuple(replace(column, width=widths.get(column.title, column.width)) for column in columns)


def _named(reference: str, verdict: str) -> str:
    return DASH if reference == DASH else f"{reference}: {verdict}"


def _control_text(r: Mapping[str, Any]) -> str:
    control = against(r["method"], r["control"])
    verdict = {key: r[f"control_{key}"] for key in ("verdict", "robust", "mde")}
    return _named(control, verdict_text(verdict))


def _cell_row(r: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        DASH if pd.isna(r["rank"]) else str(r["rank"]),
        r["method"],
        spread(r["mean"], r["low"], r["high"]),
        f"{r['n']}/{r['expected']}",
        spread(r["difference"], r["difference_low"], r["difference_high"], signed=True),
        p_value(r["p_holm"]),
        verdict_text(r),
    )


def _comparisons(board: Leaderboard, metrics: Sequence[str] | None) -> Iterable[Section]:
    columns = (
        Column("data set", width=20),
        Column("task", width=12),
        Column("candidate", width=20),
        Column("against", width=14),
        Column("n", numeric=True),
        Column("difference", numeric=True),
        Column("p", numeric=True),
        Column("verdict", width=16),
    )
    for (family, metric), group in _groups(chosen(board.comparisons, metrics), ["family", "metric"]):
        rows = tuple(
            (
                r["dataset"],
                r["task"],
                r["candidate"],
                against(r["candidate"], r["reference"]),
                str(r["n"]),
                spread(r["difference"], r["low"], r["high"], signed=True),
                p_value(r["p_holm"]),
                verdict_text(r),
            )
            for r in group.to_dict("records")
        )
        title = f"{family}: {direction(metric, board.settings.higher_is_better)}"
        yield Section(title, columns, rows)


def _delta_m(board: Leaderboard, metrics: Sequence[str] | None) -> Iterable[Section]:
    columns = (Column("method", width=40), Column("Delta_m %", numeric=True), Column("n", numeric=True))
    for (dataset, metric), group in _groups(chosen(board.delta_m, metrics), ["dataset", "metric"]):
        rows = tuple(
            (r["method"], spread(r["mean"], r["low"], r["high"], signed=True), str(r["n"]))
            for r in group.to_dict("records")
        )
        reference = board.settings.delta_m_reference
        yield Section(f"{dataset} · {metric} · mean relative gain over the tasks against {reference}", columns, rows)


def _counts(board: Leaderboard, metrics: Sequence[str] | None) -> Iterable[Section]:
    counts = chosen(board.counts, metrics)
    if counts.empty:
        return
    by = ["family", "candidate", "reference", "metric"]
    wide = counts.set_index([*by, "verdict"])["cells"].unstack("verdict", fill_value=0, sort=False)
    shown = [v for v in VERDICTS if v in wide.columns]
    rows = tuple((*map(str, key), *(str(row[v]) for v in shown)) for key, row in wide.iterrows())
    columns = (
        Column("family", width=30),
        *(Column(name) for name in ("weighting", "against", "metric")),
        *(Column(v, numeric=True, width=14) for v in shown),
    )
    yield Section("verdicts, counted over data sets, tasks and backbones", columns, rows)


def _groups(frame: pd.DataFrame, by: list[str]) -> Iterable[tuple[tuple[str, ...], pd.DataFrame]]:
    """Group in the frame's order of metrics, but keep data sets, then tasks, together."""
    outer = [name for name in by if name != "metric"]
    for _, part in frame.groupby(outer, sort=True):
        for _, group in part.groupby("metric", sort=False):
            yield tuple(group.iloc[0][by]), group
