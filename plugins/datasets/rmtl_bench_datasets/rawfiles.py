"""Where raw files are, and what to tell a user who has not got them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rmtl_bench.contracts.errors import DataError


def find_file(folder: Path, name: str) -> Path | None:
    """Return the file ``name`` in ``folder``, or its gzipped twin ``name.gz``, or ``None``."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def missing_files(
    dataset: str, names: Sequence[str], places: Sequence[Path], source: str, commands: Sequence[str]
) -> DataError:
    """Return the error that says what is missing, where it was looked for, where it comes from and what to type."""
    return DataError(
        f"{dataset}: raw files are missing\n"
        f"  needed, in one folder (.csv or .csv.gz): {', '.join(names)}\n"
        f"  looked for in: {', '.join(map(str, places))}\n"
        f"  source: {source}\n"
        f"  type: {' && '.join(commands)}"
    )
