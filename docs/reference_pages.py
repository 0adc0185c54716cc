"""Parts of the reference pages that are made of the program itself, as Markdown."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path

import click
import repository_pages
from tabulate import tabulate

from rmtl_bench.cli.main import cli
from rmtl_bench.contracts.catalogue import Parameter
from rmtl_bench.plugins import specs
from rmtl_bench.suites.suite_file import KEYS
from rmtl_bench.training.settings import TRAINER_PARAMETERS

LEADERBOARDS = repository_pages.ROOT / "results" / "leaderboards"


def write(folder: Path) -> None:
    """Write every part into ``folder``."""
    parts = {
        "commands": commands(cli, "rmtl-bench"),
        "suite_keys": suite_keys(),
        "hooks": hooks(),
        "checks": checks(),
        "published": published(),
        "leaderboards": leaderboards(),
    }
    repository_pages.keep_only(folder, {folder / f"{name}.md": text for name, text in parts.items()})


def commands(group: click.Group, path: str) -> str:
    """Return a section for every command below ``group``: what it says of itself, and its options in its own words."""
    parts = []
    around = click.Context(group, info_name=path, **group.context_settings)
    for name in group.list_commands(around):
        if command := group.get_command(around, name):
            parts.append(_command(command, click.Context(command, info_name=name, parent=around)))
        if isinstance(command, click.Group):
            parts.append(commands(command, f"{path} {name}"))
    return "\n".join(parts)


def _command(command: click.Command, context: click.Context) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [(f"`{_cell(names)}`", _plain(said)) for names, said in filter(None, records)]
    options = "" if isinstance(command, click.Group) else tabulate(rows, ("option", "what it does"), tablefmt="github")
    said = "\n\n".join(_paragraph(text) for text in inspect.cleandoc(command.help or "").split("\n\n"))
    level = "##" if context.command_path.count(" ") == 1 else "###"
    return f"{level} {context.command_path}\n\n{said}\n\n```{{code-block}} text\n{usage}\n```\n\n{options}\n"


def _paragraph(text: str) -> str:
    # click's mark of a paragraph whose lines stay as they are.
    if text.startswith("\b"):
        return "```{code-block} text\n" + text.removeprefix("\b").strip("\n") + "\n```"
    return _plain(text)


def _plain(text: str) -> str:
    for sign in "\\*_<|`[":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("@", "&#64;")


def suite_keys() -> str:
    """Return a table of keys for every table of a suite file."""
    tables = {**KEYS, "[trainer]": TRAINER_PARAMETERS}
    titles = {table: f"`{table}`" if table else "The top of the file" for table in tables}
    return "\n".join(f"## {titles[table]}\n\n{_keys(keys)}\n" for table, keys in tables.items())


def _keys(keys: Mapping[str, Parameter]) -> str:
    rows = [(f"`{name}`", key.help, _default(key.default), _cell(key.right)) for name, key in keys.items()]
    return tabulate(rows, ("key", "what it is", "default", "what it takes"), tablefmt="github")


def _default(value: object) -> str:
    if value in ("", ()):
        return "-"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{each}"' for each in value) + "]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value:.15g}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("'", '"')


def hooks() -> str:
    """Return a section for each group of hooks, with every hook's signature and when it is called."""
    return "\n".join(_group(group) for group in (specs.CatalogueSpecs, specs.LifecycleSpecs))


def _group(group: type) -> str:
    parts = [f"## {'Catalogue' if group is specs.CatalogueSpecs else 'Life of a suite'}\n\n{_text(group)}\n"]
    for name, hook in vars(group).items():
        if name.startswith("rmtl_"):
            signature = inspect.signature(hook)
            given = [parameter for key, parameter in signature.parameters.items() if key != "self"]
            # Annotations are kept as texts, which the signature shows in quotes.
            called = str(signature.replace(parameters=given)).replace("'", "")
            parts.append(f"### {name}\n\n```{{code-block}} python\ndef {name}{called}: ...\n```\n\n{_text(hook)}\n")
    return "\n".join(parts)


def _text(described: object) -> str:
    return (inspect.getdoc(described) or "").replace("``", "`")


def checks() -> str:
    """Return a table of the checks of the conformance kit for each kind of plugin."""
    from rmtl_bench.testing import checks_of

    kinds = ("weighting", "backbone", "dataset", "metric", "executor")
    return "\n".join(f"## Checks of a {_spoken(kind)}\n\n{_checks(checks_of(kind))}\n" for kind in kinds)


def _spoken(kind: str) -> str:
    return "data set" if kind == "dataset" else kind


def _checks(found: object) -> str:
    rows = [(f"`{check.name}`", _cell(check.summary)) for check in found]
    return tabulate(rows, ("check", "what has to hold"), tablefmt="github")


def published() -> str:
    """Return a list of the results that the repository holds, a line each."""
    readmes = sorted((repository_pages.ROOT / "results").glob("*/README.md"))
    lines = []
    for readme in readmes:
        if readme.parent == LEADERBOARDS:
            continue
        title = readme.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        place = f"{repository_pages.PLACE}/results/{readme.parent.name}"
        others = [n for n in ("leaderboard", "diagnostics") if (readme.parent / f"{n}.md").is_file()]
        links = ", ".join(f"[{name}]({place}/{name}.md)" for name in others)
        lines.append(f"- [{title}]({place}/README.md): {links}")
    return "\n".join(lines) + "\n"


def leaderboards() -> str:
    """Return the leaderboards of the submissions, or a sentence that there is none."""
    if not LEADERBOARDS.is_dir():
        return "# Leaderboards\n\nNothing has been submitted yet.\n"
    from rmtl_bench.submissions import page

    return page(LEADERBOARDS)
