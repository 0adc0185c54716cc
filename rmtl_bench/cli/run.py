"""``rmtl-bench run``: runs what a suite lacks in a store."""

from __future__ import annotations

from pathlib import Path

import click

from rmtl_bench.cli.options import debug_option, plugin_option, store_option, suite_options
from rmtl_bench.execution import DataSources, LocalExecutor, Options, missing_cells
from rmtl_bench.execution.device import check_device
from rmtl_bench.plugins import load_plugins
from rmtl_bench.store import Store
from rmtl_bench.suites import find_suite, read_suite


@click.command("run")
@suite_options
@store_option
@click.option(
    "--only", multiple=True, metavar="PATTERN", help="Only cells like 'dataset/backbone/weighting' (repeatable)."
)
@click.option("--jobs", type=click.IntRange(min=0), default=0, help="Runs at once; default: one a core, one on a GPU.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--retry", default="", metavar="STATUS,...", help="Run failed, diverged or killed runs again; 'all' for the three."
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where raw files lie (default: $RMTL_BENCH_DATA).")
@click.option("--dry-run", is_flag=True, help="Print the plan and run nothing.")
@plugin_option
@debug_option
@click.pass_context
def command(
    context: click.Context,
    suite_name: str,
    sample: bool,
    store_path: Path,
    only: tuple[str, ...],
    jobs: int,
    device: str,
    retry: str,
    data_dir: Path | None,
    dry_run: bool,
    plugin_files: tuple[Path, ...],
) -> int:
    """Run a suite: every cell that the store does not hold yet."""
    check_device(device)
    host = load_plugins(plugin_files)
    suite = read_suite(find_suite(host.registry, suite_name), sample=sample)
    sources = DataSources(host.registry, data_dir)
    plan = _expand(suite, host.registry, sources, suite_name)
    cells = plan.only(only)
    if dry_run:
        statuses = Store.open(store_path, create=False).index.latest_statuses() if store_path.exists() else {}
        _print_plan(plan, cells, statuses)
        return 0
    store = Store.open(store_path)
    store.clean_staging()
    store.save_plan(plan.to_json())
    store.index.refresh()
    pending = missing_cells(cells, store.index.latest_statuses(), retry)
    _say_what_will_run(plan, cells, pending)
    if pending:
        _run(LocalExecutor, host, sources, store, Options(device, jobs), suite, pending)
    return _conclude(store, suite, cells, store_path)
