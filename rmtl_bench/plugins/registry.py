"""Names of what plugins offer: lazy targets, collisions, "did you mean", and where each came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.catalogue import (
    BackboneInfo,
    DatasetInfo,
    Description,
    ExecutorInfo,
    MetricInfo,
    WeightingInfo,
)
from rmtl_bench.contracts.cell import Component
from rmtl_bench.contracts.errors import PluginError, UsageError, did_you_mean

KINDS: dict[str, tuple[str, type[Description]]] = {
    "backbone": ("rmtl_backbones", BackboneInfo),
    "weighting": ("rmtl_weightings", WeightingInfo),
    "dataset": ("rmtl_datasets", DatasetInfo),
    "metric": ("rmtl_metrics", MetricInfo),
    "executor": ("rmtl_executors", ExecutorInfo),
}
"""Every kind of thing a plugin offers by description: its catalogue hook and its class of description."""


@dataclass(frozen=True)
class Origin:
    """The distribution a thing came from; a one-file plugin is its file, its version a hash of the content."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class Entry:
    """One description and where it came from."""

    info: Description
    origin: Origin

    def load(self) -> Any:
        """Import and return the target.

        Raises :class:`UsageError` with the command to type where a module that it needs is not installed, and
        :class:`PluginError` naming the distribution where anything else fails.
        """
        if obstacle := self.info.obstacle:
            raise UsageError(obstacle)
        module_name, _, attribute = self.info.target.partition(":")
        what = f"{self.info.kind} {self.info.name!r} of {self.origin}"
        try:
            target = getattr(import_module(module_name), attribute, None)
        except Exception as error:
            raise PluginError(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error
        if target is None:
            raise PluginError(f"{what}: module {module_name!r} has no {attribute!r}")
        return target

    def component(self, given: Mapping[str, Any], label: str = "") -> Component:
        """Return the offer with all its parameters; ``label`` is its name if left out.

        Raises :class:`UsageError` for a given parameter, or a value of one, that cannot be.
        """
        return Component(
            name=self.info.name,
            label=label or self.info.name,
            version=self.info.version,
            distribution=self.origin.distribution,
            distribution_version=self.origin.version,
            parameters=self.info.resolve(given),
        )


class Registry:
    """Everything that the loaded plugins offer, by kind and name."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, list[Entry]]] = {kind: {} for kind in KINDS}
        self.suites: list[tuple[Path, Origin]] = []

    def add(self, kind: str, info: Description, origin: Origin) -> None:
        """Add a description; a name taken twice is kept twice, and refused when it is asked for."""
        self._entries[kind].setdefault(info.name, []).append(Entry(info, origin))

    def entries(self, kind: str) -> list[Entry]:
        """Return every entry of a kind, sorted by name, those of a name taken twice included."""
        return [entry for _, taken in sorted(self._entries[kind].items()) for entry in taken]

    def claimants(self, kind: str, name: str) -> list[Origin]:
        """Return the distributions that offer ``name``: more than one is a collision."""
        return [entry.origin for entry in self._entries[kind].get(name, [])]

    def find(self, kind: str, name: str) -> Entry:
        """Return the entry of that name.

        Raises :class:`UsageError` with the nearest names if there is none, :class:`PluginError` naming both
        distributions if there are two.
        """
        entries = self._entries[kind].get(name, [])
        if not entries:
            raise UsageError(f"unknown {kind} {name!r}" + did_you_mean(name, self._entries[kind]))
        if len(entries) > 1:
            raise PluginError(collision(kind, name, (e.origin for e in entries)))
        return entries[0]


def collision(kind: str, name: str, origins: Iterable[Origin]) -> str:
    """Return the one line that refuses a name taken twice."""
    claimed = " and ".join(str(origin) for origin in origins)
    return f"{kind} {name!r} is claimed by {claimed}: uninstall one, or set RMTL_BENCH_DISABLE_PLUGINS"
