"""What the README of a new plugin says of its kind: what the example is, and what to type."""

from __future__ import annotations

from rmtl_bench.scaffold.naming import Names

_ABOUT = {
    "backbone": (
        "The example is a shared bottom: one hidden layer for all tasks, one tower per task, whatever their number.\n"
        "Replace `represent` by your model, say in `plugin.py` what it provides and which parameters it has."
    ),
    "weighting": (
        "The example weighs a task by its loss: the larger, the more. Three lines of `combine` are the method; edit\n"
        "them, then the formula above them and the summary in `plugin.py`. A method that needs the gradients of the\n"
        "tasks derives from `GradientWeighting`, one that trains in stages from `StagedWeighting`; `form` in\n"
        "`plugin.py` says which."
    ),
    "dataset": (
        "The example reads views of items, clicked and bought, from `interactions.csv`: simulated ones, until there\n"
        "is a file of your own, `DATA_DIR/{name}/interactions.csv`. The first lines of `dataset.py` name the columns."
    ),
    "metric": (
        "The example is the Brier skill score: the share of the base rate's squared error that the predictions save.\n"
        "A metric is a function of the labels and predictions of one task, and NaN where it is undefined."
    ),
    "executor": (
        "The example starts a process for every run, by a command of your choice, its parameter `prefix`:\n"
        "`--executor-option 'prefix=nice -n 10'` keeps the machine usable, `--executor-option 'prefix=srun -c 1'`\n"
        "has the runs made by Slurm."
    ),
}


def about(names: Names) -> str:
    """Return what the example is and where to begin."""
    return _ABOUT[names.kind].replace("{name}", names.name)


def running(names: Names, has_suite: bool) -> str:
    """Return the paragraph of the README on trying the plugin, in a suite of its own and in one that is there."""
    parts = []
    if has_suite:
        executor = f" --executor {names.name}" * (names.kind == "executor")
        commands = (
            f"rmtl-bench run --suite {names.name}.toml{executor}",
            f"rmtl-bench leaderboard --suite {names.name}.toml",
        )
        parts.append("\n".join(("A minute's suite, beside something to compare with:\n", "```sh", *commands, "```")))
    if names.kind in ("backbone", "weighting", "dataset"):
        parts.append(
            f"`SUITE+{names.name}` is any suite with this {names.kind} added to it, in a table of its own; what both\n"
            f"have in common is not run again: `rmtl-bench run --suite SUITE+{names.name}`, then\n"
            f"`rmtl-bench leaderboard --suite SUITE+{names.name}`. `rmtl-bench list suites` says which there are."
        )
    return "\n\n".join(parts) or "A suite file names it: see `rmtl-bench list suites` for those that are installed."


def next_commands(names: Names, folder: str, has_suite: bool) -> list[str]:
    """Return what to type next, from the folder in which the command was given."""
    commands = [f"cd {folder}", "pip install -e '.[test]'", f"rmtl-bench check {names.name}", "pytest"]
    if has_suite:
        executor = f" --executor {names.name}" * (names.kind == "executor")
        commands += [
            f"rmtl-bench run --suite {names.name}.toml{executor}",
            f"rmtl-bench leaderboard --suite {names.name}.toml",
        ]
    return commands
