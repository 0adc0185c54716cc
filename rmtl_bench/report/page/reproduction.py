"""How to make these numbers again: what the runs were made with, on which data, and the command of every cell."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rmtl_bench.report.commands import run_command
from rmtl_bench.report.page.contents import ReportContents
from rmtl_bench.report.page.failures import cell_pattern
from rmtl_bench.report.page.views import Cell, Heading, Row, Table

_LISTED = "distributions"
_TOLD_FIRST = ("python", "torch", "platform", "processor", "cores", "threads", "device", "git")
_UNTOLD = ("executable",)
MOST_ENVIRONMENTS = 12
"""The environments shown, those with the most runs."""


@dataclass(frozen=True)
class Environment:
    """What some runs were made with: facts and versions, by name."""

    runs: int
    facts: Mapping[str, str]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class CellCommand:
    """The command of one data set and method, and the ids of its runs by seed."""

    dataset: str
    method: str
    command: str
    runs: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Reproduction:
    """``command`` runs the whole suite; ``differences``: what the environments do not share, if anything."""

    command: str
    environments: tuple[Environment, ...]
    left_out: int
    differences: Table | None
    data: Table
    cells: tuple[CellCommand, ...]


def reproduction(contents: ReportContents) -> Reproduction:
    """Return how to make the runs of a report again."""
    plan, path = contents.suite.plan, contents.store.path
    texts = Counter(contents.environments.values())
    environments = tuple(_environment(text, runs) for text, runs in texts.most_common(MOST_ENVIRONMENTS))
    grouped: dict[tuple[str, str], list[tuple[int, str]]] = {}
    commands: dict[tuple[str, str], str] = {}
    for cell in plan.cells:
        key = (cell.dataset, f"{cell.backbone}/{cell.weighting}")
        grouped.setdefault(key, []).append((cell.seed, cell.run_id))
        if key not in commands:
            commands[key] = run_command(plan, path, only=cell_pattern(cell))
    return Reproduction(
        command=run_command(plan, path),
        environments=environments,
        left_out=len(texts) - len(environments),
        differences=_differences(environments) if len(environments) > 1 else None,
        data=_data(contents),
        cells=tuple(CellCommand(*key, commands[key], tuple(sorted(runs))) for key, runs in grouped.items()),
    )


def _environment(text: str, runs: int) -> Environment:
    try:
        content: Any = json.loads(text)
    except ValueError:
        content = None
    content = content if isinstance(content, dict) else {"environment": text}
    versions = content.pop(_LISTED, None)
    names = [*(name for name in _TOLD_FIRST if name in content), *(n for n in content if n not in _TOLD_FIRST)]
    facts = {name: str(content[name]) for name in names if name not in _UNTOLD and content[name] not in (None, "")}
    listed = {str(k): str(v) for k, v in versions.items()} if isinstance(versions, dict) else {}
    return Environment(runs, facts, listed)


def _differences(environments: tuple[Environment, ...]) -> Table:
    """Return a row a fact or version that is not the same in all environments."""
    all_of = [{**environment.facts, **environment.versions} for environment in environments]
    names = list(dict.fromkeys(name for each in all_of for name in each))
    rows = tuple(
        Row("", (Cell(name), *(Cell(each.get(name, "-")) for each in all_of)))
        for name in names
        if len({each.get(name) for each in all_of}) > 1
    )
    headings = (Heading("what"), *(Heading(f"environment {place}") for place in range(1, len(all_of) + 1)))
    return Table("what the environments do not share", headings, rows)


def _data(contents: ReportContents) -> Table:
    """Return the fingerprints of the data that the runs were made on, and the number of runs of each."""
    counts = Counter(
        (cell.dataset, contents.fingerprints[cell.run_id])
        for cell in contents.suite.plan.cells
        if contents.fingerprints.get(cell.run_id)
    )
    rows = tuple(
        Row("", (Cell(dataset), Cell(fingerprint), Cell(str(runs))))
        for (dataset, fingerprint), runs in sorted(counts.items())
    )
    headings = (Heading("data set"), Heading("fingerprint"), Heading("runs", "number"))
    return Table("the data the runs were made on", headings, rows)
