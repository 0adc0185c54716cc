"""The command ``python -m benchmarks.fuzz``: see the package."""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from benchmarks.fuzz import event_files, suite_files
from benchmarks.fuzz.cases import FINDING, Outcomes, run_cases
from benchmarks.fuzz.command_line import call, commands
from benchmarks.fuzz.run_folders import RunFolders

KINDS = ("suite", "run-folder", "events")


class Target(NamedTuple):
    """A kind of file: its cases, what reads one, what puts one where a command finds it, and what keeps one."""

    strategy: st.SearchStrategy[Any]
    read: Callable[[Any], None]
    placed: Callable[[Any], Any]
    keep: Callable[[Any, Path], None]


def target(kind: str, folder: Path) -> Target:
    """Return the kind of that name, at work in ``folder``."""
    if kind == "suite":
        return Target(
            suite_files.suite_files(),
            suite_files.suite_reader(folder),
            lambda case: suite_files.keep(case, folder),
            suite_files.keep,
        )
    if kind == "run-folder":
        folders = RunFolders(folder)
        return Target(folders.strategy(), folders.read, folders.put, folders.keep)
    return Target(
        event_files.raw_files(),
        event_files.event_reader(folder),
        lambda case: event_files.rewrite(case, folder / "raw"),
        event_files.write,
    )


def through_the_command_line(kind: str, chosen: Target, folder: Path, cases: int, start: int) -> Outcomes:
    """Run ``cases`` cases through commands, and return how they ended."""
    outcomes = Outcomes(f"{kind}, command line")
    turns = itertools.cycle(commands(kind, folder))
    environment = {"RMTL_BENCH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}

    def read(case: Any) -> None:
        chosen.placed(case)
        call(outcomes, next(turns), environment)

    # Each has a limit of its own.
    run_cases(kind, chosen.strategy, read, cases, start=start, seconds=0)
    return outcomes


def table(found: Sequence[Outcomes]) -> str:
    """Return a line an outcome of each kind, and the slowest case."""
    lines = [f"{'kind':<26}{'outcome':<44}{'cases':>8}", f"{'-' * 24:<26}{'-' * 42:<44}{'-' * 8}"]
    for outcomes in found:
        total = sum(count for name, count in outcomes.counts.items() if not name.startswith(FINDING))
        for name, count in sorted(outcomes.counts.items()):
            lines.append(f"{outcomes.kind:<26}{name:<44}{count:>8,}")
        spent = f"all; slowest {outcomes.slowest:.2f} s, mean {1000 * outcomes.seconds / max(total, 1):.0f} ms"
        lines.append(f"{outcomes.kind:<26}{spent:<44}{total:>8,}")
    return "\n".join(lines)


def main() -> int:
    """Run the kinds that are asked for; print the table and the findings."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description="Hostile input, case by case.")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(KINDS)}; all by default")
    parser.add_argument("--cases", type=int, default=10_000, help="cases of each kind (default: 10000)")
    parser.add_argument("--command-line", type=int, default=50, help="cases through the command line (default: 50)")
    parser.add_argument("--start", type=int, default=0, help="chooses the cases (default: 0)")
    parser.add_argument("--keep", type=Path, default=None, help="a folder for the cases that are findings")
    asked = parser.parse_args()
    if unknown := [kind for kind in asked.kinds if kind not in KINDS]:
        parser.error(f"unknown kind {unknown[0]!r}; known: {', '.join(KINDS)}")
    found = []
    for kind in asked.kinds or KINDS:
        with tempfile.TemporaryDirectory(prefix="rmtl-bench-fuzz-") as name:
            folder = Path(name)
            chosen = target(kind, folder)
            if asked.cases:
                found.append(
                    run_cases(kind, chosen.strategy, chosen.read, asked.cases, chosen.keep, asked.keep, asked.start)
                )
            if asked.command_line:
                found.append(through_the_command_line(kind, chosen, folder, asked.command_line, asked.start))
    print(table(found))
    findings = [text for outcomes in found for text in outcomes.findings]
    for text in findings:
        print(f"\n{text}", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
