"""A new suite file: small, commented, and able to run as it is.

What is not named is chosen by what plugins say of their offers, never by name:

===========  ======================================================================================================
data set     one that needs no raw files; of several, one whose true probabilities are known; then the first by name
backbones    the two oldest that the data set suffices for, what has no paper before all
weightings   the three oldest loss weightings that go with these, likewise
===========  ======================================================================================================

A data set with a parameter ``rows`` is asked for :data:`ROWS` of them, so that the suite takes a minute or two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rmtl_bench.contracts.catalogue import DatasetInfo, Description, WeightingInfo
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.plugins.registry import Entry, Registry
from rmtl_bench.suites.suite_file import KINDS, is_suite_name
from rmtl_bench.suites.toml_text import toml_key, toml_value

ROWS = 10_000
"""Rows of a data set that can be asked for some."""

SEEDS = 3
"""Seeds of a new suite: as few as a t test is believed on."""

_BACKBONES, _WEIGHTINGS = 2, 3


@dataclass(frozen=True)
class NewSuite:
    """What a new suite is to be: its name, its seeds, and by kind (``datasets``, ...) the names that were given."""

    name: str
    seeds: int = SEEDS
    given: Mapping[str, Sequence[str]] = field(default_factory=dict)


def new_suite_text(registry: Registry, wanted: NewSuite, file: str) -> str:
    """Return the text of a new suite file; ``file`` is the path that its comments name.

    Raises :class:`UsageError` for a name that no suite may have, for an unknown component, and where nothing is
    installed that a component could be chosen from.
    """
    if not is_suite_name(wanted.name):
        right = "it takes letters, digits, '.', '_' and '-', and begins with a letter or a digit"
        raise UsageError(f"a suite cannot be called {wanted.name!r}: {right}")
    named = {
        key: [registry.find(kind, name) for name in dict.fromkeys(wanted.given.get(key, ()))]
        for key, kind in KINDS.items()
    }
    datasets = named["datasets"] or _dataset(registry)
    provided = frozenset.intersection(*(entry.info.provides for entry in datasets))
    backbones = named["backbones"] or _oldest(registry.entries("backbone"), provided, _BACKBONES, "backbone")
    provided |= frozenset.intersection(*(entry.info.provides for entry in backbones))
    loss = [e for e in registry.entries("weighting") if isinstance(e.info, WeightingInfo) and e.info.form == "loss"]
    weightings = named["weightings"] or _oldest(loss, provided, _WEIGHTINGS, "weighting")
    return _text(wanted, file, {"datasets": datasets, "backbones": backbones, "weightings": weightings})


def _dataset(registry: Registry) -> list[Entry]:
    without = [e for e in registry.entries("dataset") if isinstance(e.info, DatasetInfo) and e.info.source is None]
    usable = [entry for entry in without if not entry.info.obstacle]
    if not usable:
        raise UsageError("no data set is installed that needs no raw files; name one with --dataset")
    return [min(usable, key=lambda entry: ("optimum" not in entry.info.provides, entry.info.name))]


def _oldest(entries: Sequence[Entry], provided: frozenset[str], count: int, kind: str) -> list[Entry]:
    usable = [e for e in entries if not e.info.obstacle and e.info.required({}) <= provided]
    if not usable:
        raise UsageError(f"no {kind} is installed that goes with the rest; name one with --{kind}")
    return sorted(usable, key=lambda entry: (entry.info.year, entry.info.name))[:count]


def _text(wanted: NewSuite, file: str, chosen: Mapping[str, Sequence[Entry]]) -> str:
    backbones, weightings = (
        ", ".join(toml_value(e.info.name) for e in chosen[key]) for key in ("backbones", "weightings")
    )
    reference = toml_value(f"*/{chosen['weightings'][0].info.name}")
    sections = "\n\n".join(_components(key, chosen[key]) for key in KINDS)
    return f"""\
# rmtl-bench run --suite {file}
# rmtl-bench leaderboard --suite {file}
schema = 1
name = "{wanted.name}"
# Raise it with every change once results exist: {wanted.name}@1 never changes.
version = 1
title = "What {wanted.name} asks, in one line"
# Paired: initialisation, batch order and dropout of a seed are the same for every weighting on a backbone.
seeds = {wanted.seeds}
metrics = ["auc", "logloss"]

# Small and quick; what is left out has its default.
[trainer]
batch_size = 256
learning_rate = 3e-3
max_epochs = 3
patience = 1

{sections}

# Every combination of these; further [[grid]] blocks add others.
[[grid]]
backbones = [{backbones}]
weightings = [{weightings}]

# Declared before anything runs.
[statistics]
# What each row of the leaderboard is compared with.
reference = {reference}
scope = "same-backbone"
# Differences too small to matter, in the metric's unit or in % of the reference's mean.
equivalence = {{ auc = 0.001, logloss = "0.1%" }}
"""


def _components(key: str, entries: Sequence[Entry]) -> str:
    kind = KINDS[key]
    first = f"# Parameters and their defaults: rmtl-bench info {kind} NAME"
    return "\n".join([first, *(line for entry in entries for line in _component(key, entry.info))])


def _component(key: str, info: Description) -> list[str]:
    head = f"[{key}.{toml_key(info.name)}]"
    rows = info.parameters.get("rows")
    if key == "datasets" and rows is not None and rows.kind == "int":
        asked = int(min(max(ROWS, rows.minimum), rows.maximum))
        return [head, f"parameters = {{ rows = {asked} }}"]
    return [head]
