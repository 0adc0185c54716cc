"""Two methods side by side, in every cell that both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.report import footnotes
from rmtl_bench.report.document import Column, Document, Section, chosen, number, p_value, spread, verdict_text
from rmtl_bench.report.layout import direction
from rmtl_bench.report.session_variance import SESSION_FOOTNOTE, session_sections
from rmtl_bench.statistics import DEFAULT_PROTOCOL, check_scores, find_protocol, run_pairs


@dataclass(frozen=True)
class PairComparison:
    """Candidate ``a`` against reference ``b``: one judged row per data set, task and metric."""

    a: str
    b: str
    higher_is_better: Mapping[str, bool]
    equivalence: Mapping[str, float | str]
    confidence: float
    rows: pd.DataFrame
    protocol: str = DEFAULT_PROTOCOL


def compare_pair(
    scores: pd.DataFrame,
    a: str,
    b: str,
    higher_is_better: Mapping[str, bool],
    equivalence: Mapping[str, float | str] | None = None,
    *,
    protocol: str = DEFAULT_PROTOCOL,
    confidence: float = 0.95,
    only_shared: bool = False,
) -> PairComparison:
    """Compare two methods (``backbone/weighting``) wherever both have scores, paired by seed.

    The correction is over all data sets and tasks, for each metric. ``protocol`` is one of
    :data:`~rmtl_bench.statistics.PROTOCOLS`. Seeds on one side alone are refused, unless
    ``only_shared`` asks to leave them out.
    """
    finite = check_scores(scores)
    known = finite["method"].unique()
    for method in (a, b):
        if method not in known:
            raise UsageError(f"no scores of method {method!r}{did_you_mean(method, known)}")
    if a == b:
        raise UsageError(f"{a} was to be compared with itself")
    regions = dict(equivalence or {})
    only = finite[finite["method"].isin([a, b])]
    options: dict[str, Any] = {"confidence": confidence, "only_shared": only_shared, "protocol": protocol}
    rows = run_pairs(only, [("pair", a, b)], higher_is_better, regions, **options)
    if rows.empty:
        raise UsageError(f"{a} and {b} have no data set, task and metric in common")
    return PairComparison(a, b, dict(higher_is_better), regions, confidence, rows, protocol)


def pair_document(
    pair: PairComparison, metrics: Sequence[str] | None = None, variance: pd.DataFrame | None = None
) -> Document:
    """Lay a comparison out; ``metrics`` chooses what the text formats show, csv and json hold all.

    ``variance``: the two sources of its uncertainty, as :mod:`~rmtl_bench.report.session_variance` has them.
    """
    columns = (
        Column("data set", width=20),
        Column("task", width=10),
        *(Column(title, numeric=True) for title in ("A", "B", "n", "A - B", "p", "exact p")),
        Column("verdict", width=16),
    )
    sections = []
    for metric, group in chosen(pair.rows, metrics).groupby("metric", sort=False):
        rows = tuple(
            (
                r["dataset"],
                r["task"],
                number(r["mean_candidate"]),
                number(r["mean_reference"]),
                str(r["n"]),
                spread(r["difference"], r["low"], r["high"], signed=True),
                p_value(r["p_holm"]),
                p_value(r["p_exact_holm"]),
                verdict_text(r),
            )
            for r in group.to_dict("records")
        )
        sections.append(Section(direction(metric, pair.higher_is_better), columns, rows))
    shown = {m: r for m, r in pair.equivalence.items() if metrics is None or m in metrics}
    warning = find_protocol(pair.protocol).warning
    tables = {"comparison": pair.rows}
    verdicts = footnotes.verdicts(shown, pair.protocol)
    lines = [footnotes.difference(pair.confidence, pair.protocol), verdicts, footnotes.ROBUST]
    if variance is not None:
        sections += session_sections(variance)
        tables["sessions"] = variance
        lines.append(SESSION_FOOTNOTE)
    return Document(
        title=f"A: {pair.a}, B: {pair.b}",
        notes=(warning,) if warning else (),
        sections=tuple(sections),
        footnotes=tuple(lines),
        tables=tables,
        settings={
            "higher_is_better": dict(pair.higher_is_better),
            "equivalence": dict(pair.equivalence),
            "confidence": pair.confidence,
            "protocol": pair.protocol,
        },
    )
