"""``rmtl-bench check NAME``: whether a plugin keeps to its contract, without pytest."""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rmtl_bench.cli.catalogue import kind_named, print_json
from rmtl_bench.cli.completion import kinds, offers
from rmtl_bench.cli.data_options import data_dir_option, parse_settings, set_option
from rmtl_bench.cli.options import debug_option, json_option, output_width, plugin_option
from rmtl_bench.contracts.errors import PluginError, UsageError, did_you_mean
from rmtl_bench.contracts.wording import printable

if TYPE_CHECKING:
    from rmtl_bench.testing.checks import Finding
    from rmtl_bench.testing.subjects import Subject

_INDENT = 12 * " "
_MARKS = {"ok": "ok", "broken": "BROKEN", "not applicable": "-", "left out": "left out"}


@click.command("check")
@click.argument("name", shell_complete=offers("backbone", "weighting", "dataset", "metric", "executor"))
@click.option("--kind", default="", metavar="KIND", shell_complete=kinds, help="Only what NAME offers of this kind.")
@click.option("--only", multiple=True, metavar="CHECK", help="Run this check alone (repeatable).")
@click.option("--without", multiple=True, metavar="CHECK", help="Leave this check out (repeatable).")
@set_option
@data_dir_option
@json_option
@click.option("--traceback", "show_traceback", is_flag=True, help="Show the tracebacks of what plugins raised.")
@plugin_option
@debug_option
def command(
    name: str,
    kind: str,
    only: tuple[str, ...],
    without: tuple[str, ...],
    settings: tuple[str, ...],
    data_dir: Path | None,
    as_json: bool,
    show_traceback: bool,
    plugin_files: tuple[Path, ...],
) -> None:
    """Check that a plugin keeps to its contract.

    NAME is a backbone, weighting, dataset, metric or executor, or a plugin or distribution: then all that it offers.
    Each check that fails says what to change. Exit code 3 if one does. `pytest` runs the same checks: see
    rmtl_bench.testing.
    """
    from rmtl_bench.data.preparation import default_data_dir
    from rmtl_bench.plugins import load_plugins
    from rmtl_bench.testing.subjects import find_subjects

    wanted = kind_named(kind) if kind else ""
    if wanted == "suite":
        raise UsageError("a suite is checked by `rmtl-bench suites check`")
    raw_files = data_dir or default_data_dir()
    subjects = find_subjects(load_plugins(plugin_files), name, wanted, parse_settings(settings), raw_files)
    _refuse_unknown_checks(subjects, (*only, *without))
    show = None if as_json else partial(_show, show_traceback)
    found = [(subject, _check(subject, only, without, show)) for subject in subjects]
    if as_json:
        print_json([_json(subject, findings) for subject, findings in found])
    count = sum(finding.state == "broken" for _, findings in found for finding in findings)
    if count:
        broken = [subject.label for subject, findings in found if any(f.state == "broken" for f in findings)]
        checks = "1 check fails" if count == 1 else f"{count} checks fail"
        raise PluginError(f"{checks}: {', '.join(broken)}")


def _refuse_unknown_checks(subjects: Sequence[Subject], names: Sequence[str]) -> None:
    """Raise ``UsageError`` for a name that is a check of none of the kinds that are checked."""
    from rmtl_bench.testing.checks import checks_of

    known = {check.name for subject in subjects for check in checks_of(subject.kind)}
    kinds = " or ".join(dict.fromkeys(subject.kind for subject in subjects))
    for name in names:
        if name not in known:
            raise UsageError(f"there is no check {name!r} of a {kinds}" + did_you_mean(name, known))


def _check(
    subject: Subject, only: Sequence[str], without: Sequence[str], show: Callable[[Finding], None] | None
) -> list[Finding]:
    from rmtl_bench.testing.checks import checks_of, run_checks

    own = {check.name for check in checks_of(subject.kind)}
    wanted, left_out = ([name for name in names if name in own] for names in (only, without))
    findings: list[Finding] = []
    if only and not wanted:
        return findings
    started = time.perf_counter()
    if show:
        click.echo(printable(f"{subject.label} of {subject.entry.origin}"))
    for finding in run_checks(subject, left_out, wanted):
        findings.append(finding)
        if show:
            show(finding)
    if show:
        click.echo(f"  {_counted(findings)} in {time.perf_counter() - started:.1f} s\n")
    return findings


def _counted(findings: Sequence[Finding]) -> str:
    counts = Counter[str](finding.state for finding in findings)
    said = {"ok": "passed", "broken": "failed", "not applicable": "not applicable", "left out": "left out"}
    return ", ".join(f"{counts[state]} {words}" for state, words in said.items() if counts[state] or state == "ok")


def _show(with_traceback: bool, finding: Finding) -> None:
    behind = f"  ({finding.message})" if finding.message and finding.state != "broken" else ""
    click.echo(printable(f"  {_MARKS[finding.state]:<8}  {finding.check}{behind}"))
    if finding.state == "broken":
        width = max(output_width() - len(_INDENT), 40)
        for line in textwrap.wrap(finding.message, width, break_long_words=False, break_on_hyphens=False):
            click.echo(printable(_INDENT + line))
        if finding.traceback and with_traceback:
            click.echo(printable(finding.traceback))


def _json(subject: Subject, findings: Sequence[Finding]) -> dict[str, object]:
    keys = ("check", "state", "message", "traceback")
    return {
        "kind": subject.kind,
        "name": subject.info.name,
        "distribution": subject.entry.origin.distribution,
        "version": subject.entry.origin.version,
        "checks": [{key: getattr(finding, key) for key in keys} for finding in findings],
    }
