"""What a shell offers when Tab is pressed: suites, runs, cells, and the names of what plugins offer.

Quick and silent. Names come from what lies nearest: what plugins offer from their catalogues, runs from the names of
their folders, the rest from suite files and the plans that a store keeps; neither torch nor a database is imported, and
no one-file plugin is run. What is broken or missing offers nothing, and nothing is said of it.
"""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rmtl_bench.contracts.wording import printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from rmtl_bench.plugins import Registry
    from rmtl_bench.suites import Suite

    Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem[Any]]]

PROGRAM = "rmtl-bench"
VARIABLE = "_RMTL_BENCH_COMPLETE"
"""The variable by which a shell's script asks, as click calls it for this program."""

_RUN_FOLDER = re.compile(r"([0-9a-f]{16})(?:\.[0-9]+)?")
_LARGEST_PLAN = 8 << 20
_LONGEST_HELP = 100
_ADDED = ("weighting", "backbone", "dataset")
"""The kinds of what can be added to a suite, see :mod:`rmtl_bench.suites.additions`."""
_DEFAULT_STORE = Path("results/store")


def answer(cli: click.Command) -> int:
    """Answer the shell that asks by :data:`VARIABLE`; return the exit code, 1 where nothing could be said."""
    from click.shell_completion import shell_complete

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return shell_complete(cli, {}, PROGRAM, VARIABLE, os.environ[VARIABLE])
    except Exception:
        # The user is in the middle of a line: whatever is wrong, the command itself will say it.
        return 1


def quiet(complete: Callable[[click.Context, str], Iterable[tuple[str, str]]]) -> Completer:
    """Make a completer of a function of the context and the beginning that gives names and what to say of each."""

    @wraps(complete)
    def completer(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        try:
            # A plugin that prints while it is imported would print into the answer.
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                found = dict(complete(ctx, incomplete))
        except Exception:
            return []
        return [_item(name, about) for name, about in found.items() if name.startswith(incomplete)]

    return completer


def offers(*kinds: str) -> Completer:
    """Complete the names of what plugins offer of these kinds."""

    @quiet
    def complete(_ctx: click.Context, _incomplete: str) -> Iterable[tuple[str, str]]:
        registry = _registry()
        return [(entry.info.name, entry.info.summary) for kind in kinds for entry in registry.entries(kind)]

    return complete


def words(*known: str) -> Completer:
    """Complete words that are always the same."""
    return quiet(lambda _ctx, _incomplete: [(word, "") for word in known])


def listed_words(*known: str) -> Completer:
    """Complete the last word of a list with commas between; none is offered twice."""

    @quiet
    def complete(_ctx: click.Context, incomplete: str) -> Iterable[tuple[str, str]]:
        before, comma, _ = incomplete.rpartition(",")
        return [(f"{before}{comma}{word}", "") for word in known if word not in before.split(",")]

    return complete


@quiet
def kinds(_ctx: click.Context, _incomplete: str) -> Iterable[tuple[str, str]]:
    """Complete kinds as ``info`` takes them: ``backbone``, ``suite``."""
    return [(kind, "") for kind in _kinds()]


@quiet
def plural_kinds(_ctx: click.Context, _incomplete: str) -> Iterable[tuple[str, str]]:
    """Complete kinds as ``list`` takes them: ``backbones``, ``suites``."""
    return [(f"{kind}s", "") for kind in _kinds()]


@quiet
def names_of_kind(ctx: click.Context, incomplete: str) -> Iterable[tuple[str, str]]:
    """Complete the names of the kind that was given before, ``ctx.params["kind"]``."""
    kind = str(ctx.params.get("kind") or "").removesuffix("s")
    if kind == "suite":
        return [*_installed_suites(_registry(), incomplete), *_suite_files(incomplete)]
    return [(entry.info.name, entry.info.summary) for entry in _registry().entries(kind)]


@quiet
def suites(ctx: click.Context, incomplete: str) -> Iterable[tuple[str, str]]:
    """Complete suites: those installed, those kept in the store, .toml files; behind a ``+`` what can be added."""
    registry = _registry()
    before, plus, _ = incomplete.rpartition("+")
    if plus:
        added = [entry.info for kind in _ADDED for entry in registry.entries(kind)]
        return [(f"{before}+{info.name}", info.summary) for info in added]
    installed = list(_installed_suites(registry, incomplete))
    known = {name for name, _ in installed}
    kept = [(name, "kept in the store") for name in dict.fromkeys(_kept_names(ctx, incomplete)) if name not in known]
    return [*installed, *kept, *_suite_files(incomplete)]


@quiet
def kept_suites(ctx: click.Context, _incomplete: str) -> Iterable[tuple[str, str]]:
    """Complete the suites whose plans the store keeps, with version and ``+sample``."""
    return [(path.stem, "") for path in _plan_files(ctx)]


@quiet
def runs(ctx: click.Context, incomplete: str) -> Iterable[tuple[str, str]]:
    """Complete run ids, said beside each which cell it is; and what suites call runs, once that was begun."""
    folder = _store(ctx) / "runs"
    ids = dict.fromkeys(match[1] for name in sorted(os.listdir(folder)) if (match := _RUN_FOLDER.fullmatch(name)))  # noqa: PTH208 -- a Path an entry costs ten times as much
    cells = [(cell, f"{_method(cell)}/{cell['seed']}") for plan in _plans(ctx) for cell in plan["cells"]]
    labels = {cell["run_id"]: label for cell, label in cells}
    by_id = [(run_id, labels.get(run_id, "")) for run_id in ids]
    if any(run_id.startswith(incomplete) for run_id in ids):
        return by_id
    return [(label, run_id) for run_id, label in labels.items() if run_id in ids]


@quiet
def cells(ctx: click.Context, _incomplete: str) -> Iterable[tuple[str, str]]:
    """Complete the cells of the suite that was named before, as ``--only`` takes them."""
    suite = _suite(ctx)
    label = {kind: {key: part.label for key, part in parts.items()} for kind, parts in suite.components.items()}
    return [
        (f"{label['datasets'][dataset]}/{label['backbones'][backbone]}/{label['weightings'][weighting]}", "")
        for block in suite.grid
        for dataset in block["datasets"]
        for backbone in block["backbones"]
        for weighting in block["weightings"]
    ]


@quiet
def methods(ctx: click.Context, _incomplete: str) -> Iterable[tuple[str, str]]:
    """Complete methods, ``backbone/weighting``, of the suite that was named before, or of all in the store."""
    return [(_method(cell).partition("/")[2], "") for plan in _plans(ctx) for cell in plan["cells"]]


@quiet
def references(ctx: click.Context, _incomplete: str) -> Iterable[tuple[str, str]]:
    """Complete what ``--against`` takes: a weighting on whatever backbone, or one method."""
    planned = [cell for plan in _plans(ctx) for cell in plan["cells"]]
    any_backbone = [(f"*/{cell['weighting']}", "on the same backbone") for cell in planned]
    return [*any_backbone, *((f"{cell['backbone']}/{cell['weighting']}", "") for cell in planned)]


@quiet
def shown_metrics(_ctx: click.Context, _incomplete: str) -> Iterable[tuple[str, str]]:
    """Complete what ``--metric`` takes: a metric, or all."""
    return [("all", "every metric"), *((e.info.name, e.info.summary) for e in _registry().entries("metric"))]


@quiet
def executor_options(ctx: click.Context, _incomplete: str) -> Iterable[tuple[str, str]]:
    """Complete the names of the parameters of the executor that was named before."""
    info = _registry().find("executor", str(ctx.params.get("executor"))).info
    return [(f"{name}=", parameter.help) for name, parameter in info.parameters.items()]


@quiet
def dataset_settings(ctx: click.Context, _incomplete: str) -> Iterable[tuple[str, str]]:
    """Complete the names of the parameters of the data set that was named before."""
    # click has not given words their places yet where an option still waits for its value.
    info = _registry().find("dataset", ctx.args[0]).info
    return [(f"{name}=", parameter.help) for name, parameter in info.parameters.items()]


def _item(name: str, about: str) -> CompletionItem[Any]:
    from click.shell_completion import CompletionItem

    # A shell's script reads an answer line by line.
    line = " ".join(printable(about).split())
    return CompletionItem(printable(name), help=line[:_LONGEST_HELP] or None)


def _registry() -> Registry:
    from rmtl_bench.plugins import load_plugins

    return load_plugins().registry


def _kinds() -> list[str]:
    from rmtl_bench.plugins import KINDS

    return [*KINDS, "suite"]


def _installed_suites(registry: Registry, incomplete: str) -> Iterable[tuple[str, str]]:
    """Return suites by their name; by name and version where there are several, or a version was begun."""
    from rmtl_bench.suites.suite_file import list_suites

    heads = [head for _, _, head in list_suites(registry)]
    names = [head["name"] for head in heads]
    for head in heads:
        yield head["name"], head["title"] or ""
        if names.count(head["name"]) > 1 or "@" in incomplete:
            yield f"{head['name']}@{head['version']}", head["title"] or ""


def _suite_files(incomplete: str) -> list[tuple[str, str]]:
    """Return the folders and the suite files that a path can go on with."""
    before, slash, _ = incomplete.rpartition("/")
    entries = sorted(os.scandir(f"{before}{slash}" or "."), key=lambda entry: entry.name)
    found = [(f"{before}{slash}{entry.name}", "") for entry in entries if entry.name.endswith(".toml")]
    # Only once a path was begun: the folders about are no suites.
    folders = [(f"{before}{slash}{entry.name}/", "") for entry in entries if slash and entry.is_dir()]
    return [*found, *folders]


def _store(ctx: click.Context) -> Path:
    return Path(ctx.params.get("store_path") or _DEFAULT_STORE)


def _plan_files(ctx: click.Context) -> list[Path]:
    return sorted((_store(ctx) / "suites").glob("*@*.json"))


def _kept_names(ctx: click.Context, incomplete: str) -> Iterable[str]:
    for path in _plan_files(ctx):
        name = path.stem.removesuffix("+sample")
        yield name if "@" in incomplete else name.partition("@")[0]


def _plans(ctx: click.Context) -> list[Mapping[str, Any]]:
    """Return the plans of the suite that was named before, as their files have them; all where none was named."""
    from rmtl_bench.contracts.reading import read_json

    wanted = str(ctx.params.get("suite_name") or "")
    found = []
    for path in _plan_files(ctx):
        name = path.stem.removesuffix("+sample")
        if not wanted or wanted.endswith(".toml") or wanted in (name, name.partition("@")[0]):
            try:
                found.append(read_json(path, _LARGEST_PLAN))
            except (OSError, ValueError):
                continue
    return found


def _method(cell: Mapping[str, Any]) -> str:
    return f"{cell['dataset']}/{cell['backbone']}/{cell['weighting']}"


def _suite(ctx: click.Context) -> Suite:
    from rmtl_bench.suites.variants import read_variant

    name, sample = str(ctx.params.get("suite_name") or ""), bool(ctx.params.get("sample"))
    return read_variant(_registry(), name, sample=sample)
