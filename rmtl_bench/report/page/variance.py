"""The two sources of variance that a report shows: which pairs, how many of them, and what is left to a command."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from rmtl_bench.contracts.errors import StoreError, UsageError
from rmtl_bench.report.leaderboard import Leaderboard
from rmtl_bench.report.session_variance import SESSION_COLUMNS, session_variance
from rmtl_bench.statistics import BOOTSTRAP_METRICS
from rmtl_bench.store import Store, StoredPlan

MOST_RUNS = 100
"""The runs whose predictions a report resamples at most: a fifth of a second each."""

MOST_UNDECLARED = 3
"""The pairs shown where no family of controls is declared."""

Pair = tuple[str, str]


@dataclass(frozen=True)
class Variance:
    """``rows`` as :func:`session_variance` gives them; ``notes``: why these pairs, and what is left out."""

    rows: pd.DataFrame
    notes: tuple[str, ...]


def read_variance(store: Store, plan: StoredPlan, board: Leaderboard, metrics: Sequence[str], draws: int) -> Variance:
    """Resample the test sessions of the methods and their controls, or of the first declared pairs.

    Pairs are taken in the order they are declared, as long as their runs are no more than ``MOST_RUNS``; one is taken
    in any case.
    """
    nothing = pd.DataFrame(columns=SESSION_COLUMNS)
    weighed = [metric for metric in metrics if metric in BOOTSTRAP_METRICS]
    if board.rows.empty or not weighed:
        reason = f"; those that can are {', '.join(BOOTSTRAP_METRICS)}" if len(board.rows) else ""
        return Variance(nothing, (f"Nothing to resample: no metric shown can be weighed by session{reason}.",))
    declared, why = _declared(board)
    if not declared:
        return Variance(nothing, ("No comparison is declared; " + _command_note(plan, store, ("A", "B")),))
    wanted = declared if why == "control" else declared[:MOST_UNDECLARED]
    pairs = _within(wanted, Counter(f"{cell.backbone}/{cell.weighting}" for cell in plan.cells))
    try:
        rows = session_variance(store, plan, pairs, weighed, draws)
    except (UsageError, StoreError) as error:
        # What is wrong with the predictions takes this table away, and not the report.
        return Variance(nothing, (f"The predictions could not be resampled: {error}.",))
    return Variance(rows, tuple(_notes(plan, store, why, pairs, declared, rows)))


def _declared(board: Leaderboard) -> tuple[list[Pair], str]:
    """Return the pairs of the families of controls; where there is none, of the first family or the reference."""
    settings, methods = board.settings, list(board.rows.loc[board.rows["n"] > 0, "method"].unique())
    controls = [pair for family in settings.families if family.control for pair in family.pairs(methods)]
    if controls:
        return list(dict.fromkeys(controls)), "control"
    others = (*settings.families, *([settings.reference] if settings.reference else []))
    found = (list(family.pairs(methods)) for family in others)
    return next((pairs for pairs in found if pairs), []), "first"


def _within(pairs: Sequence[Pair], runs: Counter[str]) -> list[Pair]:
    taken: list[Pair] = []
    read: set[str] = set()
    for pair in pairs:
        more = read | set(pair)
        if taken and sum(runs[method] for method in more) > MOST_RUNS:
            break
        taken.append(pair)
        read = more
    return taken


def _notes(
    plan: StoredPlan, store: Store, why: str, pairs: Sequence[Pair], declared: Sequence[Pair], rows: pd.DataFrame
) -> Iterable[str]:
    if rows.empty or (rows["seeds"] == 0).all():
        yield "These runs have stored no predictions: what another test set would say is not known."
        return
    yield {
        "control": "Each method of the families of controls against its control.",
        "first": "No family of controls is declared; these are the first declared pairs.",
    }[why]
    left = len(declared) - len(pairs)
    if left:
        yield f"{left} more declared pairs are left out; " + _command_note(plan, store, declared[len(pairs)])


def _command_note(plan: StoredPlan, store: Store, pair: Pair) -> str:
    suite = ["--suite", f"{plan.suite}@{plan.version}", *(["--sample"] if plan.sample else [])]
    command = shlex.join(["rmtl-bench", "compare", *pair, *suite, "--sessions", "--store", str(store.path)])
    return f"any pair is compared by: {command}"
