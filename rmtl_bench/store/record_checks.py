"""What the record of a run from anybody must be like, before anything is made of it.

Each check raises :class:`ValueError`, :class:`TypeError` or :class:`KeyError` that names the key and the value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rmtl_bench.contracts.wording import printable

_ID = re.compile(r"[0-9a-f]{16}")
_COMPONENTS = ("dataset", "backbone", "weighting")
_TEXTS = ("name", "label", "distribution", "distribution_version")
_LONGEST = 300
_LONGEST_NOTE = 10_000
_SHOWN = 60


def in_a_line(error: BaseException) -> str:
    """Return the kind and the text of an error in one line: a key that nobody knows is quoted as it stands."""
    return " ".join(printable(f"{type(error).__name__}: {error}").split())


def check_id(value: Any) -> str:
    """Return a run id: 16 hexadecimal digits."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError(f"{_shown(value)} is no run id; it takes 16 hexadecimal digits")
    return value


def check_cell(cell: Any) -> None:
    """Check the types of a cell's parts, so that it can be hashed, listed and shown."""
    mapping(cell, "cell")
    for kind in _COMPONENTS:
        component = mapping(cell[kind], kind)
        for key in _TEXTS:
            text(component[key], f"{kind}.{key}")
        whole(component["version"], f"{kind}.version")
        mapping(component["parameters"], f"{kind}.parameters")
    text(cell["fingerprint"], "fingerprint")
    mapping(cell["trainer"], "trainer")
    texts(cell["metrics"], "metrics")
    whole(cell["seed"], "seed")
    if cell.get("source"):
        check_id(cell["source"])


def check_facts(facts: Any) -> None:
    """Check those facts of a run that the harness itself reads as lists."""
    mapping(facts, "facts")
    texts(facts.get("warnings", []), "warnings", longest=None)


def check_plan(plan: Any) -> None:
    """Check the types of a stored plan's parts, so that its tables can be made."""
    mapping(plan, "plan")
    for key in ("suite", "digest", "title"):
        text(plan[key], key)
    whole(plan["version"], "version")
    boolean(plan["sample"], "sample")
    for cell in mappings(plan["cells"], "cells"):
        check_id(cell["run_id"])
        whole(cell["seed"], "seed")
        for key in _COMPONENTS:
            text(cell[key], key)
    for key in ("notes", "metrics"):
        texts(plan[key], key, _LONGEST_NOTE)
    for skipped in mappings(plan["skipped"], "skipped"):
        for key, value in skipped.items():
            text(value, f"skipped.{key}", None)
    _check_statistics(mapping(plan["statistics"], "statistics"))


def _check_statistics(statistics: Mapping[str, Any]) -> None:
    """Check what a suite declares of its statistics; what is left out has a default."""
    for key in ("reference", "scope", "delta_m"):
        text(statistics.get(key, ""), key)
    texts(statistics.get("headline", []), "headline")
    for metric, region in mapping(statistics.get("equivalence", {}), "equivalence").items():
        if isinstance(region, bool) or not isinstance(region, (int, float, str)):
            raise TypeError(f'equivalence of {metric} is {_shown(region)}; it takes 0.001 or "0.1%"')
    for family in mappings(statistics.get("comparisons", []), "comparisons"):
        for key in ("name", "scope"):
            text(family[key], f"comparisons.{key}")
        for key in ("candidates", "references"):
            texts(family[key], f"comparisons.{key}")
        boolean(family.get("control", False), "comparisons.control")


def mapping(value: Any, key: str) -> Mapping[str, Any]:
    """Return a mapping."""
    if not isinstance(value, dict):
        raise TypeError(f"{key} is {_shown(value)}; it takes a mapping")
    return value


def mappings(value: Any, key: str) -> list[Mapping[str, Any]]:
    """Return a list of mappings."""
    if not isinstance(value, list):
        raise TypeError(f"{key} is {_shown(value)}; it takes a list of mappings")
    return [mapping(element, key) for element in value]


def boolean(value: Any, key: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise TypeError(f"{key} is {_shown(value)}; it takes true or false")
    return value


def text(value: Any, key: str, longest: int | None = _LONGEST) -> str:
    """Return a text of at most ``longest`` characters, of any length if that is ``None``; it may hold anything."""
    if not isinstance(value, str) or (longest is not None and len(value) > longest):
        right = "a text" if longest is None else f"a text of at most {longest} characters"
        raise TypeError(f"{key} is {_shown(value)}; it takes {right}")
    return value


def texts(value: Any, key: str, longest: int | None = _LONGEST) -> list[str]:
    """Return a list of texts."""
    if not isinstance(value, list):
        raise TypeError(f"{key} is {_shown(value)}; it takes a list of texts")
    return [text(element, key, longest) for element in value]


def whole(value: Any, key: str) -> int:
    """Return a whole number from 0 that a column of the index can hold."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise TypeError(f"{key} is {_shown(value)}; it takes a whole number from 0")
    return value


def _shown(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= _SHOWN else f"{said[:_SHOWN]}..."
