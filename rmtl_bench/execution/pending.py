"""Which cells of a plan are still to be run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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

    ``statuses``: run id -> status of the latest attempt.
    """
    again = statuses_to_retry(retry)
    wanted = {cell.run_id: cell for cell in cells}
    return [cell for run_id, cell in wanted.items() if run_id not in statuses or statuses[run_id] in again]
