"""``rmtl-bench submit``: results of a store, checked and written for a leaderboard."""

from __future__ import annotations

from pathlib import Path

import click

from rmtl_bench.cli.options import debug_option, plugin_option, store_option, suite_options


@click.command("submit")
@suite_options
@store_option
@click.option(
    "--methods",
    multiple=True,
    metavar="PATTERN",
    help="Only methods like 'backbone/weighting' (repeatable); all of the suite if left out.",
)
@click.option("--name", required=True, help="The name of the submission, and of its file.")
@click.option("--by", required=True, help="Who submits it.")
@click.option("--link", default="", metavar="URL", help="More about it: an http or https address.")
@click.option(
    "--tag",
    type=click.Choice(["self-reported", "reproduced"]),
    default="self-reported",
    show_default=True,
    help="Whether the runs are those of the method's authors or of somebody else.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results/leaderboards"),
    show_default=True,
    help="The folder of leaderboards.",
)
@click.option("--replace", is_flag=True, help="Replace a submission of the same name.")
@plugin_option
@debug_option
def command(
    suite_name: str,
    sample: bool,
    store_path: Path,
    methods: tuple[str, ...],
    name: str,
    by: str,
    link: str,
    tag: str,
    output: Path,
    replace: bool,
    plugin_files: tuple[Path, ...],
) -> None:
    """Write checked results as a submission.

    It goes to the leaderboard of its suite, if the results are complete and clean. Every method needs every seed of
    every cell, each run well ended, from one state of the data, by code that others can get: released versions, a
    commit without changes, or a one-file plugin that is given with --plugin and goes into the submission. On data whose
    true probabilities are known, scores have to lie between base rate and optimum. What is refused is refused in one
    line, and nothing is written: exit code 4 for results, 2 for options.
    """
    from rmtl_bench.plugins.host import load_plugins
    from rmtl_bench.store import Store
    from rmtl_bench.submissions import Attribution, build, publish
    from rmtl_bench.suites import read_variant, split_additions

    store = Store.open(store_path, create=False)
    attribution = Attribution(name, by, link, tag)
    submission = build(store, suite_name, attribution, sample=sample, methods=methods, plugin_files=plugin_files)
    registry = load_plugins(plugin_files).registry
    is_file = split_additions(suite_name).suite.endswith(".toml")
    suite = read_variant(registry, suite_name, sample=sample) if is_file else None
    path = publish(submission, registry, output, suite=suite, replace=replace)
    counted = f"{len(submission.methods)} methods, {submission.run_count} runs, {submission.seeds} seeds"
    click.echo(f"{path} written: {counted}; check it with: rmtl-bench verify {path}")
