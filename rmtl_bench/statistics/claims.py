"""Does a candidate beat every reference it was to be compared with? An intersection-union claim (Berger 1982).

The claim "better than all of them" holds only if each single comparison does, so that it needs no correction of its
own, and no reference has to be picked: the best baseline on the same seeds is one that noise has a say in. Each
comparison has been corrected by Holm's method over its family, so that the claims of all its candidates and cells hold
together, in 95 % of tables.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rmtl_bench.statistics.frames import CELL, check_directions, column

CLAIM_COLUMNS = [
    *("family", *CELL, "candidate", "references", "beaten", "best_reference", "mean_best_reference", "mean_candidate"),
    "beats_all",
]
"""The columns of a table of claims; ``best_reference`` is the best by mean, shown and not decided by."""

_SIDES = {"candidate": "reference", "mean_candidate": "mean_reference"}
_BETTER, _WORSE = ("better", "better (small)"), ("worse", "worse (small)")


def claims(comparisons: pd.DataFrame, higher_is_better: Mapping[str, bool]) -> pd.DataFrame:
    """Return, for each family, cell and candidate of a table of comparisons, how many of its references are beaten.

    ``references`` counts those that have scores in the cell; ``beats_all`` says that every one of them is beaten:
    verdict "better" or "better (small)". A pair that the family declares both ways counts for both of its methods.
    Raises :class:`UsageError` for a metric without a direction.
    """
    check_directions(comparisons["metric"].unique(), higher_is_better)
    needed = ["family", *CELL, *_SIDES, *_SIDES.values(), "verdict"]
    table = comparisons[needed].assign(beaten=comparisons["verdict"].isin(_BETTER))
    turned = comparisons.loc[comparisons["mutual"].astype(bool), needed]
    turned = turned.rename(columns=_SIDES | {reference: candidate for candidate, reference in _SIDES.items()})
    table = pd.concat([table, turned.assign(beaten=turned["verdict"].isin(_WORSE))], ignore_index=True)
    by = ["family", *CELL, "candidate"]
    counted = table.groupby(by, sort=False).agg(
        references=("reference", "size"), beaten=("beaten", "sum"), mean_candidate=("mean_candidate", "first")
    )
    up = column(table.assign(up=table["metric"].map(dict(higher_is_better))), "up", bool)
    table["badness"] = np.where(up, -1.0, 1.0) * column(table, "mean_reference")
    best = table.sort_values(["badness", "reference"], kind="stable").drop_duplicates(by).set_index(by)
    counted["best_reference"], counted["mean_best_reference"] = best["reference"], best["mean_reference"]
    counted["beats_all"] = counted["beaten"] == counted["references"]
    return counted.reset_index()[CLAIM_COLUMNS]
