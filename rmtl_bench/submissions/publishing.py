"""Writing a submission: verified first, then there whole or not at all."""

from __future__ import annotations

import contextlib
from pathlib import Path

from rmtl_bench.contracts.errors import DataError, UsageError
from rmtl_bench.plugins.registry import Registry
from rmtl_bench.store.disk import write_atomically
from rmtl_bench.submissions.against_suite import installed_suite
from rmtl_bench.submissions.checks import attribution_faults
from rmtl_bench.submissions.form import Submission, as_text
from rmtl_bench.submissions.verifying import verify_submission
from rmtl_bench.suites import Suite

LEADERBOARDS = Path("results/leaderboards")
"""Where submissions stand in the repository."""


def publish(
    submission: Submission,
    registry: Registry,
    output: Path = LEADERBOARDS,
    *,
    suite: Suite | None = None,
    replace: bool = False,
) -> Path:
    """Write a submission below ``output`` and return its file.

    ``suite``: its suite, which counts where no installed plugin ships one of that name and version. Raises
    :class:`UsageError` for a name, author, link or tag that cannot be, for a suite that is not at hand, for a name that
    is taken, unless ``replace``, and where nothing can be written; :class:`DataError`, naming the first fault, for a
    submission that is not a true one. Nothing is written then.
    """
    for key, fault in attribution_faults(submission):
        raise UsageError(f"--{key} {fault}")
    against = installed_suite(submission, registry) or suite
    if against is None:
        asked = f"{submission.suite.suite}@{submission.suite.version}"
        raise UsageError(f"suite {asked!r} is not installed; install the plugin that ships it, or give its .toml file")
    faults, _ = verify_submission(submission, registry, against)
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise DataError(f"{submission.suite.name} cannot be submitted: {faults[0].problem}{more}")
    folder = output / submission.folder
    path = folder / f"{submission.name}.json"
    _check_free(path, replace)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, as_text(submission.to_json()))
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise UsageError(f"--output {path} cannot be written: {error.strerror or error}") from error
    return path


def _check_free(path: Path, replace: bool) -> None:
    entries = path.parent.iterdir() if path.parent.is_dir() else ()
    # On some systems small and capital letters are one: the other file would be overwritten there.
    taken = [entry for entry in entries if entry.name.lower() == path.name.lower()]
    if taken and (taken != [path] or not replace):
        raise UsageError(f"{taken[0]} is there already; choose another --name, or replace it with --replace")
