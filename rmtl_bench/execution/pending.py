"""Which cells of a plan are still to be run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rmtl_bench.contracts.cell import STATUSES, Cell
from rmtl_bench.contracts.errors import UsageError, did_you_mean


def statuses_to_retry(text: str) -> set[str]:
    """Return the statuses that a comma-separated list names; ``all`` means every one but ``ok``.

    Raises :class:`UsageError` for a word that is no status.
    """
    unhappy = [status for status in STATUSES if status != "ok"]
    words = {word.strip() for word in text.split(",") if word.strip()}
    for word in sorted(words - {*unhappy, "all"}):
        raise UsageError(f"--retry {word!r} is no status to retry" + did_you_mean(word, [*unhappy, "all"]))
    return set(unhappy) if "all" in words else words


def missing_cells(cells: Sequence[Cell], statuses: Mapping[str, str], retry: str = "") -> list[Cell]:
    """Return the cells without a run, and those whose latest run ended in a status to retry; each run once.

    A run that was interrupted is missing: nothing is known against it. So is one that was skipped, once the run that it
    builds on is there or is missing itself. ``statuses``: run id -> status of the latest attempt.
    """
    again = statuses_to_retry(retry) | {"interrupted"}
    wanted: dict[str, Cell] = {}
    for cell in cells:
        wanted.setdefault(cell.run_id, cell)

    def is_missing(cell: Cell) -> bool:
        status = statuses.get(cell.run_id)
        if status == "skipped" and "skipped" not in again:
            return statuses.get(cell.source, "ok") in {"ok", *again}
        return status is None or status in again

    return [cell for cell in wanted.values() if is_missing(cell)]


def with_sources(pending: Sequence[Cell], sources: Mapping[str, Cell], is_kept: Callable[[str], bool]) -> list[Cell]:
    """Return the pending cells and the sources that they still need, seed by seed, a seed's sources first.

    ``sources`` by run id; ``is_kept``: whether the run of that id ended well and kept what it hands on.
    """
    needed = {cell.source for cell in pending if cell.source}
    waiting = {cell.run_id for cell in pending}
    lacking = [sources[run_id] for run_id in sources if run_id in needed - waiting and not is_kept(run_id)]
    return sorted([*lacking, *pending], key=lambda cell: (cell.seed, cell.run_id not in needed))
