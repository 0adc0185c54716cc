"""Where runs came from: whether somebody else can get the very code that made them.

The environment that a run stores says the commit of the folder in which the command ran, with a ``+`` where that had
uncommitted changes, and every installed distribution with its version. A run is clean when

- its folder was a repository without uncommitted changes, or was in none, and
- each of its data set, backbone and weighting came from a distribution that the environment lists under the version
  that the cell names, or from a one-file plugin whose content stands in the submission: its version is the first twelve
  digits of its SHA-256.

An editable installation looks like any other: its version is believed, as the scores are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.cell import Cell, Component
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.contracts.reading import read_bytes
from rmtl_bench.store.record_checks import in_a_line
from rmtl_bench.submissions.form_checks import FACTS

LARGEST_PLUGIN = 1 << 20
"""The most bytes of a one-file plugin."""

_ALWAYS = ("numpy", "rmtl-bench", "torch")


def public_facts(environment: Mapping[str, Any], sources: Collection[str]) -> dict[str, Any]:
    """Return what a submission says of an environment: no paths, and of the distributions those that made numbers.

    ``sources``: the distributions that the runs of the submission came from.
    """
    facts = {key: environment[key] for key in FACTS if isinstance(environment.get(key), (str, int))}
    listed = environment.get("distributions")
    installed = listed if isinstance(listed, dict) else {}
    names = sorted({*_ALWAYS, *sources}.intersection(installed))
    return {**facts, "distributions": {name: str(installed[name]) for name in names}}


def parts_of(cell: Cell) -> tuple[Component, ...]:
    """Return the data set, the backbone and the weighting."""
    return cell.dataset, cell.backbone, cell.weighting


def provenance_faults(
    cell: Cell, environment: Mapping[str, Any], plugins: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Yield what keeps somebody else from getting the code of a cell's runs, one line each."""
    commit = environment.get("git")
    if isinstance(commit, str) and commit.endswith("+"):
        yield f"it ran on commit {commit[:12]} with uncommitted changes; commit them and run again"
    for part in parts_of(cell):
        listed = environment["distributions"].get(part.distribution)
        if listed == part.distribution_version:
            continue
        if part.distribution in plugins:
            found = version_of(plugins[part.distribution])
            if found != part.distribution_version:
                right = f"the runs had the one of version {part.distribution_version}"
                yield f"{part.label!r} is from the file {part.distribution}, here of version {found}; {right}"
        elif part.distribution.endswith(".py"):
            yield f"{part.label!r} is from the one-file plugin {part.distribution}, which is not in the submission"
        else:
            said = f"lists version {listed}" if listed else "does not list it"
            named = f"{part.distribution} {part.distribution_version}"
            yield f"{part.label!r} is from {named}, and the environment of its run {said}"


def version_of(lines: Sequence[str]) -> str:
    """Return the version of a one-file plugin of these lines."""
    return hashlib.sha256("\n".join(lines).encode("utf-8", "replace")).hexdigest()[:12]


def read_plugin(path: Path) -> tuple[str, ...]:
    """Return the lines of a one-file plugin; raises :class:`UsageError` for what is no text of UTF-8."""
    try:
        return tuple(read_bytes(path, LARGEST_PLUGIN).decode("utf-8").split("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--plugin {path} cannot be submitted: {in_a_line(error)}") from error
