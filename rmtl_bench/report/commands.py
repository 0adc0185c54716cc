"""Commands to type next, as a shell takes them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from rmtl_bench.contracts.wording import printable
from rmtl_bench.store import StoredPlan


def run_command(
    plan: StoredPlan, store: Path | str, *, only: str = "", retry: str = "", plugin_files: Sequence[str] = ()
) -> str:
    """Return the command that runs a suite in a store, or what ``only`` names of it; ``retry``: statuses, by commas.

    The suite is named by its name and version; who ran it from a file has to name the file instead.
    """
    words = ["run", "--suite", f"{plan.suite}@{plan.version}"]
    words += ["--sample"] if plan.sample else []
    words += ["--only", only] if only else []
    words += ["--retry", retry] if retry else []
    for file in plugin_files:
        words += ["--plugin", file]
    return _command(words, store)


def show_command(run: str, store: Path | str) -> str:
    """Return the command that shows a run."""
    return _command(["show", run], store)


def _command(words: Sequence[str], store: Path | str) -> str:
    return printable(shlex.join(["rmtl-bench", *words, "--store", str(store)]))
