"""Who beats *every* reference, and, under the paper's protocol, who would get a star."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from rmtl_bench.report.document import DASH, Column, Section, against, chosen, number, p_value

CLAIMS = (
    "beats all: better than each of its declared references after correction, the only claim that needs no reference "
    "to be picked. The best reference by mean is shown, not tested: it was picked on the same seeds."
)
"""What a claim is."""

STARS = (
    "star: unpaired t test with equal variances against the best baseline by mean, p < 0.05, uncorrected: the practice "
    "of published tables, not ours."
)
"""What a star is."""


def claim_sections(claims: pd.DataFrame, metrics: Sequence[str] | None) -> Iterable[Section]:
    """Yield a section a family and metric, of the candidates with several references; none where each has one."""
    several = claims[claims["references"] > 1]
    columns = (
        Column("data set", width=20),
        Column("task", width=12),
        Column("candidate", width=24),
        Column("mean", numeric=True),
        Column("references", numeric=True),
        Column("beaten", numeric=True),
        Column("best by mean", width=20),
        Column("its mean", numeric=True),
        Column("beats all"),
    )
    for (family, metric), group in chosen(several, metrics).groupby(["family", "metric"], sort=False):
        rows = tuple(
            (
                r["dataset"],
                r["task"],
                r["candidate"],
                number(r["mean_candidate"]),
                str(r["references"]),
                str(r["beaten"]),
                against(r["candidate"], r["best_reference"]),
                number(r["mean_best_reference"]),
                "yes" if r["beats_all"] else "no",
            )
            for r in group.to_dict("records")
        )
        yield Section(f"{family}, all references together: {metric}", columns, rows)


def star_sections(stars: pd.DataFrame, metrics: Sequence[str] | None) -> Iterable[Section]:
    """Yield a section a family and metric of the stars that the paper's protocol gives."""
    columns = (
        Column("data set", width=20),
        Column("task", width=12),
        Column("candidate", width=28),
        Column("mean", numeric=True),
        Column("best baseline", width=24),
        Column("its mean", numeric=True),
        Column("p", numeric=True),
        Column("star"),
    )
    for (family, metric), group in chosen(stars, metrics).groupby(["family", "metric"], sort=False):
        rows = tuple(
            (
                r["dataset"],
                r["task"],
                r["candidate"],
                number(r["mean_candidate"]),
                against(r["candidate"], r["best_baseline"]),
                number(r["mean_baseline"]),
                p_value(r["p"]),
                "*" if r["star"] else DASH,
            )
            for r in group.to_dict("records")
        )
        yield Section(f"{family}, stars as in the paper: {metric}", columns, rows)
