"""``rmtl-bench run``: runs what a suite lacks in a store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rmtl_bench.cli.completion import cells, executor_options, listed_words, offers, words
from rmtl_bench.cli.options import (
    Duration,
    NumberOrAuto,
    Size,
    debug_option,
    plugin_option,
    store_option,
    suite_options,
)
from rmtl_bench.contracts.cell import STATUSES
from rmtl_bench.training.settings import PRECISIONS

if TYPE_CHECKING:
    from rmtl_bench.execution import RunStarter


PROCESS = "process"
"""The executor whose processes are got ready before all else; another one has its own ways."""


@dataclass(frozen=True)
class Choices:
    """The options of the command, by name."""

    suite_name: str
    sample: bool
    store_path: Path
    only: tuple[str, ...]
    jobs: int
    threads: int
    seeds_per_pass: int | None
    device: str
    precision: str
    retry: str
    timeout: float | None
    memory_limit: int | None
    max_failures: int
    checkpoint_every: float
    executor: str
    address: str | None
    executor_options: tuple[str, ...]
    data_dir: Path | None
    fetch: bool
    profile: bool
    dry_run: bool
    plugin_files: tuple[Path, ...]


@click.command("run")
@suite_options
@store_option
@click.option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    shell_complete=cells,
    help="Only cells like 'dataset/backbone/weighting' (repeatable).",
)
@click.option("--jobs", type=click.IntRange(min=0), default=0, help="Runs at once; default: one a core, one on a GPU.")
@click.option(
    "--threads", type=click.IntRange(min=0), default=1, help="Threads a process; 0: cores by processes.  [default: 1]"
)
@click.option(
    "--seeds-per-pass",
    type=NumberOrAuto(),
    default=None,
    metavar="auto|N",
    help="Seeds of a cell to train side by side.  [default: auto on a GPU, 1 on the CPU]",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    shell_complete=words("auto", "cpu", "cuda"),
    help="auto, cpu, cuda or cuda:N.",
)
@click.option(
    "--precision",
    default="",
    metavar="NAME",
    shell_complete=words(*PRECISIONS),
    help="float32, tf32 or bf16 in place of the suite's own; it is then called SUITE-NAME.",
)
@click.option(
    "--retry",
    default="",
    metavar="STATUS,...",
    shell_complete=listed_words("all", *(status for status in STATUSES if status != "ok")),
    help="Run these again: failed, timeout, oom, diverged, skipped; 'all' for all of them.",
)
@click.option("--timeout", type=Duration(), metavar="TIME", help="Stop a run that takes longer, e.g. 30m or 2h.")
@click.option(
    "--memory-limit", type=Size(), metavar="SIZE", help="Stop a run whose process holds more memory, e.g. 4GB."
)
@click.option(
    "--max-failures", type=click.IntRange(min=1), metavar="N", default=None, help="Stop all when N runs ended badly."
)
@click.option("--fail-fast", is_flag=True, help="Stop all when one run ended badly.")
@click.option(
    "--checkpoint-every",
    type=Duration(zero=True),
    default=60,
    metavar="TIME",
    help="The least time from one checkpoint of a run to the next; 0: after every epoch.  [default: 60s]",
)
@click.option(
    "--executor",
    default=PROCESS,
    show_default=True,
    shell_complete=offers("executor"),
    help="Where to run: process, inline, ray, ...",
)
@click.option("--address", metavar="auto|HOST:PORT", help="The cluster of the executor, where it has one.")
@click.option(
    "--executor-option",
    "executor_options",
    multiple=True,
    metavar="NAME=VALUE",
    shell_complete=executor_options,
    help="A parameter of the executor (repeatable); rmtl-bench info executor NAME shows which it has.",
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where raw files lie (default: $RMTL_BENCH_DATA).")
@click.option("--fetch", is_flag=True, help="Download the raw files that the suite's data sets lack.")
@click.option("--profile", is_flag=True, help="Write down where the time of each run goes, with a trace.")
@click.option("--dry-run", is_flag=True, help="Print the plan and run nothing.")
@plugin_option
@debug_option
def command(**chosen: Any) -> int:
    """Run a suite: every cell that the store does not hold yet."""
    from rmtl_bench.contracts.device import check_device, require_device
    from rmtl_bench.execution.pending import statuses_to_retry
    from rmtl_bench.execution.starter import RunStarter

    most, at_once = chosen.pop("max_failures"), chosen.pop("fail_fast")
    if at_once and most not in (None, 1):
        raise click.UsageError(f"--fail-fast means --max-failures 1; --max-failures {most} was given, too")
    choices = Choices(**chosen, max_failures=1 if at_once else most or 0)
    check_device(choices.device)
    statuses_to_retry(choices.retry)
    if choices.executor != PROCESS:
        return _run(choices)
    if choices.dry_run:
        require_device(choices.device)
        return _run(choices)
    # Started before anything else is imported: what it imports takes longer than all that is done here.
    with RunStarter(choices.plugin_files) as starter:
        require_device(choices.device, starter.cuda_devices)
        return _run(choices, starter)


def _run(choices: Choices, starter: RunStarter | None = None) -> int:
    from rmtl_bench.cli.suite_run import run_suite

    return run_suite(choices, starter)
