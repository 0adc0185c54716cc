"""The controls beside the rows of a leaderboard: what families of controls say, under the method's own row."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.statistics import CELL, Family

_NAMES = {
    "reference": "control",
    "difference": "control_difference",
    "low": "control_difference_low",
    "high": "control_difference_high",
    "p_holm": "control_p_holm",
    "verdict": "control_verdict",
    "robust": "control_robust",
    "mde": "control_mde",
}

CONTROL_COLUMNS = list(_NAMES.values())
"""What a row says of its method and the method's control; empty where it has none."""


def single_references(families: Iterable[Family], methods: Iterable[str], called: str) -> None:
    """Raise :class:`UsageError` where families together give a method two references.

    ``called`` says what the references are to the method: "references", "controls".
    """
    names = list(methods)
    given: dict[str, tuple[str, str]] = {}
    for family in families:
        for candidate, reference in family.pairs(names):
            if candidate not in given:
                given[candidate] = (family.name, reference)
                continue
            first_family, first = given[candidate]
            if first_family == family.name:
                raise UsageError(f"family {family.name!r} gives {candidate} two {called}, {first} and {reference}")
            raise UsageError(
                f"families {first_family!r} and {family.name!r} both give {candidate} {called}, "
                f"{first} and {reference}; it takes one"
            )


def beside(comparisons: pd.DataFrame, families: Iterable[Family]) -> pd.DataFrame:
    """Return the rows of the families of controls, one a cell and method, as ``CONTROL_COLUMNS``.

    They are the rows of the comparisons themselves: tested once, corrected within their own family.
    """
    names = [family.name for family in families if family.control]
    rows = comparisons[comparisons["family"].isin(names)].rename(columns={"candidate": "method", **_NAMES})
    return rows[[*CELL, "method", *CONTROL_COLUMNS]]
