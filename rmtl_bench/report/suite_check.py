"""What is to be known of a suite before it runs: its size, what it lacks, and what its statistics cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.plugins import Registry
from rmtl_bench.report.stored_suite import declared_families
from rmtl_bench.statistics import Family
from rmtl_bench.statistics.power import reachable_seeds
from rmtl_bench.statistics.verdicts import MIN_SEEDS
from rmtl_bench.store import Store, load_plan, plan_names
from rmtl_bench.store.plans import plan_name
from rmtl_bench.suites import Plan, Suite, list_suites, read_suite


@dataclass(frozen=True)
class CheckedSuite:
    """A suite that was looked at.

    ``combinations`` of data set, backbone and weighting; ``cells``, these by the seeds; ``runs``, those cells without
    the ones that stand in it twice, and with what they build on. ``warnings``: a line each. ``published``: why the
    suite cannot run under its name and version; empty: it can.
    """

    title: str
    combinations: int
    cells: int
    runs: int
    seeds: int
    warnings: tuple[str, ...]
    published: str = ""


def check_plan(
    plan: Plan, missing: Mapping[str, str], registry: Registry, store: Store | None, unused: bool = True
) -> CheckedSuite:
    """Return what is to be known of a planned suite.

    ``missing``: what is said of data sets without raw files, by name. ``store``: where a plan of the same name and
    version may be kept already. ``unused``: say which components no cell has.
    """
    suite = plan.suite
    warnings = [*_missing(missing), *_skipped(plan), *_statistics(plan), *_same_name(suite, registry)]
    if unused:
        warnings += _unused(suite)
    return CheckedSuite(
        title=suite.title_line,
        combinations=len({cell.label.rpartition("/")[0] for cell in plan.cells}),
        cells=len(plan.cells),
        runs=len({cell.run_id for cell in plan.cells} | set(plan.sources)),
        seeds=suite.seeds,
        warnings=tuple(warnings),
        published=_published(suite, store) if store is not None else "",
    )


def _missing(missing: Mapping[str, str]) -> Iterator[str]:
    for name, said in missing.items():
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        hint = next((f"; {line}" for line in lines[1:] if line.startswith("type: ")), "")
        yield f"{name} cannot be run here yet: {lines[0].rstrip(':')}{hint}"


def _skipped(plan: Plan) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for skipped in plan.skipped:
        by_reason.setdefault(skipped.reason, []).append(skipped.label)
    for reason, labels in by_reason.items():
        more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
        yield f"{labels[0]}{more} will be skipped: {reason}"


def _statistics(plan: Plan) -> Iterator[str]:
    declared = plan.suite.statistics
    datasets: dict[str, set[str]] = {}
    for cell in plan.cells:
        datasets.setdefault(f"{cell.backbone.label}/{cell.weighting.label}", set()).add(cell.dataset.label)
    if plan.suite.seeds < MIN_SEEDS:
        yield f"{plan.suite.seeds} seeds are too few: below {MIN_SEEDS} every verdict is 'n too small'"
    if declared["delta_m"] and declared["delta_m"] not in datasets:
        yield f"delta_m is {declared['delta_m']!r}, which is no method of the suite"
    try:
        families = declared_families(declared)
    except UsageError as error:
        yield f"every table of it will be refused: {error}"
        return
    for family in families:
        yield from _family(family, datasets, plan.suite.seeds)


def _family(family: Family, datasets: Mapping[str, set[str]], seeds: int) -> Iterator[str]:
    said = f"comparisons {family.name!r}" if family.name != "reference" else "the reference"
    unmatched = family.unmatched(datasets)
    yield from (f"{said}: {pattern!r} matches no method of the suite" for pattern in unmatched)
    pairs = family.pairs(datasets)
    if not pairs:
        if not unmatched:
            yield f"{said}: nothing is compared within scope {family.scope!r}"
        return
    tests = sum(len(datasets[a] & datasets[b]) for a, b in pairs)
    needed = reachable_seeds(tests)
    if MIN_SEEDS <= seeds < needed:
        yield (
            f"{said}: {seeds} seeds are too few for an exact test: {tests} comparisons a task and metric take {needed} "
            "or more; until then the protocols wilcoxon and sign-flip find nothing, and paired-t says 'n too small' "
            "where it would say 'unresolved'"
        )


def _unused(suite: Suite) -> Iterator[str]:
    for kind, components in suite.components.items():
        used = {name for block in suite.grid for name in block[kind]}
        for name, component in components.items():
            builds_on = any(
                name in c.parameters.values() for c in suite.components["weightings"].values() if c != component
            )
            if name not in used and not (kind == "backbones" and builds_on):
                yield f"[{kind}.{name}] stands in no [[grid]]"


def _same_name(suite: Suite, registry: Registry) -> Iterator[str]:
    for path, origin, head in list_suites(registry):
        if (head["name"], head["version"]) != (suite.name, suite.version):
            continue
        try:
            other = read_suite(path)
        except UsageError:
            continue
        if other.digest != suite.digest:
            called = f"{suite.name}@{suite.version}"
            yield f"{called} is what {origin} calls another suite: raise the version, or take another name"


def _published(suite: Suite, store: Store) -> str:
    called = plan_name(suite.name, suite.version, suite.sample)
    if called not in plan_names(store):
        return ""
    kept = load_plan(store, suite.name, suite.version, suite.sample)
    if kept.digest == suite.digest:
        return ""
    return (
        f"{called} has run in {store.path} with other contents (digest {kept.digest}, now {suite.digest}); "
        "a suite never changes once it has run: raise its version"
    )
