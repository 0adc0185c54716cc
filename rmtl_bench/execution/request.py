"""What the parent tells a run's process: one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.cell import Cell


@dataclass(frozen=True)
class RunRequest:
    """One run to make, and where to write it. Nothing here but ``cell`` decides its numbers.

    ``keep``: whether to write down what later runs may want of it. ``source``: the file that the run which this one
    builds on has written so.
    """

    cell: Cell
    table: Path
    staging: Path
    device: str
    threads: int
    plugin_files: tuple[Path, ...] = ()
    keep: bool = False
    source: Path | None = None

    def to_line(self) -> str:
        """Return the request as one line."""
        return json.dumps(
            {
                "cell": self.cell.to_json(),
                "table": str(self.table),
                "staging": str(self.staging),
                "device": self.device,
                "threads": self.threads,
                "plugin_files": [str(file) for file in self.plugin_files],
                "keep": self.keep,
                "source": None if self.source is None else str(self.source),
            }
        )

    @classmethod
    def from_line(cls, line: str) -> RunRequest:
        """Return the request that :meth:`to_line` wrote."""
        data: Mapping[str, Any] = json.loads(line)
        return cls(
            Cell.from_json(data["cell"]),
            Path(data["table"]),
            Path(data["staging"]),
            data["device"],
            data["threads"],
            tuple(Path(file) for file in data["plugin_files"]),
            data["keep"],
            None if data["source"] is None else Path(data["source"]),
        )
