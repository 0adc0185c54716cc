"""``rmtl-bench prune``: what a store holds and nobody needs any more."""

from __future__ import annotations

from pathlib import Path

import click

from rmtl_bench.cli.options import debug_option, print_foreign, store_option, warn_of_problems


@click.command("prune")
@store_option
@click.option("--failed", is_flag=True, help="Also attempts that did not end well; a later run makes them again.")
@click.option("--predictions", is_flag=True, help="Also the test predictions of all runs; scores stay.")
@click.option("--not-in-plans", is_flag=True, help="Also runs that no plan in the store names or builds on.")
@click.option("--yes", is_flag=True, help="Remove it; without, it is only shown.")
@debug_option
def command(store_path: Path, failed: bool, predictions: bool, not_in_plans: bool, yes: bool) -> None:
    """Show what can go from a store, and with --yes remove it.

    That is: attempts superseded by a later one that ended well; what dead processes have left; the checkpoints of runs
    that have ended; indexes that were moved aside. What a living process holds stays.
    """
    from rmtl_bench.contracts.wording import printable, size
    from rmtl_bench.store import Index, Store
    from rmtl_bench.store.prune import Asked, prune, removals
    from rmtl_bench.store.upkeep import upkeep

    asked = Asked(failed, predictions, not_in_plans)
    store = Store.open(store_path, create=False)
    if not yes:
        warn_of_problems(Index(store).refresh())
        planned = removals(store, asked)
        for removal in planned:
            name = printable(str(removal.path.relative_to(store.path)))
            print_foreign(f"{size(removal.size):>8}  {name}  {removal.why}")
        total = size(sum(removal.size for removal in planned))
        click.echo(f"{len(planned)} would go, {total}" + ("; --yes removes them" if planned else ""))
        return
    store = Store.open(store_path)
    with upkeep(store):
        warn_of_problems(Index(store).refresh())
        done = prune(store, removals(store, asked))
    for removal in done.held:
        click.echo(f"warning: left, since a command makes this run: {removal.path}", err=True)
    click.echo(f"{len(done.removed)} removed, {size(done.size)}")
