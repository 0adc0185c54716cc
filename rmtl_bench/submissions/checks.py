"""What is wrong with a submission, told from its file alone; each fault with the key that it is about."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from rmtl_bench.contracts.cell import IDENTITY_FORMAT
from rmtl_bench.submissions.building import scored
from rmtl_bench.submissions.control import band_faults, controls
from rmtl_bench.submissions.form import TAGS, ScoredCell, Submission
from rmtl_bench.submissions.provenance import parts_of, provenance_faults
from rmtl_bench.suites import split_additions

Keyed = tuple[str, str]
"""A key of the file and what is wrong there."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{16}")
_LONGEST_BY = 200
_LONGEST_LINK = 300


def file_faults(submission: Submission) -> Iterator[Keyed]:
    """Yield everything that is wrong with a submission by what it says itself."""
    yield from attribution_faults(submission)
    yield from _suite_faults(submission)
    if submission.identity > IDENTITY_FORMAT:
        yield "identity", f"{submission.identity} is of a later rmtl-bench; this one makes {IDENTITY_FORMAT}"
    if (right := submission.computed_digest()) != submission.digest:
        yield "digest", f"{submission.digest:.64} is not that of the content, {right}"
    for place, cell in enumerate(submission.cells):
        key = f"cells[{place}]"
        yield from _run_faults(submission, cell, key)
        yield from _score_faults(submission, cell, key)
    yield from _cells_faults(submission.cells)
    yield from _provenance_faults(submission)
    if dict(submission.control) != (right_control := controls(submission.cells)):
        yield "control", f"{_said(submission.control)}; the scores say {_said(right_control)}"
    for place, cell in enumerate(submission.cells):
        yield from ((f"cells[{place}].scores", fault) for fault in band_faults(cell))


def file_notes(submission: Submission) -> Iterator[str]:
    """Yield what could not be checked."""
    if submission.identity < IDENTITY_FORMAT:
        yield f"run ids of format {submission.identity} cannot be made again, and were not"


def attribution_faults(submission: Submission) -> Iterator[Keyed]:
    """Yield what is wrong with the name, the author, the link and the tag."""
    if not _NAME.fullmatch(submission.name):
        right = "it takes up to 100 letters, digits, '.', '_' and '-', and begins with a letter or a digit"
        yield "name", f"{submission.name!r:.60}; {right}"
    if not submission.by.strip() or len(submission.by) > _LONGEST_BY or not submission.by.isprintable():
        yield "by", f"{submission.by!r:.60}; it takes who submits, in up to {_LONGEST_BY} characters that can be seen"
    if submission.link and not is_link(submission.link):
        yield "link", f"{submission.link!r:.60}; it takes an address that begins with https:// or http://"
    if submission.tag not in TAGS:
        yield "tag", f"{submission.tag!r:.60}; it takes one of {', '.join(TAGS)}"


def is_link(link: str) -> bool:
    """Return whether a text is an address of the web that can stand in a page as it is."""
    if len(link) > _LONGEST_LINK or not re.fullmatch(r"[A-Za-z0-9._~:/?#@!$&*+,;=%-]+", link):
        return False
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def _suite_faults(submission: Submission) -> Iterator[Keyed]:
    suite = submission.suite
    parts = suite.suite.split("+")
    named = split_additions(suite.suite).name == suite.suite and all(map(_NAME.fullmatch, parts))
    if not named or suite.version < 1:
        yield "suite", f"{suite.suite!r:.60} of version {suite.version} is no name of a suite with a version from 1"
    if not _DIGEST.fullmatch(suite.digest):
        yield "suite.digest", f"{suite.digest!r:.60}; it takes 16 hexadecimal digits"
    if submission.seeds < 1:
        yield "suite.seeds", f"{submission.seeds}; it takes a number from 1"
    for declared in ("reference", "scope", "delta_m", "headline", "equivalence", "comparisons"):
        if declared not in suite.statistics:
            yield "suite.statistics", f"no {declared!r}"
    labels = [cell.label for cell in submission.cells]
    yield from (("cells", f"{label} stands there twice") for label, count in Counter(labels).items() if count > 1)
    for label in sorted(set(submission.planned) - set(labels)):
        yield "cells", f"{label:.300} is planned and missing"
    for label in sorted(set(labels) - set(submission.planned)):
        yield "suite.planned", f"{label} is not among the planned cells"


def _run_faults(submission: Submission, cell: ScoredCell, key: str) -> Iterator[Keyed]:
    seeds = [run.seed for run in cell.runs]
    if twice := sorted(seed for seed, count in Counter(seeds).items() if count > 1):
        yield f"{key}.runs", f"{cell.label}: seed {_listed(twice)} stands there twice"
    expected = range(submission.seeds)
    if lacking := [seed for seed in expected[: len(seeds) + 10] if seed not in seeds]:
        yield f"{key}.runs", f"{cell.label}: seed {_listed(lacking)} is missing; the suite has {submission.seeds} seeds"
    if foreign := sorted({seed for seed in seeds if seed not in expected}):
        yield f"{key}.runs", f"{cell.label}: seed {_listed(foreign)} is none of the suite, which has {submission.seeds}"
    if submission.identity != IDENTITY_FORMAT:
        return
    for place, run in enumerate(cell.runs):
        if (right := cell.of_run(run).run_id) != run.run_id:
            yield f"{key}.runs[{place}].run_id", f"{run.run_id} is not that of its cell and seed, {right}"


def _score_faults(submission: Submission, cell: ScoredCell, key: str) -> Iterator[Keyed]:
    metrics = submission.suite.metrics
    if cell.cell.metrics != metrics:
        yield f"{key}.metrics", f"{_listed(cell.cell.metrics):.200}; the suite has {_listed(metrics):.200}"
    named = Counter((score.task, score.metric) for score in cell.scores)
    for (task, metric), count in named.items():
        if count > 1:
            yield f"{key}.scores", f"{task}, {metric} stands there twice"
    for task in dict.fromkeys(score.task for score in cell.scores):
        for metric in metrics:
            if (task, metric) not in named:
                yield f"{key}.scores", f"{task}: no {metric}, which the suite reports"
    if not cell.scores:
        yield f"{key}.scores", f"{cell.label} has no score"
    for place, score in enumerate(cell.scores):
        where = f"{key}.scores[{place}]"
        if 0 < sum(value is None for value in score.values) < len(score.values):
            yield f"{where}.values", f"{score.task}, {score.metric}: some seeds have no value; every seed needs one"
        right = scored(score.task, score.metric, score.higher_is_better, score.values)
        if score.n != right.n:
            yield f"{where}.n", f"{score.n}; there are {right.n} values"
        if (score.mean is None) != (right.mean is None) or not _equal(score.mean, right.mean):
            yield f"{where}.mean", f"{score.mean}; the mean of the values is {right.mean}"


def _equal(a: float | None, b: float | None) -> bool:
    return math.isclose(a or 0.0, b or 0.0, rel_tol=1e-9, abs_tol=1e-12)


def _cells_faults(cells: Iterable[ScoredCell]) -> Iterator[Keyed]:
    """Yield where cells contradict each other."""
    states: dict[str, str] = {}
    scores: dict[str, set[tuple[str, str]]] = {}
    directions: dict[str, bool] = {}
    for place, cell in enumerate(cells):
        key, dataset = f"cells[{place}]", cell.cell.dataset.label
        if (state := states.setdefault(dataset, cell.cell.fingerprint)) != cell.cell.fingerprint:
            yield f"{key}.fingerprint", f"{cell.cell.fingerprint}, and {state} before: two states of the data {dataset}"
        own = {(score.task, score.metric) for score in cell.scores}
        if (first := scores.setdefault(dataset, own)) != own:
            odd = ", ".join(f"{task} {metric}" for task, metric in sorted(first ^ own)[:3])
            yield f"{key}.scores", f"{cell.label} and an earlier cell of {dataset} have other scores: {odd}"
        for score in cell.scores:
            if directions.setdefault(score.metric, score.higher_is_better) != score.higher_is_better:
                yield f"{key}.scores", f"{score.metric} is better both when higher and when lower"


def _provenance_faults(submission: Submission) -> Iterator[Keyed]:
    used: set[str] = set()
    for place, cell in enumerate(submission.cells):
        used.update(part.distribution for part in parts_of(cell.cell))
        for environment in dict.fromkeys(run.environment for run in cell.runs):
            facts = submission.environments[environment]
            for fault in provenance_faults(cell.cell, facts, submission.plugins):
                yield f"environments[{environment}]", f"cells[{place}], {cell.label}: {fault}"
    for name in submission.plugins:
        if name not in used:
            yield f"plugins.{name}", "no cell came from it"


def _said(control: object) -> str:
    return str(control or "none")[:200]


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))[:200]
