"""Whether a submission is true as far as its file can say: everything in it that can be recomputed is recomputed.

What cannot be told from a file is whether the runs were made: that takes somebody who makes them again, and a
submission tagged ``reproduced``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from rmtl_bench.contracts.errors import DataError, RmtlBenchError, UsageError
from rmtl_bench.plugins.registry import Registry
from rmtl_bench.submissions.against_suite import installed_suite, plan_faults, plan_here, suite_faults
from rmtl_bench.submissions.board import board_of
from rmtl_bench.submissions.checks import file_faults, file_notes
from rmtl_bench.submissions.form import Submission, read_submission
from rmtl_bench.suites import Suite

MOST_FILES = 10_000
"""The most files below a folder of submissions."""

_BESIDE = ("README.md",)


@dataclass(frozen=True)
class Fault:
    """Something wrong with a submission: the ``key`` in its file, empty for the whole of it, and the ``problem``."""

    key: str
    problem: str

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}" if self.key else self.problem


@dataclass(frozen=True)
class Verified:
    """A file that was verified: what it says, unless it cannot be read, its faults, and what could not be checked."""

    path: Path
    submission: Submission | None = None
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = field(default=())


def verify_submission(
    submission: Submission, registry: Registry, suite: Suite | None = None
) -> tuple[list[Fault], list[str]]:
    """Return the faults of a submission and what could not be checked, one line each.

    ``suite``: its suite, where that is at hand; else the one that an installed plugin ships, if any.
    """
    faults = [Fault(*found) for found in file_faults(submission)]
    faults += [] if faults else _board_faults(submission)
    notes = list(file_notes(submission))
    suite = suite or installed_suite(submission, registry)
    if suite is not None and suite.name != submission.suite.suite:
        notes.append(f"what was added to {suite.title_line} is not installed: its parameters are as the file says")
    if suite is None:
        return faults, [*notes, f"{submission.suite.name} is not installed: its cells are as the file says"]
    against = [Fault(*found) for found in suite_faults(submission, suite)]
    if any(fault.key == "suite.digest" for fault in against):
        # Of another file, every cell would differ.
        return faults + against, notes
    try:
        plan = plan_here(submission, suite, registry)
    except RmtlBenchError as error:
        reason = str(error).partition("\n")[0]
        return faults + against, [*notes, f"parameters were not compared with {suite.title_line}: {reason}"]
    return faults + against + [Fault(*found) for found in plan_faults(submission, plan, registry)], notes


def _board_faults(submission: Submission) -> list[Fault]:
    """Return what keeps a leaderboard from being made of a submission."""
    try:
        board_of(submission)
    except RmtlBenchError as error:
        return [Fault("suite.statistics", str(error))]
    return []


def verify_file(path: Path, registry: Registry, *, in_folder: bool = False) -> Verified:
    """Verify a file; with ``in_folder``, it has to stand in the folder of its suite, too."""
    try:
        submission = read_submission(path)
    except DataError as error:
        return Verified(path, faults=(Fault("", str(error).removeprefix(f"{path} ")),))
    faults, notes = verify_submission(submission, registry)
    if path.name != f"{submission.name}.json":
        faults.append(Fault("name", f"{submission.name!r} is not the name of the file"))
    if in_folder and path.absolute().parent.name != submission.folder:
        wanted = f"submissions to {submission.suite.name} stand in {submission.folder}"
        faults.append(Fault("suite", f"the file stands in {path.absolute().parent.name}; {wanted}"))
    return Verified(path, submission, tuple(faults), tuple(notes))


def verify_folder(folder: Path, registry: Registry) -> list[Verified]:
    """Verify all files below a folder, in order of their paths, also against each other.

    Nothing but submissions and a ``README.md`` may stand there. Raises :class:`UsageError` for a folder that cannot be
    read, has no submission, or has more than :data:`MOST_FILES` files.
    """
    verified = [_verify_entry(path, registry) for path in _files(folder)]
    if not verified:
        raise UsageError(f"there is no submission below {folder}")
    return [replace(one, faults=(*one.faults, *_apart(one, verified))) for one in verified]


def _verify_entry(path: Path, registry: Registry) -> Verified:
    if path.suffix != ".json":
        return Verified(path, faults=(Fault("", "is no submission; nothing else may stand among them"),))
    return verify_file(path, registry, in_folder=True)


def _files(folder: Path) -> list[Path]:
    def fail(error: OSError) -> None:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}") from error

    found: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=fail):
        # A link to a folder is not followed: it is a file that is no submission.
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        found += [Path(parent) / name for name in (*names, *links) if name not in _BESIDE]
        if len(found) > MOST_FILES:
            raise UsageError(f"there are more than {MOST_FILES:,} files below {folder}")
    return sorted(found)


def _declared(submission: Submission) -> tuple[object, ...]:
    """Return what is the same with and without additions to the suite."""
    suite = submission.suite
    return suite.title, suite.metrics, suite.statistics, submission.seeds


def _apart(one: Verified, verified: Iterable[Verified]) -> Iterator[Fault]:
    """Yield what is wrong with a submission beside those that were read before it."""
    if one.submission is None:
        return
    mine = one.submission
    for other in verified:
        if other is one:
            return
        theirs = other.submission
        if theirs is None or theirs.folder != mine.folder:
            continue
        if theirs.suite.digest != mine.suite.digest:
            said = f"{mine.suite.digest}; {other.path.name} was made by a suite file of {theirs.suite.digest}"
            yield Fault("suite.digest", said)
        elif _declared(theirs) != _declared(mine):
            yield Fault("suite", f"{other.path.name} says something else of the same suite file")
        if theirs.name.lower() == mine.name.lower():
            yield Fault("name", f"{mine.name!r} is taken by {other.path}, small and capital letters alike")
