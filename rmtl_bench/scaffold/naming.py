"""What a new plugin is called: its distribution, package, module and class, and which names are refused."""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass
from importlib import metadata, util

from rmtl_bench import contracts
from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.plugins.registry import KINDS, Registry

LONGEST = 40
"""The most characters of a name: with more, lines of what is written would be too long."""

_KEBAB = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_RIGHT = f"it takes at most {LONGEST} lower-case letters and digits, in words joined by '-', and begins with a letter"

_FOLDERS = ("tests", "build", "dist", "results")
"""Folders beside the package, which it must not be called like."""

_IMPORTED = {*dir(contracts), *dir(builtins), "Path", "Any", "NDArray", "Tensor", "Iterator", "Sequence"}
"""Names that what is written has already."""


@dataclass(frozen=True)
class Names:
    """What the parts of a plugin called ``name`` are called; ``kind`` is what it offers."""

    kind: str
    name: str

    @property
    def package(self) -> str:
        """The package that is imported."""
        return self.name.replace("-", "_")

    @property
    def title(self) -> str:
        """The name in the letters of a class: ``MyMethod``."""
        return "".join(word.capitalize() for word in self.name.split("-"))

    @property
    def class_name(self) -> str:
        """The title; with the kind behind it where the title is taken in the module already."""
        return self.title + self.kind.capitalize() * (self.title in _IMPORTED)


def check_name(kind: str, name: str, registry: Registry) -> Names:
    """Return the names of a new plugin's parts.

    Raises :class:`UsageError` for an unknown kind, a name of another form, and one that something here has already: an
    offer of whatever kind, a distribution, or a module that could then no longer be imported.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown kind {kind!r}" + did_you_mean(kind, KINDS))
    if not _is_right(name):
        near = _nearest(name)
        raise UsageError(f"name {name!r}: {_RIGHT}" + (f"; did you mean {near!r}?" if _is_right(near) else ""))
    names = Names(kind, name)
    if keyword.iskeyword(names.package) or keyword.issoftkeyword(names.package):
        raise UsageError(f"name {name!r}: its package {names.package!r} is a word of Python; choose another name")
    if names.package in _FOLDERS:
        raise UsageError(f"name {name!r}: there is a folder {names.package!r} in a distribution; choose another name")
    for taken in KINDS:
        for origin in registry.claimants(taken, name):
            raise UsageError(f"name {name!r}: {taken} {name!r} comes from {origin} already; choose another name")
    if _is_installed(name):
        raise UsageError(f"name {name!r}: a distribution {name!r} is installed already; choose another name")
    if util.find_spec(names.package) is not None:
        raise UsageError(f"name {name!r}: a module {names.package!r} is installed already; choose another name")
    return names


def _is_right(name: str) -> bool:
    return len(name) <= LONGEST and _KEBAB.fullmatch(name) is not None


def _nearest(name: str) -> str:
    """Return the name in lower-case words: of ``MyMethod`` and ``my_method``, ``my-method``."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name[: 2 * LONGEST])
    return re.sub(r"[^a-z0-9]+", "-", apart.lower()).strip("-")


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
