"""``rmtl-bench verify``: whether submissions to the leaderboards are true, as far as their files can say."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rmtl_bench.cli.options import debug_option, json_option, plugin_option, print_foreign
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.wording import printable

if TYPE_CHECKING:
    from rmtl_bench.submissions import Verified

_LONGEST_LINE = 1_000
_MOST_FAULTS = 100
_DATA = DataError.exit_code


@click.command("verify")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@plugin_option
@json_option
@debug_option
def command(paths: tuple[Path, ...], plugin_files: tuple[Path, ...], as_json: bool) -> int:
    """Check submissions: files, or all below folders.

    Without PATHS, all below results/leaderboards. Recomputed is all that a file allows: run ids, means, counts, digest,
    seeds and cells against the suite (where it is installed; else against what the file says of it), the band between
    base rate and optimum, provenance. A line a submission when all is well, else a line a fault with file and key; the
    exit code is 4 then.
    """
    from rmtl_bench.plugins.host import load_plugins
    from rmtl_bench.submissions import LEADERBOARDS, verify_file, verify_folder

    registry = load_plugins(plugin_files).registry
    verified: list[Verified] = []
    for path in paths or (LEADERBOARDS,):
        if not path.exists() and not path.is_symlink():
            raise click.UsageError(f"there is no {path} to verify")
        verified += verify_folder(path, registry) if path.is_dir() else [verify_file(path, registry)]
    if as_json:
        click.echo(json.dumps([_as_json(one) for one in verified], indent=1))
    else:
        for line in _lines(verified):
            print_foreign(printable(" ".join(line.split()))[:_LONGEST_LINE])
    return _DATA if any(one.faults for one in verified) else 0


def _lines(verified: Iterable[Verified]) -> Iterable[str]:
    for one in verified:
        yield from (f"{one.path}: {fault}" for fault in one.faults[:_MOST_FAULTS])
        if len(one.faults) > _MOST_FAULTS:
            yield f"{one.path}: and {len(one.faults) - _MOST_FAULTS} more"
        if not one.faults and one.submission is not None:
            notes = "".join(f"; {note}" for note in one.notes)
            yield f"{one.path}: ok: {_summary(one)}{notes}"


def _summary(one: Verified) -> str:
    found = one.submission
    if found is None:
        return ""
    return f"{found.suite.name}, {len(found.methods)} methods, {found.run_count} runs, {found.tag} by {found.by}"


def _as_json(one: Verified) -> dict[str, Any]:
    return {
        "file": str(one.path),
        "ok": not one.faults,
        "summary": _summary(one),
        "faults": [{"key": fault.key, "problem": fault.problem} for fault in one.faults],
        "notes": list(one.notes),
    }
