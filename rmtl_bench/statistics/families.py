"""Declared families of comparisons: what is compared with what, named before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.statistics.frames import CELL, check_directions, check_scores, column, matrix, wide_scores
from rmtl_bench.statistics.paired import paired_table
from rmtl_bench.statistics.protocols import DEFAULT_PROTOCOL, find_protocol, primary_p
from rmtl_bench.statistics.resampled import shares_of
from rmtl_bench.statistics.verdicts import judge

SCOPES = ("same-backbone", "same-weighting", "all")
"""Which pairs a family takes: those that differ in the weighting alone, in the backbone alone, or any."""

COMPARISON_COLUMNS = [
    *("family", *CELL, "candidate", "reference", "n", "difference", "low", "high", "p", "p_holm", "verdict", "robust"),
    *("mde", "d_z", "win_fraction", "mean_candidate", "mean_reference", "p_exact", "p_exact_holm"),
    *("sd", "tost_low", "tost_high", "mutual"),
]
"""The columns of a table of comparisons; differences and bounds are candidate - reference, in the metric's unit.

``p`` is the one that the protocol decides by. ``mutual``: the family declares the pair both ways and tests it once.
"""


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
        names, declared = self.declared(methods)
        return [(names[i], names[j]) for i, j in np.argwhere(_taken_once(declared))]

    def declared(self, methods: Iterable[str]) -> tuple[list[str], NDArray[np.bool_]]:
        """Return the methods in order, and whether the family declares row against column, [methods, methods]."""
        names = sorted(set(methods))
        candidate, reference = (
            np.array([_matches(name, patterns) for name in names], dtype=bool)
            for patterns in (self.candidates, self.references)
        )
        wanted = np.outer(candidate, reference) & ~np.eye(len(names), dtype=bool)
        if self.scope != "all":
            part = 0 if self.scope == "same-backbone" else 1
            kept = np.array([split_method(name)[part] for name in names], dtype=object)
            wanted &= kept[:, None] == kept[None, :]
        return names, wanted

    def unmatched(self, methods: Iterable[str]) -> list[str]:
        """Return the patterns that match none of the methods."""
        names = set(methods)
        return [p for p in (*self.candidates, *self.references) if not any(_matches(m, (p,)) for m in names)]


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
    protocol: str = DEFAULT_PROTOCOL,
    resampled: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return one judged row per comparison, with ``COMPARISON_COLUMNS``.

    A method without any score in a cell is not compared there. Seeds on one side alone are refused, unless
    ``only_shared`` asks to leave them out; ``n`` counts the pairs. ``protocol``: one of
    :data:`~rmtl_bench.statistics.PROTOCOLS`. ``resampled``: n_test / n_train of the data sets whose replicates are new
    splits of the same rows.
    """
    names = [family.name for family in families]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two families are called {name!r}")
    methods = scores["method"].unique() if "method" in scores.columns else []
    wanted = [_wanted_of(family, methods) for family in families]
    compared = _Compared(higher_is_better, equivalence, confidence, only_shared, protocol, resampled)
    return _run(scores, pd.concat(wanted, ignore_index=True) if wanted else _wanted([]), compared)


def run_pairs(
    scores: pd.DataFrame,
    wanted: Sequence[tuple[str, str, str]],
    higher_is_better: Mapping[str, bool],
    equivalence: Mapping[str, float | str],
    *,
    confidence: float = 0.95,
    only_shared: bool = False,
    protocol: str = DEFAULT_PROTOCOL,
    resampled: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Do as ``run_families`` for given (family, candidate, reference) triples of method names."""
    compared = _Compared(higher_is_better, equivalence, confidence, only_shared, protocol, resampled)
    return _run(scores, _wanted(wanted), compared)


@dataclass(frozen=True)
class _Compared:
    """How comparisons are made; see ``run_families``."""

    higher_is_better: Mapping[str, bool]
    equivalence: Mapping[str, float | str]
    confidence: float
    only_shared: bool
    protocol: str
    resampled: Mapping[str, float] | None


def _run(scores: pd.DataFrame, wanted: pd.DataFrame, how: _Compared) -> pd.DataFrame:
    find_protocol(how.protocol)
    finite = check_scores(scores)
    check_directions(finite["metric"].unique(), how.higher_is_better)
    wide = wide_scores(finite)
    table = _locate(wide, wanted)
    values = matrix(wide)
    a, b = values[column(table, "row_a", int)], values[column(table, "row_b", int)]
    if not how.only_shared:
        _refuse_unpaired(table, np.isfinite(a) != np.isfinite(b), list(wide.columns))
    up = column(table.assign(up=table["metric"].map(dict(how.higher_is_better))), "up", bool)
    paired = paired_table(a, b, up, how.confidence, shares_of(table["dataset"], how.resampled))
    paired["p"] = primary_p(how.protocol, a, b, paired)
    both = pd.concat([table.drop(columns=["row_a", "row_b"]), paired], axis=1)
    judged = judge(both, how.equivalence, how.protocol)
    return judged.rename(columns={"mean_a": "mean_candidate", "mean_b": "mean_reference"})[COMPARISON_COLUMNS]


def _wanted(triples: Sequence[tuple[str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(triples, columns=["family", "candidate", "reference"]).assign(mutual=False)


def _wanted_of(family: Family, methods: Iterable[str]) -> pd.DataFrame:
    names, declared = family.declared(methods)
    first, second = np.nonzero(_taken_once(declared))
    named = np.array(names, dtype=object)
    sides = {"candidate": named[first], "reference": named[second], "mutual": declared[second, first]}
    return pd.DataFrame({"family": family.name, **sides})


def _taken_once(declared: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the declared pairs without the second way of those that are declared both ways."""
    return declared & ~np.tril(declared.T)


def _matches(method: str, patterns: Sequence[str]) -> bool:
    backbone, weighting = split_method(method)
    return any(
        pattern == "*" or all(map(fnmatchcase, (backbone, weighting), split_method(pattern))) for pattern in patterns
    )


def _locate(wide: pd.DataFrame, wanted: pd.DataFrame) -> pd.DataFrame:
    """Lay every wanted pair out over the cells in which both methods have scores, with their rows in ``wide``."""
    index = wide.index.to_frame(index=False)
    cells = index[CELL].drop_duplicates(ignore_index=True)
    cell = column(index.assign(cell=index.groupby(CELL, sort=False).ngroup()), "cell", int)
    method, methods = pd.factorize(index["method"])
    # The last row is for methods without any score: their code is -1.
    place = np.full((len(methods) + 1, len(cells)), -1)
    place[method, cell] = np.arange(len(index))
    row_a, row_b = (place[pd.Index(methods).get_indexer(wanted[side])] for side in ("candidate", "reference"))
    pair, where = np.nonzero((row_a >= 0) & (row_b >= 0))
    rows = {"row_a": row_a[pair, where], "row_b": row_b[pair, where]}
    laid_out = [wanted.iloc[pair].reset_index(drop=True), cells.iloc[where].reset_index(drop=True)]
    return pd.concat([*laid_out, pd.DataFrame(rows)], axis=1)


def _refuse_unpaired(table: pd.DataFrame, lone: NDArray[np.bool_], seeds: Sequence[int]) -> None:
    if not lone.any():
        return
    first = int(np.flatnonzero(lone.any(axis=1))[0])
    row = table.iloc[first]
    named = ", ".join(str(seed) for seed, alone in zip(seeds, lone[first], strict=True) if alone)
    where = f"{row['dataset']}, {row['task']}, {row['metric']}"
    raise UsageError(
        f"{row['candidate']} and {row['reference']} are not paired on {where}: seeds on one side alone: {named}"
    )
