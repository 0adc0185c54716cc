"""A submission held against its suite, where that is installed: what is wrong with it beyond what it says itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from rmtl_bench.contracts.cell import Cell, Component, canonical_json
from rmtl_bench.contracts.errors import RmtlBenchError
from rmtl_bench.plugins.registry import Registry
from rmtl_bench.submissions.form import ScoredCell, Submission
from rmtl_bench.suites import Plan, Suite, expand, read_variant, split_additions

KINDS: tuple[str, ...] = ("dataset", "backbone", "weighting")
"""The parts of a cell."""


def installed_suite(submission: Submission, registry: Registry) -> Suite | None:
    """Return the suite of a submission as the plugins here ship it; ``None`` where none does.

    Where what was added to it is not installed, it is the suite without additions.
    """
    plan = submission.suite
    for name in dict.fromkeys((plan.suite, split_additions(plan.suite).suite)):
        try:
            return read_variant(registry, f"{name}@{plan.version}", sample=plan.sample)
        except RmtlBenchError:
            continue
    return None


def suite_faults(submission: Submission, suite: Suite) -> Iterator[tuple[str, str]]:
    """Yield key and fault of what the submission says of its suite otherwise than the suite itself."""
    said = submission.suite
    if said.digest != suite.digest:
        yield "suite.digest", f"{said.digest} is of another file; {suite.title_line} has {suite.digest}"
        return
    if submission.seeds != suite.seeds:
        yield "suite.seeds", f"{submission.seeds} seeds; {suite.title_line} has {suite.seeds}"
    for key in ("title", "notes", "metrics", "statistics"):
        if key == "notes" and suite.name != said.suite:
            continue
        if canonical_json(getattr(said, key)) != canonical_json(getattr(suite, key)):
            yield f"suite.{key}", f"not what {suite.title_line} says"


def plan_here(submission: Submission, suite: Suite, registry: Registry) -> Plan:
    """Return the plan of a suite on the data of a submission.

    Raises :class:`RmtlBenchError` where the suite cannot be planned here: a plugin of it is missing.
    """
    fingerprints = {cell.cell.dataset.label: cell.cell.fingerprint for cell in submission.cells}
    return expand(suite, registry, lambda dataset: fingerprints.get(dataset.label, ""))


def plan_faults(submission: Submission, plan: Plan, registry: Registry) -> Iterator[tuple[str, str]]:
    """Yield key and fault of what is no cell of the suite, is missing, or was run with other parameters."""
    suite = plan.suite
    planned = {cell.label.rpartition("/")[0]: cell for cell in plan.cells if cell.seed == 0}
    added = set() if suite.name == submission.suite.suite else set(split_additions(submission.suite.suite).added)
    for place, cell in enumerate(submission.cells):
        key, right, kinds = f"cells[{place}]", planned.get(cell.label), KINDS
        if right is None and not added.intersection(cell.labels):
            yield key, f"{suite.title_line} has no cell {cell.label}"
        elif right is None:
            right, kinds = _beside(cell, plan)
        if right is None:
            continue
        yield from ((key, f"{cell.label}: {fault}") for fault in _differences(cell.cell, right, kinds, suite))
        yield from ((key, fault) for fault in _lacking_control(cell, right, registry))
    there, methods = {cell.label for cell in submission.cells}, set(submission.methods)
    for label in planned:
        if label.partition("/")[2] in methods and label not in there:
            yield "cells", f"{label} is missing; a method is submitted with all its cells"


def _beside(cell: ScoredCell, plan: Plan) -> tuple[Cell | None, tuple[str, ...]]:
    """Return a planned cell beside one of an addition, and the kinds of parts that both share: the data set at least.

    There is none for a data set that was added.
    """
    on_it = [planned for planned in plan.cells if planned.dataset.label == cell.labels[0]]
    for planned in on_it:
        if planned.backbone.label == cell.labels[1]:
            return planned, KINDS[:2]
    return (on_it[0], KINDS[:1]) if on_it else (None, ())


def _differences(cell: Cell, planned: Cell, kinds: Sequence[str], suite: Suite) -> Iterator[str]:
    for kind in kinds:
        mine, right = getattr(cell, kind), getattr(planned, kind)
        for key in ("name", "distribution"):
            if getattr(mine, key) != getattr(right, key):
                yield f"{kind}.{key} is {getattr(mine, key)!r}; the suite has {getattr(right, key)!r}"
        named = [part for part in suite.components[f"{kind}s"].values() if part.label == right.label]
        given = {name for part in named for name in part.parameters}
        yield from _other_values(kind, mine.parameters, right.parameters, given, _version(mine) == _version(right))
    same = all(_version(getattr(cell, kind)) == _version(getattr(planned, kind)) for kind in kinds)
    yield from _other_values("trainer", cell.trainer, planned.trainer, set(suite.trainer), same)


def _version(part: Component) -> tuple[int, str]:
    return part.version, part.distribution_version


def _other_values(
    where: str, mine: Mapping[str, Any], right: Mapping[str, Any], given: Collection[str], same: bool
) -> Iterator[str]:
    """Yield where values differ: of the names that the suite has ``given``, and of all between the ``same`` versions.

    Another version may have other parameters and other defaults; and one that the file lacks came later, unless the
    suite gives it.
    """
    compared = {name for name in given if name in right} | (set(mine) if same else set())
    for name in sorted(compared):
        pair = [canonical_json(side[name]) if name in side else "nothing" for side in (mine, right)]
        if pair[0] != pair[1]:
            yield f"{where}: {name} is {pair[0]:.60}; the suite has {pair[1]:.60}"


def _lacking_control(cell: ScoredCell, planned: Cell, registry: Registry) -> Iterator[str]:
    """Yield that gaps to the optimum are left out, where the data set has one."""
    if "optimum" not in registry.find("dataset", planned.dataset.name).info.provides:
        return
    with_gap = {m for m in planned.metrics if getattr(registry.find("metric", m).info, "gap_to_optimum", False)}
    there = {score.metric for score in cell.scores}
    for metric in sorted(with_gap):
        if f"{metric}-gap" not in there:
            yield f"{cell.label}: no {metric}-gap, though the optimum of {cell.cell.dataset.label} is known"
