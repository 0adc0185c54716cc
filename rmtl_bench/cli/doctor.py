"""``rmtl-bench doctor``: what is installed here, what is broken, and what to type."""

from __future__ import annotations

import platform
import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click

from rmtl_bench.cli.catalogue import print_json
from rmtl_bench.cli.options import debug_option, json_option, output_width, print_foreign, store_option
from rmtl_bench.contracts.version import __version__
from rmtl_bench.contracts.wording import printable
from rmtl_bench.installation import STATES, Finding, examine

_MARGIN = 9


@click.command("doctor")
@store_option
@json_option
@debug_option
def command(store_path: Path, as_json: bool) -> int:
    """Say what is installed, what is broken or missing, and what to type.

    Python and torch, plugins, data, the cache and the store are examined. Nothing is written. A line begins with ok,
    note (something could be added), warning (commands work, some not as wished) or problem. The exit code is 0 where
    there is no problem, else the highest code that the problems' commands would end with.
    """
    parts = examine(store_path)
    findings = [finding for found in parts.values() for finding in found]
    code = max((finding.code for finding in findings), default=0)
    if as_json:
        shown = {part: [asdict(finding) for finding in found] for part, found in parts.items()}
        print_json({"version": __version__, "python": platform.python_version(), "exit_code": code, "findings": shown})
        return code
    _print(findings)
    counts = Counter(finding.state for finding in findings)
    click.echo(", ".join(f"{counts[state]} {state}{'s' if counts[state] != 1 else ''}" for state in STATES[1:]))
    return code


def _print(findings: Iterable[Finding]) -> None:
    width = max(output_width(), 40)
    for finding in findings:
        said = printable(f"{finding.subject}: {finding.said}").replace("\n", " ")
        lines = textwrap.wrap(said, width - _MARGIN, break_long_words=False, break_on_hyphens=False)
        if finding.remedy:
            lines.append(printable(f"  type: {finding.remedy}"))
        print_foreign(f"{finding.state:<{_MARGIN}}{lines[0]}")
        for line in lines[1:]:
            print_foreign(" " * _MARGIN + line)
