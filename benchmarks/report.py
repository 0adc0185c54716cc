"""Runs the benchmarks and writes what they have found into one page of ratios and shares.

``python -m benchmarks.report [--groups training step ...] [--threads N] [--folder FOLDER] [--output FILE]``

Every group is a run of pytest; its figures stay in the folder as JSON, and a group whose figures are there already is
not run again, so that an interrupted report goes on where it stopped. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.figures import LEAST, MOST, RATE, RELATIVE, shown

ROOT = Path(__file__).parents[1]
GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "training": ("Training epochs beside a bare loop and beside their matrix products", ("training_rate",)),
    "step": ("Steps by backbone and by weighting", ("training_step",)),
    "precision": ("Precision", ("precision",)),
    "weightings": ("Steps by weighting, a million embeddings", ("weighting_cost",)),
    "stages": ("Stages", ("stages", "critics")),
    "seeds": ("Seeds side by side", ("seeds_side_by_side",)),
    "evaluation": ("Evaluation", ("evaluation",)),
    "metrics": ("Metrics", ("metrics",)),
    "preparation": ("Preparation", ("preparation",)),
    "start-up": ("Start-up, and what a run costs beside its training", ("command_line", "harness_overhead")),
    "results": ("Plans, stores, statistics and reports", ("plan", "store", "statistics", "leaderboard")),
}
"""Title and the modules ``benchmarks/test_*.py`` of every group."""

Run = Callable[[Sequence[str]], str]


def run_command(command: Sequence[str]) -> str:
    """Run a command in the repository's root, show its output as it comes, and return it."""
    lines = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
    return "".join(lines)


def modules_of(group: str) -> list[str]:
    """Return the modules of a group that exist, as paths below the root."""
    paths = [f"benchmarks/test_{name}.py" for name in GROUPS[group][1]]
    return [path for path in paths if (ROOT / path).exists()]


def group_command(group: str, threads: int) -> str:
    """Return the command that a reader types to make a group's figures again."""
    return f"python -m pytest {' '.join(modules_of(group))} --benchmark-only -s --threads {threads}"


def measure_group(group: str, threads: int, folder: Path, run: Run = run_command) -> None:
    """Run a group's benchmarks; leave ``<group>.json`` and ``<group>.txt``, what pytest said, in the folder."""
    figures, said = folder / f"{group}.json", folder / f"{group}.txt"
    if figures.exists() or not modules_of(group):
        return
    unfinished = figures.with_suffix(".unfinished")
    command = [sys.executable, *group_command(group, threads).split()[1:], f"--benchmark-json={unfinished}"]
    said.write_text(run(command))
    if unfinished.exists():
        unfinished.replace(figures)


def measure_limits(device: str, threads: int, folder: Path, run: Run = run_command) -> None:
    """Measure the limits of a device; leave ``limits-<device>.json`` in the folder."""
    path = folder / f"limits-{device}.json"
    if not path.exists():
        command = ["-m", "benchmarks.limits", "--device", device, "--threads", str(threads), "--json", str(path)]
        run([sys.executable, *command])


def page(folder: Path, groups: Sequence[str], threads: int, command: str) -> str:
    """Return the page over what is in the folder, which ``command`` has measured with so many threads."""
    limits = [json.loads(path.read_text()) for path in sorted(folder.glob("limits-*.json"))]
    parts = [
        "# Benchmarks",
        f"Written by `{command}` on a machine that did nothing else. Figures of a CPU are ratios within one run, and "
        "shares: what a part takes of the whole, or what a limit of the machine leaves of it. A time that stands alone "
        "is a multiple of the shortest of its table.",
        *_machine(limits),
    ]
    for group in groups:
        parts += _group_section(group, threads, folder)
    return "\n\n".join([*parts, *_not_measured(folder, groups, limits)]) + "\n"


def _machine(limits: Iterable[Mapping[str, Any]]) -> list[str]:
    facts = [
        ("processor", ", ".join(dict.fromkeys(found["limits"]["processor"] for found in limits)) or platform.machine()),
        ("cores", len(os.sched_getaffinity(0))),
        ("threads", ", ".join(f"{found['limits']['threads']} ({found['limits']['device']})" for found in limits)),
        ("Python", platform.python_version()),
        *((name, version(name)) for name in ("torch", "numpy", "rmtl-bench")),
    ]
    parts = ["## The machine", tabulate(facts, tablefmt="github", headers=("", ""), disable_numparse=True)]
    for found in limits:
        device, threads = found["limits"]["device"], found["limits"]["threads"]
        parts += [
            f"### Limits, {device}",
            f"`python -m benchmarks.limits --device {device} --threads {threads}`",
            tabulate(found["rows"], tablefmt="github", headers=("limit", "measured", "share"), disable_numparse=True),
        ]
    return parts


def _group_section(group: str, threads: int, folder: Path) -> list[str]:
    path = folder / f"{group}.json"
    if not path.exists():
        return []
    parts = [f"## {GROUPS[group][0]}", f"`{group_command(group, threads)}`"]
    tables: dict[str, list[dict[str, Any]]] = {}
    for benchmark in json.loads(path.read_text())["benchmarks"]:
        tables.setdefault(benchmark["group"] or benchmark["name"], []).append(benchmark)
    for title, benchmarks in tables.items():
        parts += [f"### {title[:1].upper()}{title[1:]}", benchmark_table(benchmarks)]
    return parts


def benchmark_table(benchmarks: Sequence[Mapping[str, Any]]) -> str:
    """Return one table: ratios and shares, and for those without any, all times as multiples of the shortest."""
    named = [(_name(benchmark), benchmark["extra_info"], benchmark["stats"]["median"]) for benchmark in benchmarks]
    on_gpu = any((benchmark.get("params") or {}).get("device") == "cuda" for benchmark in benchmarks)
    keys = [key for key in dict.fromkeys(key for _, info, _ in named for key in info) if _is_shown(key, on_gpu)]
    rows = [[name, *(_cell(key, info) for key in keys)] for name, info, _ in named]
    if not all(any(row[1:]) for row in rows):
        keys.append("time")
        least = min(seconds for *_, seconds in named)
        for row, (*_, seconds) in zip(rows, named, strict=True):
            row.append(f"{seconds / least:.2f}" if len(rows) > 1 else f"{seconds:.2g} s")
    return str(tabulate(rows, tablefmt="github", headers=["", *keys], disable_numparse=True))


def _name(benchmark: Mapping[str, Any]) -> str:
    """Return what tells a benchmark from the others: its parameters, or its words."""
    words = benchmark["name"].partition("[")[0].removeprefix("test_").replace("_", " ")
    return f"{words}: {benchmark['param']}" if benchmark.get("param") else words


def _is_shown(key: str, on_gpu: bool) -> bool:
    return not key.startswith((LEAST, MOST)) and (key.startswith(RELATIVE) or (on_gpu and RATE in key))


def _cell(key: str, info: Mapping[str, Any]) -> str:
    if key not in info:
        return ""
    value, text = info[key], shown(key, info[key])
    for word, is_kept in ((LEAST, float.__ge__), (MOST, float.__le__)):
        bound = info.get(f"{word} {key}")
        if bound is not None:
            kept = is_kept(float(value), float(bound))
            text += f" ({'promised' if kept else '**missed**:'} {word} {bound:g})"
    return text


def _not_measured(folder: Path, groups: Sequence[str], limits: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    if not any(found["limits"]["device"] == "cuda" for found in limits):
        lines.append("Anything on a GPU: this machine has none. The same commands measure it where there is one.")
    left_out = [name for name in GROUPS if not (folder / f"{name}.json").exists()]
    if left_out:
        lines.append(f"Groups: {', '.join(left_out)}.")
    for group in groups:
        said = folder / f"{group}.txt"
        lines += [f"`{line}`" for line in _troubles(said.read_text())] if said.exists() else []
    return ["## Not measured, and not as promised", "\n".join(f"- {line}" for line in lines)] if lines else []


def _troubles(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for and not there yet, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__.splitlines()[0])
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS), help="default: all")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: one a core")
    parser.add_argument("--folder", type=Path, help="where figures are kept; default: a new one")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "REPORT.md")
    given = parser.parse_args(arguments)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="benchmarks-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    for device in _devices():
        measure_limits(device, given.threads, folder)
    for group in given.groups:
        measure_group(group, given.threads, folder)
    chosen = "" if given.groups == list(GROUPS) else f" --groups {' '.join(given.groups)}"
    command = f"python -m benchmarks.report{chosen} --threads {given.threads}"
    given.output.write_text(page(folder, given.groups, given.threads, command))
    print(f"\n{given.output}; figures in {folder}")


def _devices() -> list[str]:
    import torch

    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


if __name__ == "__main__":
    main()
