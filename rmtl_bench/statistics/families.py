"""Declared families of comparisons: what is compared with what, named before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.statistics.frames import CELL, check_directions, check_scores, column, matrix, wide_scores
from rmtl_bench.statistics.paired import paired_table
from rmtl_bench.statistics.verdicts import judge

SCOPES = ("same-backbone", "same-weighting", "all")
"""Which pairs a family takes: those that differ in the weighting alone, in the backbone alone, or any."""

COMPARISON_COLUMNS = [
    *("family", *CELL, "candidate", "reference", "n", "difference", "low", "high", "p", "p_holm", "verdict", "robust"),
    *("mde", "d_z", "win_fraction", "mean_candidate", "mean_reference", "p_exact", "p_exact_holm"),
]
"""The columns of a table of comparisons; differences and bounds are candidate - reference, in the metric's unit."""


@dataclass(frozen=True)
class Family:
    """Comparisons that are corrected together, per metric: every candidate with every reference within the scope.

    ``candidates`` and ``references`` are globs over ``backbone/weighting``; ``*`` does not cross the slash, and a
    lone ``*`` is every method. ``control`` says that the references are the candidates' controls; it changes no test.
    """

    name: str
    candidates: tuple[str, ...]
    references: tuple[str, ...]
    scope: str = "same-backbone"
    control: bool = False

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            raise UsageError(f"family {self.name!r}: unknown scope {self.scope!r}{did_you_mean(self.scope, SCOPES)}")
        for pattern in (*self.candidates, *self.references):
            if pattern != "*" and "/" not in pattern:
                raise UsageError(f"family {self.name!r}: {pattern!r} is not of the form backbone/weighting")

    def pairs(self, methods: Iterable[str]) -> list[tuple[str, str]]:
        """Return the (candidate, reference) pairs among the methods, never a method with itself.

        Where two methods are candidate and reference of each other, the pair is taken once.
        """
        names = sorted(set(methods))
        taken: dict[tuple[str, str], None] = {}
        for candidate in (m for m in names if _matches(m, self.candidates)):
            for reference in (m for m in names if _matches(m, self.references)):
                wanted = candidate != reference and self._in_scope(candidate, reference)
                if wanted and (reference, candidate) not in taken:
                    taken[candidate, reference] = None
        return list(taken)

    def unmatched(self, methods: Iterable[str]) -> list[str]:
        """Return the patterns that match none of the methods."""
        names = set(methods)
        return [p for p in (*self.candidates, *self.references) if not any(_matches(m, (p,)) for m in names)]

    def _in_scope(self, candidate: str, reference: str) -> bool:
        if self.scope == "all":
            return True
        part = 0 if self.scope == "same-backbone" else 1
        return split_method(candidate)[part] == split_method(reference)[part]


def split_method(method: str) -> tuple[str, str]:
    """Return backbone and weighting of ``backbone/weighting``."""
    backbone, _, weighting = method.partition("/")
    return backbone, weighting


def run_families(
    scores: pd.DataFrame,
    families: Sequence[Family],
    higher_is_better: Mapping[str, bool],
    equivalence: Mapping[str, float | str],
    *,
    confidence: float = 0.95,
    only_shared: bool = False,
) -> pd.DataFrame:
    """Return one judged row per comparison, with ``COMPARISON_COLUMNS``.

    A method without any score in a cell is not compared there. Seeds on one side alone are refused, unless
    ``only_shared`` asks to leave them out; ``n`` counts the pairs.
    """
    names = [family.name for family in families]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two families are called {name!r}")
    methods = scores["method"].unique() if "method" in scores.columns else []
    wanted = [(f.name, candidate, reference) for f in families for candidate, reference in f.pairs(methods)]
    return run_pairs(scores, wanted, higher_is_better, equivalence, confidence=confidence, only_shared=only_shared)


def run_pairs(
    scores: pd.DataFrame,
    wanted: Sequence[tuple[str, str, str]],
    higher_is_better: Mapping[str, bool],
    equivalence: Mapping[str, float | str],
    *,
    confidence: float = 0.95,
    only_shared: bool = False,
) -> pd.DataFrame:
    """Do as ``run_families`` for given (family, candidate, reference) triples of method names."""
    finite = check_scores(scores)
    check_directions(finite["metric"].unique(), higher_is_better)
    wide = wide_scores(finite)
    table = _locate(wide, wanted)
    values = matrix(wide)
    a, b = values[column(table, "row_a", int)], values[column(table, "row_b", int)]
    if not only_shared:
        _refuse_unpaired(table, np.isfinite(a) != np.isfinite(b), list(wide.columns))
    sign = np.array([higher_is_better[m] for m in table["metric"]], dtype=bool)
    paired = paired_table(a, b, sign, confidence)
    judged = judge(pd.concat([table.drop(columns=["row_a", "row_b"]), paired], axis=1), equivalence)
    return judged.rename(columns={"mean_a": "mean_candidate", "mean_b": "mean_reference"})[COMPARISON_COLUMNS]


def _matches(method: str, patterns: Sequence[str]) -> bool:
    backbone, weighting = split_method(method)
    return any(
        pattern == "*" or all(map(fnmatchcase, (backbone, weighting), split_method(pattern))) for pattern in patterns
    )


def _locate(wide: pd.DataFrame, wanted: Sequence[tuple[str, str, str]]) -> pd.DataFrame:
    """Lay every wanted pair out over the cells in which both methods have scores, with their rows in ``wide``."""
    place = {key: i for i, key in enumerate(wide.index)}
    cells = list(dict.fromkeys(key[:3] for key in place))
    rows = [
        (family, *cell, candidate, reference, place[*cell, candidate], place[*cell, reference])
        for family, candidate, reference in wanted
        for cell in cells
        if (*cell, candidate) in place and (*cell, reference) in place
    ]
    return pd.DataFrame(rows, columns=["family", *CELL, "candidate", "reference", "row_a", "row_b"])


def _refuse_unpaired(table: pd.DataFrame, lone: np.ndarray, seeds: Sequence[int]) -> None:
    if not lone.any():
        return
    first = int(np.flatnonzero(lone.any(axis=1))[0])
    row = table.iloc[first]
    named = ", ".join(str(seed) for seed, alone in zip(seeds, lone[first], strict=True) if alone)
    where = f"{row['dataset']}, {row['task']}, {row['metric']}"
    raise UsageError(
        f"{row['candidate']} and {row['reference']} are not paired on {where}: seeds on one side alone: {named}"
    )
