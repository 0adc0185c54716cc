"""Some cases through the real command line: a documented exit code, one line that says what is wrong, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.fuzz import SECONDS
from benchmarks.fuzz.cases import Outcomes

CODES = (0, 1, 2, 3, 4, 5)
"""The exit codes that are documented, Ctrl-C left out."""


def call(outcomes: Outcomes, words: Sequence[str], environment: dict[str, str]) -> None:
    """Run ``rmtl-bench`` once and note how it ended."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "rmtl_bench.cli.main", *words]
    try:
        done = subprocess.run(
            command, capture_output=True, env=os.environ | environment, timeout=10 * SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        outcomes.found("hang", " ".join(words))
        return
    said = done.stderr.decode("utf-8", "replace")
    outcomes.note(f"exit code {done.returncode}", time.perf_counter() - started)
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    for fault, wrong in (
        ("exit code", done.returncode not in CODES),
        ("traceback", "Traceback (most recent call last)" in said),
        ("unforeseen error", "error: unforeseen" in said),
        ("no line that says what is wrong", words[0] != "db" and done.returncode > 1 and len(errors) != 1),
        ("escape sequences", "\x1b" in said or b"\x1b" in done.stdout),
    ):
        if wrong:
            outcomes.found(fault, f"{' '.join(words)}: exit code {done.returncode}\n{said[-2_000:]}")


def commands(kind: str, folder: Path) -> Iterable[Sequence[str]]:
    """Return the commands that read what lies in ``folder``, in turns: the first case gets the first of them."""
    if kind == "suite":
        file = str(folder / "suite.toml")
        return (
            ("run", "--suite", file, "--dry-run", "--store", str(folder / "none")),
            ("info", "suite", file),
        )
    if kind == "run-folder":
        store = ("--store", str(folder / "store"))
        return (
            ("status", *store),
            ("leaderboard", "--suite", "toy", *store),
            ("db", "check", *store),
            ("export", "--suite", "toy", "--output", "-", *store),
            ("report", "--suite", "toy", "--output", str(folder / "report.html"), *store),
        )
    return (("data", "prepare", "retailrocket", "--data-dir", str(folder / "raw")),)
