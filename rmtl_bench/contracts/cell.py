"""The identity of a run, and what observers are told of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

STATUSES = ("ok", "failed", "timeout", "oom", "diverged", "interrupted", "skipped")
"""How a run can end.

``failed`` by an exception or a crash; ``timeout``, it took longer than it may; ``oom``, memory did not suffice;
``diverged`` by a value that is not finite; ``interrupted`` from outside: its process was killed or its machine was
lost, and once more when it was made again; ``skipped``, not started, since the run that it builds on did not end well.
"""

IDENTITY_FORMAT = 2
"""Raised when the trainer's arithmetic changes, so that old runs are not taken for new ones."""


@dataclass(frozen=True)
class Component:
    """A plugin's offer with all its parameters. ``label`` is how a suite calls it; the rest decides numbers."""

    name: str
    label: str
    version: int
    distribution: str
    distribution_version: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def identity(self) -> dict[str, Any]:
        """Return what decides numbers: everything but the label."""
        return {k: v for k, v in asdict(self).items() if k != "label"}


@dataclass(frozen=True)
class Cell:
    """One run to be made: a data set, a backbone, a weighting, a trainer and a seed.

    ``source``: the run id of the run that this one builds on; empty: none.
    """

    dataset: Component
    fingerprint: str
    backbone: Component
    weighting: Component
    trainer: Mapping[str, Any]
    metrics: tuple[str, ...]
    seed: int
    source: str = ""

    @property
    def run_id(self) -> str:
        """The first 16 hexadecimal digits of a SHA-256 over everything that decides the run's numbers."""
        identity: dict[str, Any] = {
            "format": IDENTITY_FORMAT,
            "dataset": self.dataset.identity(),
            "fingerprint": self.fingerprint,
            "backbone": self.backbone.identity(),
            "weighting": self.weighting.identity(),
            "trainer": dict(self.trainer),
            "metrics": list(self.metrics),
            "seed": self.seed,
        }
        if self.source:
            # Only then: the runs that build on none keep the ids they had before there were sources.
            identity["source"] = self.source
        return hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """``dataset/backbone/weighting/seed``, as a suite calls them."""
        return f"{self.dataset.label}/{self.backbone.label}/{self.weighting.label}/{self.seed}"

    def to_json(self) -> dict[str, Any]:
        """Return the cell as JSON-ready data."""
        data: dict[str, Any] = json.loads(canonical_json(asdict(self)))
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Cell:
        """Return the cell that :meth:`to_json` wrote; its lists are tuples again."""
        parts = {
            kind: Component(**{**data[kind], "parameters": _tuples(data[kind]["parameters"])})
            for kind in ("dataset", "backbone", "weighting")
        }
        return cls(
            fingerprint=data["fingerprint"],
            trainer=_tuples(data["trainer"]),
            metrics=tuple(data["metrics"]),
            seed=data["seed"],
            source=data.get("source", ""),
            **parts,
        )


def _tuples(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in parameters.items()}


def canonical_json(data: Any) -> str:
    """Return JSON that is the same for the same data: sorted keys, no spaces, no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


@dataclass(frozen=True)
class EpochRecord:
    """What an observer is told after each epoch: mean losses by task, the validation score and its values."""

    stage: str
    epoch: int
    seconds: float
    losses: Mapping[str, float]
    score: float
    values: Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Outcome:
    """How a run ended: one of :data:`STATUSES`, how long it took, and its traceback if it did not end well.

    ``warnings``: what a run that was trained has to say, one line each. ``folder``: that of the run in the store, with
    its metrics and curves; ``None`` where it is not known.
    """

    run_id: str
    status: str
    seconds: float
    error: str = ""
    warnings: tuple[str, ...] = ()
    folder: Path | None = None
