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
    """One run to make, and where to write it. Nothing here but ``cell`` decides its numbers."""

    cell: Cell
    table: Path
    staging: Path
    device: str
    threads: int
    plugin_files: tuple[Path, ...] = ()

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
        )
