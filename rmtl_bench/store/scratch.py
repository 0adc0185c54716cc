"""An index beside a store that cannot be written: in a folder of this process alone, removed when it ends."""

from __future__ import annotations

import tempfile
from pathlib import Path

_made: dict[Path, tempfile.TemporaryDirectory[str]] = {}


def scratch_folder(store: Path) -> Path | None:
    """Return the folder that this process has made for the store at this path; ``None`` if it made none."""
    return Path(_made[store].name) if store in _made else None


def make_scratch_folder(store: Path) -> Path:
    """Return the folder of this process for the store at this path, made if there is none yet."""
    if store not in _made:
        _made[store] = tempfile.TemporaryDirectory(prefix="rmtl-bench-index-", ignore_cleanup_errors=True)
    return Path(_made[store].name)
