"""What was found, in a few sentences made from the verdicts alone: the first paragraph of a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from rmtl_bench.report.document import chosen
from rmtl_bench.report.leaderboard import Leaderboard
from rmtl_bench.statistics import split_method

_GROUPS: Mapping[str, tuple[str, ...]] = {
    "better": ("better", "better (small)"),
    "worse": ("worse", "worse (small)"),
    "equivalent": ("equivalent",),
    "with the same difference for every seed": ("deterministic",),
    "unresolved": ("unresolved",),
    "undecided for want of seeds": ("n too small",),
    "not starred": ("not starred",),
}
_GAP = "-gap"
_NAMED = 6


def findings(board: Leaderboard, metrics: Sequence[str] | None = None) -> list[str]:
    """Return the sentences, most important first; ``metrics`` chooses what they speak of.

    Families of controls come first, since a gain over them is the claim that more training cannot explain; then the
    other families, then the declared reference. Methods are named in alphabetical order: what is better than one
    reference is not ranked by it.
    """
    sentences = list(_complete(board))
    families = sorted(board.settings.families, key=lambda family: not family.control)
    for family in families:
        rows = _spoken_of(board.comparisons[board.comparisons["family"] == family.name], metrics)
        if len(rows):
            sentences.append(f"{_capital(family.name)}: {_by_metric(rows)}.")
            sentences += _named(rows.rename(columns={"candidate": "method"}), "of these")
    rows = _spoken_of(board.rows[board.rows["verdict"].notna()], metrics)
    if len(rows):
        sentences += _against_reference(rows)
    return sentences + list(_seeds(board))


def _complete(board: Leaderboard) -> Iterable[str]:
    if board.rows.empty:
        yield "No run has ended well, so there is nothing to compare."
    elif len(board.missing):
        planned = len(board.missing) + int(board.rows.groupby(["dataset", "method"])["n"].max().sum())
        yield f"{len(board.missing)} of {planned} planned runs have no scores: what follows is provisional."


def _spoken_of(rows: pd.DataFrame, metrics: Sequence[str] | None) -> pd.DataFrame:
    """Return the rows of the metrics shown; of a metric and its gap to the optimum, the gap says nothing more."""
    rows = chosen(rows, metrics)
    gaps = rows["metric"].str.endswith(_GAP)
    return rows if gaps.all() else rows[~gaps]


def _by_metric(rows: pd.DataFrame) -> str:
    return "; ".join(f"in {metric}, {_counted(group)}" for metric, group in rows.groupby("metric", sort=False))


def _against_reference(rows: pd.DataFrame) -> Iterable[str]:
    references = sorted({split_method(reference)[1] for reference in rows["reference"]})
    named = references[0] if len(references) == 1 else "their references"
    yield f"All methods against {named}: {_by_metric(rows)}."
    yield from _named(rows, f"than {named}")


def _named(rows: pd.DataFrame, than: str) -> Iterable[str]:
    for word in ("better", "worse"):
        methods = sorted(rows.loc[rows["verdict"].isin(_GROUPS[word]), "method"].unique())
        if methods:
            more = f" and {len(methods) - _NAMED} more" if len(methods) > _NAMED else ""
            yield f"{_capital(word)} {than} in some cell: {', '.join(methods[:_NAMED])}{more}."


def _seeds(board: Leaderboard) -> Iterable[str]:
    counts = board.rows["n"][board.rows["n"] > 0]
    if len(counts):
        most, fewest = int(counts.max()), int(counts.min())
        seeds = f"{most} seed{'' if most == 1 else 's'}" if most == fewest else f"{fewest} to {most} seeds"
        few = " One seed says nothing of noise: nothing is tested or ranked." if most == 1 else ""
        yield f"Every method was trained with {seeds}.{few}"


def _counted(group: pd.DataFrame) -> str:
    """Return the verdicts of some comparisons, counted, those that did not occur left out but for the first two."""
    found = {name: int(group["verdict"].isin(verdicts).sum()) for name, verdicts in _GROUPS.items()}
    better, worse = found.pop("better"), found.pop("worse")
    rest = ", ".join(f"{count} {name}" for name, count in found.items() if count)
    comparisons = f"{len(group)} comparison{'' if len(group) == 1 else 's'}"
    return f"{better} of {comparisons} better, {worse} worse" + (f" ({rest})" if rest else "")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
