"""The progress files of the runs that one command makes, written by the process that publishes them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.cell import Cell
from rmtl_bench.store.progress import Progress, ProgressFile


class ProgressFiles:
    """The files of the runs in progress, by staging folder; ``suite`` as ``name@version``."""

    def __init__(self, suite: str = "") -> None:
        self._suite = suite
        self._begun = time.time()
        self._files: dict[Path, ProgressFile] = {}

    def started(self, staging: Path, cell: Cell) -> None:
        """Begin the file of a run."""
        progress = Progress(cell.run_id, cell.label, self._suite, self._begun, time.time())
        self._files[staging] = ProgressFile(staging, progress)

    def epoch_finished(self, staging: Path, event: Mapping[str, Any]) -> None:
        """Note an epoch of a run, of which ``event`` gives ``stage``, ``epoch`` and ``score``."""
        self._files[staging].epoch_finished(event)

    def write_due(self) -> None:
        """Write what is new, each file at most once a second."""
        for file in self._files.values():
            file.write_if_due()

    def ended(self, staging: Path) -> None:
        """Remove the file of a run, before it is published."""
        self._files.pop(staging).remove()
