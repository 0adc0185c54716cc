"""The profile of a run: ``profile.json``, where its time went; ``trace.json.gz`` beside it is torch's own format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.errors import StoreError
from rmtl_bench.contracts.reading import read_json
from rmtl_bench.store.layout import PROFILE_FILE
from rmtl_bench.store.record_checks import in_a_line

PROFILE_FORMAT = 1
"""The format of ``profile.json``, written into it."""

LARGEST = 1 << 20
"""The most bytes that ``profile.json`` may have."""

PARTS = ("data", "forward", "backward", "optimizer", "weighting", "step", "evaluation", "profile", "harness")
"""The parts that the harness itself knows, in the order in which they are shown; plugins may have others."""


@dataclass(frozen=True)
class RunProfile:
    """Where the time of a process went that made ``seeds`` runs, which differ in their seed alone, on ``device``.

    ``seconds`` by part, of :data:`~rmtl_bench.contracts.spans.HARNESS` what was in none; ``counts`` of spans by part.
    ``traced``: by the name of a stage, how many of its steps are in the trace; ``trouble``: why there are no more,
    empty if that is as it should be.
    """

    seconds: Mapping[str, float]
    counts: Mapping[str, int]
    seeds: int = 1
    device: str = "cpu"
    traced: Mapping[str, int] = field(default_factory=dict)
    trouble: str = ""

    @property
    def total(self) -> float:
        """All seconds."""
        return sum(self.seconds.values())


def in_order(parts: Mapping[str, Any]) -> list[str]:
    """Return the names of parts in the order in which they are shown: the harness's own, a plugin's before harness."""
    known = {part: place for place, part in enumerate(PARTS)}
    return sorted(parts, key=lambda part: (known.get(part, len(PARTS) - 1.5), part))


def write_profile(folder: Path, profile: RunProfile) -> None:
    """Write ``profile.json`` into a run's folder."""
    data = {"format": PROFILE_FORMAT, **asdict(profile), "total": profile.total}
    text = json.dumps(data, indent=1, allow_nan=False)
    (folder / PROFILE_FILE).write_text(f"{text}\n", encoding="utf-8")


def read_profile(folder: Path) -> RunProfile | None:
    """Return the profile in a run's folder, ``None`` if it has none. Raises :class:`StoreError` naming the file."""
    path = folder / PROFILE_FILE
    try:
        data = read_json(path, LARGEST, links=False)
        if data["format"] != PROFILE_FORMAT:
            raise StoreError(f"{path} has format {data['format']!r}; this rmtl-bench reads format {PROFILE_FORMAT}")
        return RunProfile(
            {str(part): float(value) for part, value in data["seconds"].items()},
            {str(part): int(value) for part, value in data["counts"].items()},
            int(data["seeds"]),
            str(data["device"]),
            {str(stage): int(steps) for stage, steps in data["traced"].items()},
            str(data["trouble"]),
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise StoreError(f"{path} is no profile of a run: {in_a_line(error)}") from error
