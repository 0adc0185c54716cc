"""Plans: a suite expanded into cells, with what cannot go together listed as skipped."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rmtl_bench.contracts.catalogue import Description
from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.contracts.errors import DataError, UsageError
from rmtl_bench.plugins.registry import Registry
from rmtl_bench.suites.suite_file import KINDS, Suite, SuiteComponent
from rmtl_bench.training.settings import TrainerSettings

Fingerprint = Callable[[Component], str]


@dataclass(frozen=True)
class Skipped:
    """A combination that cannot run, and why."""

    label: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """The cells of a suite, seed by seed: after a crash, every method has the same seeds."""

    suite: Suite
    cells: tuple[Cell, ...]
    skipped: tuple[Skipped, ...]

    def only(self, patterns: Sequence[str]) -> tuple[Cell, ...]:
        """Return the cells whose ``dataset/backbone/weighting`` matches one of the patterns; all if none is given.

        Raises :class:`UsageError` for a pattern that matches nothing.
        """
        if not patterns:
            return self.cells
        labels = [cell.label.rpartition("/")[0] for cell in self.cells]
        for pattern in patterns:
            if not fnmatch.filter(labels, pattern):
                example = labels[0] if labels else "dataset/backbone/weighting"
                raise UsageError(f"--only {pattern!r} matches no cell; a cell is called like {example!r}")
        return tuple(
            cell
            for cell, label in zip(self.cells, labels, strict=True)
            if any(fnmatch.fnmatchcase(label, pattern) for pattern in patterns)
        )


def expand(suite: Suite, registry: Registry, fingerprint: Fingerprint) -> Plan:
    """Expand a suite: look every name up, check every parameter, fingerprint the data, list the cells.

    ``fingerprint`` is called once for each data set. Raises ``UsageError`` or ``PluginError`` for what the
    suite names wrongly, and ``DataError`` listing every data set whose raw files are missing.
    """
    trainer = vars(TrainerSettings.resolve(suite.trainer))
    for metric in suite.metrics:
        registry.find("metric", metric)
    infos: dict[tuple[str, str], Description] = {}
    components: dict[tuple[str, str], Component] = {}
    used = {(kind, name) for block in suite.grid for kind in KINDS for name in block[kind]}
    for kind, name in sorted(used):
        infos[kind, name], components[kind, name] = _resolve(suite.components[kind][name], KINDS[kind], registry)
    fingerprints = _fingerprints({name: c for (kind, name), c in components.items() if kind == "datasets"}, fingerprint)
    cells: list[Cell] = []
    skipped: dict[str, Skipped] = {}
    combinations = list(
        dict.fromkeys(
            (dataset, backbone, weighting)
            for block in suite.grid
            for dataset in block["datasets"]
            for backbone in block["backbones"]
            for weighting in block["weightings"]
        )
    )
    for seed in range(suite.seeds):
        for names in combinations:
            keys = list(zip(KINDS, names, strict=True))
            dataset, backbone, weighting = (components[key] for key in keys)
            cell = Cell(dataset, fingerprints[names[0]], backbone, weighting, trainer, suite.metrics, seed)
            reason = _incompatible([infos[key] for key in keys])
            if reason:
                label = cell.label.rpartition("/")[0]
                skipped[label] = Skipped(label, reason)
            else:
                cells.append(cell)
    return Plan(suite, tuple(cells), tuple(skipped.values()))


def _fingerprints(datasets: Mapping[str, Component], fingerprint: Fingerprint) -> dict[str, str]:
    found, missing = {}, []
    for name, component in datasets.items():
        try:
            found[name] = fingerprint(component)
        except DataError as error:
            missing.append(str(error))
    if missing:
        # All at once: who has to fetch two data sets should not learn of the second after the first.
        raise DataError("\n".join(missing))
    return found


def _resolve(component: SuiteComponent, kind: str, registry: Registry) -> tuple[Description, Component]:
    entry = registry.find(kind, component.plugin)
    parameters: Mapping[str, Any] = entry.info.resolve(component.parameters)
    return entry.info, Component(
        name=component.plugin,
        label=component.label,
        version=entry.info.version,
        distribution=entry.origin.distribution,
        distribution_version=entry.origin.version,
        parameters=parameters,
    )


def _incompatible(infos: Sequence[Description]) -> str:
    provided = frozenset().union(*(info.provides for info in infos))
    missing = [
        f"{info.kind} {info.name!r} requires {capability!r}, which nothing here provides"
        for info in infos
        for capability in sorted(info.requires - provided)
    ]
    return "; ".join(missing)
