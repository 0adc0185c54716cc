"""The examination of an installation: part by part, none of which takes the others down."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path

from rmtl_bench.contracts.errors import RmtlBenchError
from rmtl_bench.installation.finding import Finding

_PARTS = {
    "software": "rmtl_bench.installation.software:software",
    "torch": "rmtl_bench.installation.torch_build:torch_build",
    "plugins": "rmtl_bench.installation.plugins:plugins",
    "data": "rmtl_bench.installation.data_sets:data_sets",
    "machine": "rmtl_bench.installation.machine:machine",
    "store": "rmtl_bench.installation.result_store:result_store",
}
"""By name, the function of the path of the store that yields what is found of a part."""


def examine(store_path: Path) -> dict[str, list[Finding]]:
    """Return what was found, by part. Nothing is written, and nothing is raised."""
    return {name: guarded(name, partial(_part, target, store_path)) for name, target in _PARTS.items()}


def guarded(name: str, part: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Return what a part finds, up to where it breaks down, which is a problem of its own."""
    found: list[Finding] = []
    try:
        # Extended one by one: what was found before an error counts.
        found.extend(part())
    except RmtlBenchError as error:
        found.append(Finding(name, "problem", str(error), code=error.exit_code))
    except (Exception, SystemExit) as error:
        said = f"could not be examined: {type(error).__name__}: {error}".splitlines()[0]
        found.append(Finding(name, "problem", said, code=1))
    return found


def _part(target: str, store_path: Path) -> Iterable[Finding]:
    module, _, function = target.partition(":")
    found: Iterable[Finding] = getattr(import_module(module), function)(store_path)
    return found
