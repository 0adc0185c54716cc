"""What two suites differ in: what they mean, defaults filled in, and the runs that they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.suites.plan import Plan
from rmtl_bench.training.settings import TrainerSettings


@dataclass(frozen=True)
class Change:
    """A setting that is another in the second suite: its place, and its values; ``None`` where it is not set."""

    setting: str
    first: Any
    second: Any


@dataclass(frozen=True)
class SharedRuns:
    """Runs by the cell they belong to, as the suite that has them calls it; a shared one as the first does."""

    shared: Mapping[str, str]
    only_first: Mapping[str, str]
    only_second: Mapping[str, str]


def changes(first: Plan, second: Plan) -> list[Change]:
    """Return what two planned suites differ in, in the order of the first.

    Only what the grid uses counts: a component that no cell has means nothing.
    """
    meant = meaning(first), meaning(second)
    keys = [key for key in dict.fromkeys([*meant[0], *meant[1]]) if not _of_one_side(key, meant)]
    pairs = ((key, meant[0].get(key), meant[1].get(key)) for key in keys)
    return [Change(key, a, b) for key, a, b in pairs if a != b]


def _of_one_side(key: str, meant: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a setting is of a component or a family that one side alone has: its head says that already."""
    head = ".".join(key.split(".")[:2])
    return key != head and any(head in side for side in meant) and not all(head in side for side in meant)


def meaning(plan: Plan) -> dict[str, Any]:
    """Return what a planned suite means: JSON-ready values by the setting's place in the file, defaults filled in."""
    suite = plan.suite
    meant: dict[str, Any] = {"title": suite.title, "seeds": suite.seeds, "metrics": list(suite.metrics)}
    meant |= {f"trainer.{key}": value for key, value in asdict(TrainerSettings.resolve(suite.trainer)).items()}
    for kind in ("dataset", "backbone", "weighting"):
        for cell in plan.cells:
            meant |= _component(f"{kind}s", getattr(cell, kind))
    meant["grid"] = sorted({cell.label.rpartition("/")[0] for cell in plan.cells})
    meant["grid, skipped"] = sorted(skipped.label for skipped in plan.skipped)
    for key, value in suite.statistics.items():
        if key == "comparisons":
            for family in value:
                place = f"comparisons.{family['name'].replace('.', ' ')}"
                meant |= {place: "declared", **{f"{place}.{k}": _plain(v) for k, v in family.items() if k != "name"}}
        else:
            meant[f"statistics.{key}"] = _plain(value)
    return meant


def compare_runs(first: Sequence[Cell], second: Sequence[Cell]) -> SharedRuns:
    """Return which runs both suites make, and which one of them alone: labels by run id."""
    a, b = ({cell.run_id: cell.label for cell in reversed(cells)} for cells in (first, second))
    ordered = {run_id: a[run_id] for run_id in dict.fromkeys(cell.run_id for cell in first)}
    alone = {run_id: b[run_id] for run_id in dict.fromkeys(cell.run_id for cell in second) if run_id not in a}
    return SharedRuns(
        shared={run_id: label for run_id, label in ordered.items() if run_id in b},
        only_first={run_id: label for run_id, label in ordered.items() if run_id not in b},
        only_second=alone,
    )


def seeds_by_method(labels: Iterable[str]) -> dict[str, list[int]]:
    """Return the seeds of cells ``dataset/backbone/weighting/seed`` by what stands before the seed."""
    found: dict[str, list[int]] = {}
    for label in labels:
        method, _, seed = label.rpartition("/")
        found.setdefault(method, []).append(int(seed))
    return {method: sorted(seeds) for method, seeds in found.items()}


def _component(kind: str, component: Component) -> dict[str, Any]:
    place = f"{kind}.{component.label.replace('.', ' ')}"
    plugin = f"{component.name} {component.version} of {component.distribution} {component.distribution_version}"
    parameters = {f"{place}.{name}": _plain(value) for name, value in component.parameters.items()}
    return {place: plugin, **parameters}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
