"""The page of leaderboards: what was submitted, suite by suite, as Markdown.

A table is of one suite version, full or sample, and of one state of the data. What is compared was run side by side:
ranks, differences and verdicts are those of a submission's own methods, paired by seed. Submissions stand in one table
in the order of their means, which says nothing about two of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.wording import printable
from rmtl_bench.plugins.registry import Registry
from rmtl_bench.report import footnotes
from rmtl_bench.report.document import DASH, against, p_value, spread, verdict_text
from rmtl_bench.report.formats import escape_markdown
from rmtl_bench.report.layout import direction
from rmtl_bench.statistics import CELL
from rmtl_bench.submissions.board import Board, board_of
from rmtl_bench.submissions.form import Submission
from rmtl_bench.submissions.verifying import Verified, verify_folder

_INTRODUCTION = (
    "Every row comes from a submission below `results/leaderboards/`, which `rmtl-bench verify` has checked: complete "
    "seeds, run ids, means, provenance, the band between base rate and optimum where that is known."
)
_ORDER = (
    "rank, difference, p and verdict are within a submission, among its own methods on the same seeds; p is adjusted "
    "over these. Rows stand in the order of their means, which says nothing within a rank nor between submissions."
)
_SHORT = 12


def page(folder: Path, registry: Registry | None = None) -> str:
    """Return the page of all submissions below a folder; the text ends with a newline.

    ``registry``: of the plugins whose suites the submissions are held against; none are, if left out. Raises
    :class:`UsageError` for a folder without a submission, and :class:`DataError` naming the first that has a fault.
    """
    verified = verify_folder(folder, registry or Registry())
    for one in verified:
        if one.faults:
            raise DataError(f"{one.path}: {one.faults[0]}; rmtl-bench verify {folder} shows all")
    boards: dict[str, list[Board]] = {}
    for submission in _by_suite(verified):
        boards.setdefault(submission.folder, []).append(board_of(submission))
    parts = ["# Leaderboards", _INTRODUCTION]
    for name, entries in boards.items():
        parts += _suite_parts(name, entries)
    return "\n\n".join(parts) + "\n"


def _by_suite(verified: Iterable[Verified]) -> list[Submission]:
    submissions = [one.submission for one in verified if one.submission is not None]
    # The latest version of a suite first, its sample behind it.
    return sorted(submissions, key=lambda s: (s.own_suite, -s.suite.version, s.suite.sample, s.name))


def _suite_parts(name: str, entries: Sequence[Board]) -> list[str]:
    first = entries[0]
    parts = [f"## {_text(name)}", *(_text(title) for title in [first.submission.suite.title] if title)]
    shared = [note for note in first.submission.suite.notes if all(note in e.submission.suite.notes for e in entries)]
    parts += [f"> {_text(note)}" for note in shared]
    parts.append(_table(["submission", "by", "tag", "runs", "methods", "made with", "control"], map(_about, entries)))
    own = [(e.submission.name, n) for e in entries for n in e.submission.suite.notes if n not in shared]
    parts += ["\n".join(f"- {_text(name)}: {_text(note)}" for name, note in own)] if own else []
    states = {(dataset, state) for entry in entries for dataset, state in entry.fingerprints.items()}
    several = {dataset for dataset, _ in states if sum(other == dataset for other, _ in states) > 1}
    for dataset, state in sorted(states):
        apart = f", state {state} of the data" if dataset in several else ""
        parts += _dataset_parts(dataset, apart, [e for e in entries if e.fingerprints.get(dataset) == state])
    settings = first.leaderboard.settings
    shown = first.shown or list(settings.equivalence)
    notes = [
        _ORDER,
        footnotes.difference(settings.confidence, settings.protocol),
        footnotes.RANK,
        footnotes.verdicts({m: r for m, r in settings.equivalence.items() if m in shown}, settings.protocol),
        footnotes.ROBUST,
    ]
    return [*parts, "\n".join(f"- {_text(note)}" for note in notes)]


def _about(entry: Board) -> tuple[str, ...]:
    submission = entry.submission
    named = f"[{_text(submission.name)}]({submission.link})" if submission.link else _text(submission.name)
    control = "; ".join(f"{_text(d)}: {_text(', '.join(m))}" for d, m in submission.control.items()) or "none"
    counted = f"{submission.run_count}, {submission.seeds} seeds"
    methods = str(len(submission.methods))
    return named, _text(submission.by), _text(submission.tag), counted, methods, _versions(submission), control


def _versions(submission: Submission) -> str:
    """Return what the runs were made with: distributions with their versions, commits."""
    packages: dict[str, set[str]] = {}
    for environment in submission.environments:
        for name, version in environment["distributions"].items():
            packages.setdefault(name, set()).add(version)
    commits = dict.fromkeys(str(e["git"])[:_SHORT] for e in submission.environments if e.get("git"))
    said = [f"{_text(name)} {_text(', '.join(sorted(versions)))}" for name, versions in sorted(packages.items())]
    said += [f"the file {_text(name)}" for name in submission.plugins]
    return ", ".join([*said, *(f"commit {_text(commit)}" for commit in commits)])


def _dataset_parts(dataset: str, apart: str, entries: Sequence[Board]) -> Iterable[str]:
    """Yield a heading and a table for each task and shown metric of a data set."""
    frames = []
    for entry in entries:
        rows = entry.leaderboard.rows[entry.leaderboard.rows["dataset"] == dataset]
        shown = rows if entry.shown is None else rows[rows["metric"].isin(entry.shown)]
        frames.append(shown.assign(submission=entry.submission.name))
    table = pd.concat(frames, ignore_index=True)
    higher = {metric: up for e in entries for metric, up in e.leaderboard.settings.higher_is_better.items()}
    for (_, task, metric), cell in table.groupby(CELL, sort=False):
        ordered = cell.sort_values("mean", ascending=not higher[metric], kind="stable")
        records = [{str(key): value for key, value in row.items()} for row in ordered.to_dict("records")]
        yield f"### {_text(dataset)}{_text(apart)} · {_text(task)} · {_text(direction(metric, higher))}"
        yield _table(_COLUMNS, map(_row, records))


_COLUMNS = ("rank", "method", "mean", "n/N", "difference", "p", "verdict", "against", "submission")


def _row(r: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        DASH if pd.isna(r["rank"]) else str(r["rank"]),
        _text(r["method"]),
        spread(r["mean"], r["low"], r["high"]),
        f"{r['n']}/{r['expected']}",
        spread(r["difference"], r["difference_low"], r["difference_high"], signed=True),
        p_value(r["p_holm"]),
        verdict_text(r),
        _text(against(r["method"], r["reference"])),
        _text(r["submission"]),
    )


def _table(columns: Sequence[str], rows: Iterable[tuple[str, ...]]) -> str:
    return str(tabulate(list(rows), headers=columns, tablefmt="github", disable_numparse=True))


def _text(text: str) -> str:
    """Return a text of anybody as Markdown that shows it as it is."""
    # A substitution or a role of MyST, and a dollar of its mathematics, are what they are to the reader, too.
    return re.sub(r"([{}$!])", r"\\\1", escape_markdown(printable(text)))
