"""Plans: a suite expanded into cells, with what cannot go together listed as skipped."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from rmtl_bench.contracts.catalogue import Description
from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.contracts.errors import DataError, UsageError, did_you_mean
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
    """The cells of a suite, seed by seed: after a crash, every method has the same seeds.

    ``sources``, by run id: the cells that others build on, in the grid or not. A cell whose weighting names the cell's
    own backbone as the one of its source *is* its source: the run may stand in ``cells`` twice, under two labels.
    """

    suite: Suite
    cells: tuple[Cell, ...]
    skipped: tuple[Skipped, ...]
    sources: Mapping[str, Cell] = field(default_factory=dict)

    def only(self, patterns: Sequence[str]) -> tuple[Cell, ...]:
        """Return the cells whose ``dataset/backbone/weighting`` matches one of the patterns; all if none is given.

        Raises :class:`UsageError` for a pattern that matches nothing.
        """
        if not patterns:
            return self.cells
        labels = [_method(cell) for cell in self.cells]
        for pattern in patterns:
            if not fnmatch.filter(labels, pattern):
                example = labels[0] if labels else "dataset/backbone/weighting"
                raise UsageError(f"--only {pattern!r} matches no cell; a cell is called like {example!r}")
        return tuple(
            cell
            for cell, label in zip(self.cells, labels, strict=True)
            if any(fnmatch.fnmatchcase(label, pattern) for pattern in patterns)
        )


class _Part(NamedTuple):
    """What a suite names, looked up."""

    info: Description
    component: Component


class _SourceRule(NamedTuple):
    """What the cells of a weighting build on: the run of ``weighting``, free of the parameter, on ``backbone``."""

    backbone: _Part
    weighting: _Part


def expand(suite: Suite, registry: Registry, fingerprint: Fingerprint) -> Plan:
    """Expand a suite: look every name up, check every parameter, fingerprint the data, list the cells.

    ``fingerprint`` is called once for each data set. Raises ``UsageError`` or ``PluginError`` for what the
    suite names wrongly, and ``DataError`` listing every data set whose raw files are missing.
    """
    trainer = TrainerSettings.resolve(suite.trainer).identity()
    for metric in suite.metrics:
        # No cell could do without it.
        if obstacle := registry.find("metric", metric).info.obstacle:
            raise UsageError(obstacle)
    used = {(kind, name) for block in suite.grid for kind in KINDS for name in block[kind]}
    parts = {(kind, name): _resolve(suite.components[kind][name], KINDS[kind], registry) for kind, name in sorted(used)}
    rules = {name: _source_rule(suite, registry, part) for (kind, name), part in parts.items() if kind == "weightings"}
    datasets = {name: part for (kind, name), part in parts.items() if kind == "datasets"}
    fingerprints = _fingerprints(datasets, fingerprint)
    cells: list[Cell] = []
    sources: dict[str, Cell] = {}
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
            chosen = [parts[key] for key in zip(KINDS, names, strict=True)]
            dataset, backbone, weighting = (part.component for part in chosen)
            cell = Cell(dataset, fingerprints[names[0]], backbone, weighting, trainer, suite.metrics, seed)
            reason = _incompatible(chosen)
            if not reason and (rule := rules[names[2]]):
                cell, source = _with_source(cell, rule)
                if source is not None and (lack := _incompatible([chosen[0], *rule])):
                    reason = f"it builds on {_method(source)}: {lack}"
                elif source is not None:
                    sources[source.run_id] = source
            if reason:
                label = _method(cell)
                skipped[label] = Skipped(label, reason)
            else:
                cells.append(cell)
    planned = {cell.run_id: cell for cell in reversed(cells)}
    # A source that stands in the grid is called as it is there.
    sources = {run_id: planned.get(run_id, source) for run_id, source in sources.items()}
    return Plan(suite, tuple(cells), tuple(skipped.values()), sources)


def datasets_of(suite: Suite, registry: Registry) -> tuple[Component, ...]:
    """Return the data sets in the grid of a suite, with their parameters; nothing else of the suite is looked up.

    Those whose cells are skipped, since a module is not installed, are left out.
    """
    used = dict.fromkeys(name for block in suite.grid for name in block["datasets"])
    parts = [_resolve(suite.components["datasets"][name], "dataset", registry) for name in used]
    return tuple(part.component for part in parts if not part.info.obstacle)


def _method(cell: Cell) -> str:
    return cell.label.rpartition("/")[0]


def _source_rule(suite: Suite, registry: Registry, weighting: _Part) -> _SourceRule | None:
    """Return what a weighting's parameter says; raise :class:`UsageError` for a backbone that the suite has not."""
    parameter, component = weighting.info.source_parameter, weighting.component
    name = component.parameters.get(parameter, "")
    if not name:
        return None
    known = suite.components["backbones"]
    if name not in known:
        fault = f"weighting {component.label!r}: parameter {parameter!r} is {name!r}; it takes a backbone of the suite"
        raise UsageError(fault + did_you_mean(name, known))
    free = replace(component, parameters={**component.parameters, parameter: ""})
    return _SourceRule(_resolve(known[name], "backbone", registry), _Part(weighting.info, free))


def _with_source(cell: Cell, rule: _SourceRule) -> tuple[Cell, Cell | None]:
    """Return the cell as one that builds on its source, and the source; a cell that is its own has none."""
    source = replace(cell, backbone=rule.backbone.component, weighting=rule.weighting.component)
    if source.backbone.identity() == cell.backbone.identity():
        return replace(source, backbone=cell.backbone), None
    # What a suite calls the backbone decides no number: it must not enter the run's identity.
    parameter = rule.weighting.info.source_parameter
    named = replace(cell.weighting, parameters={**cell.weighting.parameters, parameter: source.backbone.name})
    return replace(cell, weighting=named, source=source.run_id), source


def _fingerprints(datasets: Mapping[str, _Part], fingerprint: Fingerprint) -> dict[str, str]:
    found, missing = {}, []
    for name, part in datasets.items():
        if part.info.obstacle:
            # Its cells are skipped: nobody looks at the data.
            found[name] = ""
            continue
        try:
            found[name] = fingerprint(part.component)
        except DataError as error:
            missing.append(str(error))
    if missing:
        # All at once: who has to fetch two data sets should not learn of the second after the first.
        raise DataError("\n".join(missing))
    return found


def _resolve(component: SuiteComponent, kind: str, registry: Registry) -> _Part:
    entry = registry.find(kind, component.plugin)
    return _Part(entry.info, entry.component(component.parameters, component.label))


def _incompatible(parts: Sequence[_Part]) -> str:
    infos = [part.info for part in parts]
    provided = frozenset().union(*(info.provides for info in infos))
    obstacles = [info.obstacle for info in infos if info.obstacle]
    missing = [
        f"{part.info.kind} {part.info.name!r} requires {capability!r}, which nothing here provides"
        for part in parts
        for capability in sorted(part.info.required(part.component.parameters) - provided)
    ]
    return "; ".join([*missing, *obstacles])
