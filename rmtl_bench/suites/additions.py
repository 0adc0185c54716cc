"""A suite with something added to it: ``smoke+my-method`` is ``smoke`` with ``my-method`` in every block of its grid.

What is added is the name of a weighting, a backbone or a data set, with its parameters at their defaults; several are
added by several ``+``. The result is a suite of its own: its plan and its tables stand beside those of ``smoke`` in a
store, neither mixes with the other, and every command that takes a suite takes it by that name. References, comparisons
and statistics are those of ``smoke``, and so are its cells: a run that ``smoke`` has made is not made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.plugins.registry import Registry
from rmtl_bench.suites.suite_file import KINDS, Suite, SuiteComponent, is_suite_name

_SAMPLE = "sample"
"""What stands behind the name of a plan that is a suite's sample."""


class Wanted(NamedTuple):
    """A suite as it was asked for: as :func:`~rmtl_bench.suites.find_suite` takes it, and what is added to it."""

    suite: str
    added: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name as it is kept: additions in the order of their names, a version behind them."""
        name, at, version = self.suite.partition("@")
        return name_with(name, self.added) + at + version


def split_additions(wanted: str) -> Wanted:
    """Return what ``NAME+ADDED``, ``NAME+ADDED@VERSION``, ``NAME@VERSION+ADDED`` or ``FILE.toml+ADDED`` asks for."""
    if wanted.endswith(".toml"):
        return Wanted(wanted, ())
    file, ending, rest = wanted.rpartition(".toml+")
    if ending:
        return Wanted(f"{file}.toml", _in_order(rest))
    name, plus, rest = wanted.partition("+")
    added, at, version = rest.partition("@")
    return Wanted(name + at + version, _in_order(added) if plus else ())


def name_with(name: str, added: Sequence[str]) -> str:
    """Return what a suite is called with these additions."""
    return "+".join((name, *added))


def with_additions(suite: Suite, added: Sequence[str], registry: Registry) -> Suite:
    """Return the suite with these weightings, backbones or data sets in every block of its grid.

    A note says so on top of every table. Raises :class:`UsageError` for a name that nothing or several things have, and
    for what the suite has already.
    """
    if not added:
        return suite
    components = {kind: dict(parts) for kind, parts in suite.components.items()}
    named: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for name in added:
        kind = _kind_of(name, registry)
        if name in components[kind] or any(part.label == name for part in components[kind].values()):
            raise UsageError(f"suite {suite.name!r} has the {KINDS[kind]} {name!r} already: nothing is to be added")
        components[kind][name] = SuiteComponent(name, name, {})
        named[kind].append(name)
    whats = [f"{KINDS[kind]} {name}" for kind, names in named.items() for name in names]
    return replace(
        suite,
        name=name_with(suite.name, added),
        components=components,
        grid=tuple(_extended(block, named) for block in suite.grid),
        notes=(*suite.notes, f"{' and '.join(whats)} added to {suite.title_line}"),
    )


def _in_order(added: str) -> tuple[str, ...]:
    """Return the names between the ``+``, each once: in whatever order they were typed, the suite is the same."""
    return tuple(sorted(set(added.split("+"))))


def _kind_of(name: str, registry: Registry) -> str:
    if name == _SAMPLE:
        raise UsageError("nothing called 'sample' can be added to a suite; its sample is asked for by --sample")
    if not name:
        raise UsageError("nothing stands behind the '+' of a suite's name; it takes a weighting, backbone or dataset")
    if not is_suite_name(name):
        raise UsageError(f"{name!r} cannot be added to a suite by its name; write a suite file that names it")
    known = {kind: {entry.info.name for entry in registry.entries(KINDS[kind])} for kind in KINDS}
    kinds = [kind for kind, names in known.items() if name in names]
    if not kinds:
        hint = did_you_mean(name, set().union(*known.values()))
        raise UsageError(f"no weighting, backbone or dataset is called {name!r}, which is to be added to a suite{hint}")
    if len(kinds) > 1:
        both = " and a ".join(KINDS[kind] for kind in kinds)
        raise UsageError(f"{name!r} is a {both}: write a suite file that says which is to be added")
    return kinds[0]


def _extended(block: Mapping[str, tuple[str, ...]], named: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    return {kind: (*names, *named[kind]) for kind, names in block.items()}
