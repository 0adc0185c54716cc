"""Where raw files are, and what to tell a user who has not got them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rmtl_bench.contracts.errors import DataError


def find_file(folder: Path, name: str) -> Path | None:
    """Return the file ``name`` in ``folder``, or its gzipped twin ``name.gz``, or ``None``.

    Raises :class:`DataError` where nobody may look.
    """
    try:
        return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from error


def missing_files(dataset: str, names: Sequence[str], places: Sequence[Path]) -> DataError:
    """Return the error that says what is missing and where it was looked for.

    What to type is the harness's to say, which knows the source of the data set."""
    return DataError(
        f"{dataset}: raw files are missing\n"
        f"  needed, in one folder (plain or .gz): {', '.join(names)}\n"
        f"  looked for in: {', '.join(map(str, places))}"
    )
