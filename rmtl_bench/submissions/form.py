"""A submission: the file ``<suite>@<version>/<name>.json``, and what it says.

It is JSON of one layout, so that a reviewer can read it in a pull request: a line a run, a line a score with the values
of all seeds. :func:`as_text` is the only way to write it, and a file that differs from it is refused: nothing can be
said twice, and nothing stands in it that nobody reads.

============  ==========================================================================================
format        :data:`SUBMISSION_FORMAT`
name          of the submission, and of its file
by, link      who submits it; more about it, an ``http`` or ``https`` address, or empty
tag           one of :data:`TAGS`
suite         which suite, with its digest, seeds and statistics; ``planned``: the cells of these methods
control       the metrics held against the known optimum, by data set; ``"none"`` where none is known
environments  where runs were made: git commit, versions, machine
plugins       one-file plugins of the runs, line by line, by the names of their files
cells         each with its parts and parameters, its ``runs`` by seed and its ``scores``
identity      the format of the run ids
digest        SHA-256 of all the rest
============  ==========================================================================================
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.cell import IDENTITY_FORMAT, Cell, canonical_json
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.reading import read_bytes, read_json
from rmtl_bench.store import PlannedCell, StoredPlan
from rmtl_bench.store.record_checks import in_a_line
from rmtl_bench.submissions.form_checks import check_form
from rmtl_bench.suites import split_additions

SUBMISSION_FORMAT = 1
"""The format of a submission's file, written into it."""

TAGS = ("self-reported", "reproduced")
"""Who made the runs: those whose method it is, or somebody else."""

LARGEST = 16 << 20
"""The most bytes that a submission may have."""

_WIDTH = 240
"""The most characters of a line that holds several things."""

_OF_SUITE = ("suite", "version", "digest", "sample", "title", "notes", "metrics", "statistics")


@dataclass(frozen=True)
class Replicate:
    """A run of a cell: its seed, its id, the place of its environment, and the run that it builds on, if any."""

    seed: int
    run_id: str
    environment: int
    source: str = ""


@dataclass(frozen=True)
class Score:
    """A metric of a task: its value for each run, in their order, with their mean and number.

    A metric that is not defined on the task has ``None`` for every run, no mean, and ``n`` 0.
    """

    task: str
    metric: str
    higher_is_better: bool
    values: tuple[float | None, ...]
    mean: float | None
    n: int


@dataclass(frozen=True)
class ScoredCell:
    """What all runs of a cell share, as the ``cell`` of seed 0 without a source; its runs; their scores."""

    cell: Cell
    runs: tuple[Replicate, ...]
    scores: tuple[Score, ...]

    @property
    def labels(self) -> tuple[str, str, str]:
        """Data set, backbone and weighting, as the suite calls them."""
        return self.cell.dataset.label, self.cell.backbone.label, self.cell.weighting.label

    @property
    def label(self) -> str:
        """``dataset/backbone/weighting``."""
        return "/".join(self.labels)

    @property
    def method(self) -> str:
        """``backbone/weighting``."""
        return "/".join(self.labels[1:])

    def of_run(self, run: Replicate) -> Cell:
        """Return the whole cell of one of the runs."""
        return replace(self.cell, seed=run.seed, source=run.source)


@dataclass(frozen=True)
class Submission:
    """What a file says, see the module; ``suite`` is a plan of the submitted runs alone."""

    name: str
    by: str
    link: str
    tag: str
    suite: StoredPlan
    seeds: int
    planned: tuple[str, ...]
    control: Mapping[str, tuple[str, ...]]
    environments: tuple[Mapping[str, Any], ...]
    plugins: Mapping[str, tuple[str, ...]]
    cells: tuple[ScoredCell, ...]
    identity: int = IDENTITY_FORMAT
    digest: str = ""

    @property
    def own_suite(self) -> str:
        """The name of the suite without what was added to it.

        With additions, ``smoke+my-method``, it has the cells of the suite and more, on the same data under the same
        trainer: it stands on the board of the suite.
        """
        return split_additions(self.suite.suite).suite

    @property
    def folder(self) -> str:
        """The folder of its leaderboard: ``suite@version``, with ``-sample`` behind it where it is one."""
        return f"{self.own_suite}@{self.suite.version}" + ("-sample" if self.suite.sample else "")

    @property
    def methods(self) -> tuple[str, ...]:
        """The submitted methods, in the order of the suite."""
        return tuple(dict.fromkeys(cell.method for cell in self.cells))

    @property
    def run_count(self) -> int:
        """The number of runs."""
        return sum(len(cell.runs) for cell in self.cells)

    def to_json(self) -> dict[str, Any]:
        """Return the submission as JSON-ready data."""
        suite = {key: value for key, value in asdict(self.suite).items() if key in _OF_SUITE}
        data = {
            "format": SUBMISSION_FORMAT,
            "name": self.name,
            "by": self.by,
            "link": self.link,
            "tag": self.tag,
            "suite": {**suite, "seeds": self.seeds, "planned": self.planned},
            "control": dict(self.control) or "none",
            "environments": self.environments,
            "plugins": dict(self.plugins),
            "cells": [_cell_json(cell) for cell in self.cells],
            "identity": self.identity,
            "digest": self.digest,
        }
        plain: dict[str, Any] = json.loads(json.dumps(data, allow_nan=False))
        return plain

    def computed_digest(self) -> str:
        """Return the SHA-256 of all but the digest, in hexadecimal digits."""
        data = self.to_json()
        del data["digest"]
        return hashlib.sha256(canonical_json(data).encode()).hexdigest()


def plan_of(suite: StoredPlan, cells: tuple[ScoredCell, ...]) -> StoredPlan:
    """Return the plan with these cells alone."""
    planned = [PlannedCell(run.run_id, *cell.labels, run.seed) for cell in cells for run in cell.runs]
    return replace(suite, cells=tuple(planned), skipped=())


def as_text(data: Mapping[str, Any]) -> str:
    """Return JSON whose parts stand in one line each where they fit into it; plain ASCII, ending with a newline."""
    return "\n".join(_lines(data, 0)) + "\n"


def read_submission(path: Path) -> Submission:
    """Return the submission in a file, which may be anybody's; whether what it says is true is not asked.

    Raises :class:`DataError` naming the file and the key: when it is no regular file of at most :data:`LARGEST` bytes,
    no JSON of finite numbers, of another format, lacks a key or has one too many, or is not laid out as
    :func:`as_text` does it.
    """
    try:
        data = read_json(path, LARGEST, links=False)
        found = data.get("format") if isinstance(data, dict) else None
        if found != SUBMISSION_FORMAT:
            raise ValueError(
                f"format is {found!r:.40}; this rmtl-bench reads submissions of format {SUBMISSION_FORMAT}"
            )
        check_form(data)
        submission = _from_json(data)
        _check_layout(read_bytes(path, LARGEST, links=False), submission)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DataError(f"{path} is no submission: {in_a_line(error)}") from error
    return submission


def _check_layout(content: bytes, submission: Submission) -> None:
    found = content.decode("utf-8").replace("\r\n", "\n").split("\n")
    right = as_text(submission.to_json()).split("\n")
    pairs = zip(found + [""] * (len(right) - len(found)), right + [""] * (len(found) - len(right)), strict=True)
    for number, (line, wanted) in enumerate(pairs, 1):
        if line != wanted:
            raise ValueError(f"line {number} is not as rmtl-bench submit writes it: {line.strip()!r:.60}")


def _lines(value: Any, indent: int, key: str = "", end: str = "") -> list[str]:
    head = " " * indent + (f"{json.dumps(key)}: " if key else "")
    flat = json.dumps(value, allow_nan=False)
    if not isinstance(value, (dict, list)) or not value or _is_a_line(value, indent, len(head) + len(flat)):
        return [f"{head}{flat}{end}"]
    named = list(value.items()) if isinstance(value, dict) else [("", element) for element in value]
    brackets = "{}" if isinstance(value, dict) else "[]"
    inner = [
        line
        for place, (name, element) in enumerate(named, 1)
        for line in _lines(element, indent + 1, name, "," if place < len(named) else "")
    ]
    return [head + brackets[0], *inner, " " * indent + brackets[1] + end]


def _is_a_line(value: dict[str, Any] | list[Any], indent: int, length: int) -> bool:
    """Return whether a value stands in one line: the numbers of a score always, a list of runs or scores never."""
    if isinstance(value, list):
        if any(isinstance(element, dict) for element in value):
            return False
        if not any(isinstance(element, (str, list)) for element in value):
            return True
    return indent > 0 and length < _WIDTH


def _cell_json(cell: ScoredCell) -> dict[str, Any]:
    shared = {key: value for key, value in cell.cell.to_json().items() if key not in ("seed", "source")}
    return {**shared, "runs": [asdict(run) for run in cell.runs], "scores": [asdict(score) for score in cell.scores]}


def _from_json(data: Mapping[str, Any]) -> Submission:
    cells = tuple(_scored_cell(cell) for cell in data["cells"])
    suite = data["suite"]
    lists: dict[str, Any] = {key: tuple(suite[key]) for key in ("notes", "metrics")}
    plan = StoredPlan(cells=(), **{**{key: suite[key] for key in _OF_SUITE}, **lists})
    control = {} if data["control"] == "none" else data["control"]
    return Submission(
        **{key: data[key] for key in ("name", "by", "link", "tag", "identity", "digest")},
        suite=plan_of(plan, cells),
        seeds=suite["seeds"],
        planned=tuple(suite["planned"]),
        control={dataset: tuple(metrics) for dataset, metrics in control.items()},
        environments=tuple(data["environments"]),
        plugins={name: tuple(lines) for name, lines in data["plugins"].items()},
        cells=cells,
    )


def _scored_cell(data: Mapping[str, Any]) -> ScoredCell:
    scores = tuple(Score(**{**score, "values": tuple(score["values"])}) for score in data["scores"])
    return ScoredCell(Cell.from_json({**data, "seed": 0}), tuple(Replicate(**run) for run in data["runs"]), scores)
