"""A suite that tries a new plugin beside something to compare it with, from what is installed here.

The quickest of the installed suites that needs no raw files, the one of the fewest epochs, lends its training, one data
set, one backbone, the weighting that it compares with and another one, each with the parameters it has there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rmtl_bench.contracts.catalogue import DatasetInfo, Description, WeightingInfo
from rmtl_bench.contracts.errors import RmtlBenchError
from rmtl_bench.plugins.registry import Registry
from rmtl_bench.scaffold.naming import Names
from rmtl_bench.suites import Suite, list_suites, read_suite
from rmtl_bench.suites.suite_file import KINDS, SuiteComponent
from rmtl_bench.suites.toml_text import toml_key, toml_value
from rmtl_bench.training.settings import TrainerSettings

SEEDS = 3


@dataclass(frozen=True)
class Surroundings:
    """What a new plugin is tried with: a suite's training, and of each kind what it lends.

    ``weightings``: the one to compare with, then another, if the suite has one.
    """

    trainer: Mapping[str, Any]
    dataset: SuiteComponent
    backbone: SuiteComponent
    weightings: tuple[SuiteComponent, ...]


def find_surroundings(registry: Registry) -> Surroundings | None:
    """Return what the quickest suite that suits lends; ``None`` where none is installed that does."""
    found: list[tuple[int, int, str, Surroundings]] = []
    for path, _, head in list_suites(registry):
        # A suite that is broken, or names what is not there, lends nothing.
        with suppress(RmtlBenchError):
            suite = read_suite(path)
            if lent := _lent(suite, registry):
                epochs = TrainerSettings.resolve(suite.trainer).max_epochs
                found.append((epochs, _cells(suite), str(head["name"]), lent))
    return min(found, key=lambda each: each[:3])[3] if found else None


def trial_suite(names: Names, around: Surroundings) -> str:
    """Return the suite file that tries a new plugin."""
    own = SuiteComponent(names.name, names.name, {})
    parts: dict[str, Sequence[SuiteComponent]] = {
        "datasets": [own] if names.kind == "dataset" else [around.dataset],
        "backbones": [around.backbone, own] if names.kind == "backbone" else [around.backbone],
        "weightings": _weightings(names.kind, own, around),
    }
    metrics = ["auc", "logloss", *[names.name] * (names.kind == "metric")]
    reference, scope = f"*/{around.weightings[0].label}", "same-backbone"
    if names.kind == "backbone":
        reference, scope = f"{around.backbone.label}/*", "same-weighting"
    lines = [
        f"# Tries {names.name} in a minute; too small to conclude anything.",
        "# What is changed after results were published takes a new version.",
        "schema = 1",
        f"name = {toml_value(names.name)}",
        "version = 1",
        f"title = {toml_value(f'A minute to see that the {names.kind} {names.name} works')}",
        f"seeds = {SEEDS}",
        f"metrics = {toml_value(metrics)}",
        "\n[trainer]",
        *(f"{toml_key(name)} = {toml_value(value)}" for name, value in around.trainer.items()),
        "",
        *(line for kind, components in parts.items() for each in components for line in _component(kind, each)),
        "\n[[grid]]",
        *(f"{kind} = {toml_value([each.label for each in components])}" for kind, components in parts.items()),
        "\n[statistics]",
        f"reference = {toml_value(reference)}",
        f"scope = {toml_value(scope)}",
        f"headline = {toml_value(metrics)}",
        'equivalence = { auc = 0.001, logloss = "0.1%" }',
    ]
    return "\n".join(lines) + "\n"


def _weightings(kind: str, own: SuiteComponent, around: Surroundings) -> Sequence[SuiteComponent]:
    if kind == "weighting":
        return [around.weightings[0], own]
    return around.weightings[:1] if kind == "backbone" else around.weightings


def _component(kind: str, component: SuiteComponent) -> Iterator[str]:
    yield f"[{kind}.{toml_key(component.label)}]"
    if component.plugin != component.label:
        yield f"plugin = {toml_value(component.plugin)}"
    if component.parameters:
        inner = ", ".join(f"{toml_key(name)} = {toml_value(value)}" for name, value in component.parameters.items())
        yield f"parameters = {{ {inner} }}"


def _cells(suite: Suite) -> int:
    return suite.seeds * sum(len(b["datasets"]) * len(b["backbones"]) * len(b["weightings"]) for b in suite.grid)


def _lent(suite: Suite, registry: Registry) -> Surroundings | None:
    """Return what a suite lends; ``None`` where it lacks something that can be had at once and compared with."""
    offered = {kind: list(_offered(suite, kind, registry)) for kind in KINDS}
    datasets = [part for part, info in offered["datasets"] if isinstance(info, DatasetInfo) and info.source is None]
    backbones = [part for part, info in offered["backbones"] if "shared-parameters" in info.provides]
    plain = [part for part, info in offered["weightings"] if isinstance(info, WeightingInfo) and info.form == "loss"]
    reference = suite.statistics["reference"].rpartition("/")[2]
    compared = [part for part in plain if part.label == reference]
    if not (datasets and backbones and compared):
        return None
    others = [part for part in plain if part.label != reference]
    return Surroundings(suite.trainer, datasets[0], backbones[0], (*compared, *others[:1]))


def _offered(suite: Suite, kind: str, registry: Registry) -> Iterator[tuple[SuiteComponent, Description]]:
    """Yield what the grid of a suite names of a kind and can be used here as it is, with its description."""
    for name in dict.fromkeys(name for block in suite.grid for name in block[kind]):
        component = suite.components[kind][name]
        info = registry.find(KINDS[kind], component.plugin).info
        if not info.obstacle and not info.requires and not info.source_parameter:
            yield component, info
