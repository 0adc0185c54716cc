"""Python, the distributions of rmtl-bench and of its plugins, and whether what they require is there and fits."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from rmtl_bench.contracts.catalogue import PROJECT
from rmtl_bench.contracts.errors import PluginError
from rmtl_bench.contracts.version import __version__
from rmtl_bench.installation.finding import Finding

if TYPE_CHECKING:
    from packaging.requirements import Requirement

CORE = "rmtl-bench"
TESTED = ((3, 11), (3, 13))
"""The Pythons that the tests run on, from and to."""
_TOOLS = ("test", "benchmark", "docs")
"""Extras of those who develop rmtl-bench."""


def software(_store_path: Path) -> Iterator[Finding]:
    """Yield what is found of the interpreter and of the distributions."""
    yield _python()
    try:
        core = metadata.distribution(CORE)
    except metadata.PackageNotFoundError:
        said = f"{__version__} runs from its sources and is not installed: plugins cannot require it"
        yield Finding(CORE, "warning", said, "pip install -e .")
        return
    if core.version != __version__:
        said = f"the code is {__version__}, but {core.version} is what was installed"
        yield Finding(
            CORE, "warning", said, f"pip install --force-reinstall --no-deps {CORE}, or pip install -e . again"
        )
    else:
        yield Finding(CORE, "ok", __version__)
    others = _plugin_distributions()
    names = [distribution.name for distribution in others]
    unfit = [finding for distribution in (core, *others) for finding in _unfit(distribution, names)]
    yield from unfit
    if not unfit:
        named = ", ".join(f"{distribution.name} {distribution.version}" for distribution in others)
        yield Finding("distributions", "ok", f"what they require is there and fits{f': {named}' if named else ''}")
    yield from _extras(core)


def _python() -> Finding:
    version = tuple(map(int, platform.python_version_tuple()[:2]))
    said = f"{platform.python_version()} on {platform.platform()}"
    if TESTED[0] <= version <= TESTED[1]:
        return Finding("Python", "ok", said)
    tested = " to ".join(".".join(map(str, end)) for end in TESTED)
    return Finding("Python", "warning", f"{said}; tested are {tested}")


def _plugin_distributions() -> list[metadata.Distribution]:
    found = {point.dist.name: point.dist for point in metadata.entry_points(group=PROJECT) if point.dist is not None}
    return [distribution for name, distribution in sorted(found.items()) if name != CORE]


def _requirements(distribution: metadata.Distribution) -> list[Requirement]:
    from packaging.requirements import Requirement

    return [Requirement(text) for text in distribution.requires or ()]


def _holds(requirement: Requirement, extras: Iterable[str]) -> bool:
    """Return whether a requirement holds here with one of the extras; ``""`` is none."""
    return requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _unfit(distribution: metadata.Distribution, plugins: Collection[str]) -> Iterator[Finding]:
    """Yield the requirements that are not met; those of an extra only where another version is installed.

    ``plugins``: the distributions that offer something to the core. An extra's requirement of one of them is as good as
    the core's own; any other version than an extra asks for is a warning.
    """
    extras = [extra for extra in distribution.metadata.get_all("Provides-Extra") or () if extra not in _TOOLS]
    subject = f"{distribution.name} {distribution.version}"
    for requirement in _requirements(distribution):
        wanted, found = f"{requirement.name}{requirement.specifier}", _version(requirement.name)
        required, of_plugin = _holds(requirement, [""]), requirement.name in plugins
        code = PluginError.exit_code if of_plugin or distribution.name != CORE else 1
        remedy = f"pip install '{wanted}'"
        if found is None:
            if required:
                yield Finding(subject, "problem", f"requires {wanted}, which is not installed", remedy, code)
        elif _holds(requirement, ["", *extras]) and not requirement.specifier.contains(found, prereleases=True):
            said = f"requires {wanted}; {found} is installed"
            fatal = required or of_plugin
            yield Finding(subject, "problem" if fatal else "warning", said, remedy, code if fatal else 0)


def _extras(core: metadata.Distribution) -> Iterator[Finding]:
    """Yield which extras are not installed; torch is looked at apart."""
    requirements = _requirements(core)
    there = []
    for extra in core.metadata.get_all("Provides-Extra") or ():
        if extra in (*_TOOLS, "all", "torch"):
            continue
        wanted = [r for r in requirements if not _holds(r, [""]) and _holds(r, [extra])]
        lacking = [requirement.name for requirement in wanted if _version(requirement.name) is None]
        if lacking:
            said = f"not installed: {', '.join(lacking)}"
            yield Finding(f"extra {extra}", "note", said, f"pip install '{CORE}[{extra}]'")
        else:
            there.append(extra)
    if there:
        yield Finding("extras", "ok", f"installed: {', '.join(there)}")
