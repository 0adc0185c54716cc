"""``rmtl-bench merge``: the runs of another store, copied into this one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rmtl_bench.cli.options import debug_option, store_option, warn_of_problems

if TYPE_CHECKING:
    from rmtl_bench.store.merge import Merged


@click.command("merge")
@click.argument("other", type=click.Path(path_type=Path))
@store_option
@click.option("--dry-run", is_flag=True, help="Say what would be copied and copy nothing.")
@debug_option
def command(other: Path, store_path: Path, dry_run: bool) -> None:
    """Copy the runs and plans of OTHER, a store or an archive of one, that the store lacks.

    A run that is there already is not copied again: merging twice changes nothing. Another attempt at it becomes the
    next one. Folders that are broken, or hold anything but plain files, are passed over with a warning. An interrupted
    merge loses nothing; merge again to go on. OTHER is only read.
    """
    from rmtl_bench.store import Index, Store
    from rmtl_bench.store.bundle import opened
    from rmtl_bench.store.merge import check_apart, merge, would_merge
    from rmtl_bench.store.upkeep import upkeep

    if dry_run:
        with opened(other) as source:
            check_apart(store_path, source)
            store = Store.open(store_path, create=False) if store_path.exists() else Store(store_path.absolute())
            _report(would_merge(store, source), "would be copied")
        return
    with opened(other, Store.open(store_path) if store_path.exists() else None) as source:
        check_apart(store_path, source)
        store = Store.open(store_path)
        with upkeep(store):
            merged = merge(store, source)
    _report(merged, "copied")
    warn_of_problems(Index(store).refresh())


def _report(merged: Merged, done: str) -> None:
    from rmtl_bench.contracts.wording import printable

    for problem in merged.problems:
        click.echo(f"warning: passed over: {printable(problem.reason)}", err=True)
    for name in merged.plans:
        click.echo(f"plan {name} {done}")
    click.echo(
        f"{merged.runs} runs and {merged.attempts} further attempts {done}; {merged.present} were there already"
        + (f"; {len(merged.problems)} passed over" if merged.problems else "")
    )
