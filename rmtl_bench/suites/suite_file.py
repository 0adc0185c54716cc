"""Suite files: TOML, versioned, checked against a schema; an unknown key is an error.

.. code-block:: toml

    schema = 1                       # of this format
    name = "paper"
    version = 1                      # name@version never changes once published
    title = "..."
    seeds = 10                       # replicates, paired by seed
    metrics = ["auc", "logloss"]

    [trainer]                        # see rmtl_bench.training.settings
    [datasets.NAME]                  # plugin = "..." (default: NAME), parameters = {...}
    [backbones.NAME]                 # likewise
    [weightings.NAME]                # likewise; a parameter may name a [backbones.NAME] whose run it builds on

    [[grid]]                         # every combination of what it names; datasets: all if left out
    backbones = ["mmoe"]
    weightings = ["fixed", "rmtl"]

    [statistics]                     # declared before anything runs
    reference = "*/fixed"            # what each row of the leaderboard is compared with ...
    scope = "same-backbone"          # ... all | same-backbone | same-weighting
    delta_m = "single-task/fixed"    # the method Delta_m% is relative to
    headline = ["auc", "logloss"]    # the metrics that a leaderboard shows unasked; all if left out
    equivalence = { auc = 0.001, logloss = "0.1%" }

    [[comparisons]]                  # further families
    name = "..."
    candidates = ["*/rmtl"]
    references = ["*/fixed"]
    scope = "same-backbone"
    control = true                   # the verdict stands beside each candidate's row, too; false if left out

    [sample]                         # what `--sample` changes: seeds, trainer, and components by name,
    without = ["NAME"]               # ... data sets that it leaves out
    [sample.weightings.NAME]         # ... whose parameters it replaces, and plugin and label where it gives them
    [sample.datasets.NAME]           # a data set that stands in for NAME, named on top of every table

``NAME+MINE`` is a suite with the weighting, backbone or data set ``MINE`` in every block of its grid, and
``NAME-PRECISION`` one under another precision: see :mod:`rmtl_bench.suites.additions` and
:mod:`rmtl_bench.suites.variants`.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.catalogue import Parameter, resolve_parameters
from rmtl_bench.contracts.errors import PluginError, UsageError, did_you_mean
from rmtl_bench.contracts.wording import printable
from rmtl_bench.plugins.registry import Origin, Registry, collision
from rmtl_bench.suites.documents import CELLS, LONGEST_NAME, check_keys, is_name, read_document, shown

KINDS = {"datasets": "dataset", "backbones": "backbone", "weightings": "weighting"}
SCOPES = ("same-backbone", "same-weighting", "all")
_HEAD = {
    "schema": Parameter(1, "format of the file", choices=(1,)),
    "name": Parameter("", "name of the suite"),
    "version": Parameter(1, "version of the suite", minimum=1),
    "title": Parameter("", "one line about it"),
    "seeds": Parameter(5, "number of seeds", minimum=1, maximum=10_000),
    "metrics": Parameter(("auc", "logloss"), "metrics to report", kind="strs"),
}
_COMPARISON = {
    "name": Parameter("", "name of the family"),
    "candidates": Parameter((), "methods, as backbone/weighting patterns", kind="strs"),
    "references": Parameter((), "methods, as backbone/weighting patterns", kind="strs"),
    "scope": Parameter("same-backbone", "which pairs", choices=SCOPES),
    "control": Parameter(False, "whether the verdict stands beside each candidate's row, too"),
}
_STATISTICS = {
    "reference": Parameter("*/fixed", "what each row is compared with"),
    "scope": Parameter("same-backbone", "which pairs", choices=SCOPES),
    "delta_m": Parameter("", "the method Delta_m is relative to"),
    "headline": Parameter((), "the metrics that a leaderboard shows unasked; all if left out", kind="strs"),
}
_GRID = {kind: Parameter((), f"names of {kind}", kind="strs") for kind in KINDS}
_WITHOUT = Parameter((), "data sets that a sample leaves out", kind="strs")
KEYS = {"": _HEAD, "[[grid]]": _GRID, "[statistics]": _STATISTICS, "[[comparisons]]": _COMPARISON}
"""What each table of a suite file takes, by the table as it is written; ``""`` is the top of the file."""
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_RIGHT_NAME = "it takes up to 100 letters, digits, '.', '_' and '-', and begins with a letter or a digit"
LONGEST_TITLE = 1_000
"""The most characters of a title."""
_TABLES = {"trainer", "statistics", "comparisons", "grid", "sample", *KINDS}


@dataclass(frozen=True)
class SuiteComponent:
    """A data set, backbone or weighting as a suite names it. ``stands_in_for`` is set in samples only."""

    label: str
    plugin: str
    parameters: Mapping[str, Any]
    stands_in_for: str = ""


@dataclass(frozen=True)
class Suite:
    """A checked suite file; ``sample`` says whether its ``[sample]`` section was applied."""

    name: str
    version: int
    title: str
    seeds: int
    metrics: tuple[str, ...]
    trainer: Mapping[str, Any]
    components: Mapping[str, Mapping[str, SuiteComponent]]
    grid: tuple[Mapping[str, tuple[str, ...]], ...]
    statistics: Mapping[str, Any]
    digest: str
    sample: bool = False
    has_sample: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def title_line(self) -> str:
        """``name@version (sample)``."""
        return f"{self.name}@{self.version}" + (" (sample)" if self.sample else "")


def read_suite(path: Path, *, sample: bool = False) -> Suite:
    """Read and check a suite file; with ``sample``, apply its ``[sample]`` section.

    Raises :class:`UsageError` naming file, key and value, also for what is beyond the limits of
    :mod:`rmtl_bench.suites.documents`.
    """
    content, document = read_document(path)
    where = f"suite file {path.name}"
    check_keys(document, where)
    _known(document, {*_HEAD, *_TABLES}, where)
    head = resolve_parameters(where, _HEAD, {k: v for k, v in document.items() if k in _HEAD})
    for key in ("name", "grid"):
        if not document.get(key):
            raise UsageError(f"{where} has no {key!r}")
    if not _FILE_NAME.fullmatch(head["name"]):
        raise UsageError(f"{where}: 'name' is {shown(head['name'])}; {_RIGHT_NAME}")
    for key, most in (("title", LONGEST_TITLE), *(("metrics", LONGEST_NAME),) * bool(head["metrics"])):
        for text in (head[key],) if isinstance(head[key], str) else head[key]:
            if len(text) > most or not text.isprintable():
                raise UsageError(f"{where}: {key!r} has {shown(text)}; it takes {most} characters that can be seen")
    components = {kind: _components(document, kind, where) for kind in KINDS}
    trainer = _table(document, "trainer", where)
    notes: list[str] = []
    left_out: tuple[str, ...] = ()
    overrides = _table(document, "sample", where)
    if sample:
        if not overrides:
            raise UsageError(f"suite {head['name']!r} declares no [sample]")
        _known(overrides, {"seeds", "trainer", "without", *KINDS}, f"{where}, [sample]")
        head |= resolve_parameters(where, {"seeds": _HEAD["seeds"]}, {"seeds": overrides.get("seeds", head["seeds"])})
        trainer = {**trainer, **_table(overrides, "trainer", where)}
        for kind in KINDS:
            components[kind] = _overridden(components[kind], overrides, kind, where)
        left_out = _left_out(overrides, components["datasets"], where)
        components["datasets"] = {k: c for k, c in components["datasets"].items() if k not in left_out}
        notes = [
            f"{c.stands_in_for}: {c.label} stands in for it" for c in components["datasets"].values() if c.stands_in_for
        ]
        notes += [f"{name}: left out of the sample" for name in left_out]
    for kind in KINDS:
        labels = [component.label for component in components[kind].values()]
        for label in {label for label in labels if labels.count(label) > 1}:
            raise UsageError(f"{where}: two {kind} are called {label!r}; give one a 'label'")
    return Suite(
        **{key: head[key] for key in ("name", "version", "title", "seeds", "metrics")},
        trainer=trainer,
        components=components,
        grid=_grid(document["grid"], components, left_out, head["seeds"], where),
        statistics=_statistics(document, head["metrics"], where),
        digest=hashlib.sha256(content).hexdigest()[:16],
        sample=sample,
        has_sample=bool(overrides),
        notes=tuple(notes),
    )


def _known(table: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}" + did_you_mean(key, known))


def _table(document: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise UsageError(f"{where}: [{key}] is {shown(table)}; it has to be a table")
    return table


def _tables(given: Any, key: str, where: str) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(table, dict) for table in given):
        raise UsageError(f"{where}: {key!r} has to be written as [[{key}]]")
    return given


def _components(document: Mapping[str, Any], kind: str, where: str) -> dict[str, SuiteComponent]:
    return {
        key: _component(table, f"{where}, [{kind}.{key}]", SuiteComponent(key, key, {}))
        for key, table in _table(document, kind, where).items()
    }


def _component(table: Any, place: str, default: SuiteComponent) -> SuiteComponent:
    if not isinstance(table, dict):
        raise UsageError(f"{place} is {shown(table)}; it has to be a table")
    _known(table, {"plugin", "label", "parameters"}, place)
    named = {"plugin": table.get("plugin", default.plugin), "label": table.get("label", default.label)}
    for key, value in named.items():
        if not is_name(value) or "/" in value:
            right = f"it has to be a name without '/', of at most {LONGEST_NAME} characters"
            raise UsageError(f"{place}: {key!r} is {shown(value)}; {right}")
    return SuiteComponent(named["label"], named["plugin"], _table(table, "parameters", place))


def _overridden(
    components: Mapping[str, SuiteComponent], overrides: Mapping[str, Any], kind: str, where: str
) -> dict[str, SuiteComponent]:
    merged = dict(components)
    for key, table in _table(overrides, kind, f"{where}, [sample]").items():
        if key not in components:
            raise UsageError(f"{where}, [sample.{kind}]: no {key!r} to stand in for" + did_you_mean(key, components))
        override = _component(table, f"{where}, [sample.{kind}.{key}]", components[key])
        # Another plugin is called by its own name: a table must not pass it off as the one it replaces.
        named = "label" in table or override.plugin == components[key].plugin
        stands_in = key if kind == "datasets" else ""
        merged[key] = replace(override, label=override.label if named else override.plugin, stands_in_for=stands_in)
    return merged


def _left_out(overrides: Mapping[str, Any], datasets: Mapping[str, SuiteComponent], where: str) -> tuple[str, ...]:
    """Return the data sets that a sample does without."""
    place = f"{where}, [sample]"
    names: tuple[str, ...] = _WITHOUT.check(overrides.get("without", ()), place, "without")
    for name in names:
        if name not in datasets:
            raise UsageError(f"{place}: no data set {name!r} to do without" + did_you_mean(name, datasets))
    return names


def _grid(
    blocks: Any, components: Mapping[str, Mapping[str, SuiteComponent]], left_out: Sequence[str], seeds: int, where: str
) -> tuple[Mapping[str, tuple[str, ...]], ...]:
    grid, cells = [], 0
    for block in _tables(blocks, "grid", where):
        resolved = resolve_parameters(f"{where}, [[grid]]", _GRID, block)
        named = resolved["datasets"] or tuple(components["datasets"])
        resolved["datasets"] = tuple(name for name in named if name not in left_out)
        if left_out and not resolved["datasets"]:
            continue
        for kind in KINDS:
            if not resolved[kind]:
                raise UsageError(f"{where}, [[grid]]: no {kind} are named")
            for name in resolved[kind]:
                if name not in components[kind]:
                    hint = did_you_mean(name, components[kind])
                    raise UsageError(f"{where}, [[grid]]: there is no [{kind}.{name}]{hint}")
        cells += seeds * math.prod(len(set(resolved[kind])) for kind in KINDS)
        if cells > CELLS:
            raise UsageError(f"{where}: the grid has more than {CELLS:,} cells, seeds included; make it several suites")
        grid.append(resolved)
    if not grid:
        raise UsageError(f"{where}, [sample]: without {', '.join(left_out)} nothing of the grid is left")
    return tuple(grid)


def _statistics(document: Mapping[str, Any], metrics: Sequence[str], where: str) -> dict[str, Any]:
    table = _table(document, "statistics", where)
    place = f"{where}, [statistics]"
    equivalence = _table(table, "equivalence", place)
    for metric, region in equivalence.items():
        if not _is_region(region):
            raise UsageError(f'{place}: equivalence of {metric!r} is {shown(region)}; it takes 0.001 or "0.1%"')
    scalars = {k: v for k, v in table.items() if k != "equivalence"}
    resolved = resolve_parameters(place, _STATISTICS, scalars)
    for metric in (*resolved["headline"], *equivalence):
        if metric.partition("@")[0].removesuffix("-gap") not in metrics:
            raise UsageError(f"{place}: no metric {metric!r} in this suite" + did_you_mean(metric, metrics))
    families = _tables(document.get("comparisons", []), "comparisons", where)
    resolved["equivalence"] = dict(equivalence)
    resolved["comparisons"] = [resolve_parameters(f"{where}, [[comparisons]]", _COMPARISON, f) for f in families]
    return resolved


def _is_region(region: Any) -> bool:
    try:
        size = float(region.removesuffix("%")) if isinstance(region, str) and region.endswith("%") else region
    except ValueError:
        return False
    return isinstance(size, (int, float)) and not isinstance(size, bool) and 0 < size < math.inf


def list_suites(registry: Registry) -> list[tuple[Path, Origin, dict[str, Any]]]:
    """Return every suite file of the plugins with its origin and its name, version and title.

    A file that cannot be read is called by its own name, at version 0, and its title says why: it must not hide
    the others.
    """
    listed = []
    for path, origin in registry.suites:
        try:
            head = _head(read_document(path)[1])
        except UsageError as error:
            reason = str(error).partition("cannot be read: ")[2]
            head = {"name": path.stem, "version": 0, "title": f"cannot be read: {printable(reason)}"}
        listed.append((path, origin, head))
    return sorted(listed, key=lambda suite: (str(suite[2]["name"]), _number(suite[2]["version"])))


def _head(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a listing shows of a suite; whether the rest of it is right is not looked at."""
    name, title = document.get("name"), document.get("title")
    if not isinstance(name, str) or not _FILE_NAME.fullmatch(name):
        raise UsageError(f"cannot be read: 'name' is {shown(name)}; {_RIGHT_NAME}")
    title = printable(title).partition("\n")[0][:LONGEST_TITLE] if isinstance(title, str) else None
    return {"name": name, "version": _number(document.get("version", _HEAD["version"].default)), "title": title}


def is_suite_name(name: str) -> bool:
    """Return whether a suite may be called so."""
    return _FILE_NAME.fullmatch(name) is not None


def _number(version: Any) -> int:
    return version if isinstance(version, int) and not isinstance(version, bool) and version > 0 else 0


def find_suite(registry: Registry, wanted: str) -> Path:
    """Return the file of a suite given as ``name``, ``name@version`` or a path ending in ``.toml``.

    Without a version, the highest is taken. Raises :class:`UsageError` for an unknown one and
    :class:`PluginError` for a suite shipped by two distributions.
    """
    if wanted.endswith(".toml"):
        return Path(wanted)
    name, _, version = wanted.partition("@")
    suites = list_suites(registry)
    named = [s for s in suites if s[2]["name"] == name and (not version or str(s[2]["version"]) == version)]
    if not named:
        known = {str(s[2]["name"]) for s in suites} | {f"{s[2]['name']}@{s[2]['version']}" for s in suites if version}
        raise UsageError(f"unknown suite {wanted!r}" + did_you_mean(wanted, known))
    newest = max(_number(s[2]["version"]) for s in named)
    newest_files = [s for s in named if _number(s[2]["version"]) == newest]
    if len(newest_files) > 1:
        raise PluginError(collision("suite", wanted, (s[1] for s in newest_files)))
    return newest_files[0][0]
