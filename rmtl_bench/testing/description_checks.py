"""What the description of every offer keeps to, whatever its kind."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from functools import lru_cache

from rmtl_bench.contracts.catalogue import PROJECT, MetricInfo
from rmtl_bench.contracts.errors import RmtlBenchError
from rmtl_bench.testing.checks import NotApplicable, broken, check
from rmtl_bench.testing.subjects import Subject

_KEBAB = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
_HEAVY = ("torch", "duckdb", "pandas", "scipy", "matplotlib")
_LIST = """
import sys
from rmtl_bench.plugins.host import load_plugins
load_plugins()
print(*{name.partition(".")[0] for name in sys.modules})
"""


@check
def listing_imports_no_torch(subject: Subject) -> None:
    """Listing the plugin imports neither torch nor any other library that takes its time."""
    plugin = subject.plugin
    if plugin.module.endswith(".py"):
        raise NotApplicable("a plugin in one file is imported as a whole")
    drawn = [name for name in _HEAVY if name in _imported_by_listing(plugin.name)]
    if drawn:
        broken(
            f"listing plugin {plugin.name!r} imports {', '.join(drawn)}",
            f"let {plugin.module} hold the hooks alone, and name classes by target = 'package.module:Class'",
        )


@lru_cache
def _imported_by_listing(plugin: str) -> frozenset[str]:
    """Return the top-level modules that a new Python has imported once it has listed one plugin."""
    environment = {**os.environ, "RMTL_BENCH_LOAD_PLUGINS": plugin}
    environment.pop("RMTL_BENCH_DISABLE_PLUGINS", None)
    done = subprocess.run(  # noqa: S603 -- our own Python, with our own text
        [sys.executable, "-P", "-c", _LIST], capture_output=True, text=True, env=environment, check=False, timeout=120
    )
    if done.returncode:
        broken(f"a new Python cannot list plugin {plugin!r}: {done.stderr.strip().splitlines()[-1:]}", "mend it")
    return frozenset(done.stdout.split())


@check
def description_is_complete(subject: Subject) -> None:
    """The description has a name in lower case with hyphens, a summary, and a help text for each parameter."""
    info = subject.info
    if not _KEBAB.fullmatch(info.name):
        broken(f"the name is {info.name!r}", "write it in lower case, words joined by hyphens")
    if not info.summary.strip() or "\n" in info.summary:
        broken(f"the summary is {info.summary!r}", "say in one line what it is")
    if silent := [name for name, parameter in info.parameters.items() if not parameter.help.strip()]:
        broken(f"parameter {silent[0]!r} has no help text", "say in a few words what it does")


@check
def target_can_be_loaded(subject: Subject) -> None:
    """The target that the description names can be imported and called."""
    if obstacle := subject.info.obstacle:
        raise NotApplicable(obstacle)
    try:
        target = subject.load()
    except RmtlBenchError as error:
        broken(str(error), f"let target = {subject.info.target!r} name a class that can be imported")
    if not callable(target):
        broken(f"{subject.info.target} is a {type(target).__name__}", "let the target be a class, or a function")


@check
def parameters_are_those_of_the_constructor(subject: Subject) -> None:
    """The described parameters and their defaults are those of the constructor."""
    info, target = subject.info, subject.load()
    if isinstance(info, MetricInfo):
        raise NotApplicable("a metric is a function of predictions alone")
    taken = dict(inspect.signature(target).parameters)
    if info.kind in ("backbone", "weighting"):
        taken.pop(next(iter(taken), ""), None)
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values()):
        raise NotApplicable("the constructor takes any keyword")
    for name, parameter in taken.items():
        if name not in info.parameters and parameter.default is inspect.Parameter.empty:
            broken(f"the constructor needs {name!r}", f"describe it: parameters = {{{name!r}: Parameter(...)}}")
    for name, described in info.parameters.items():
        if name not in taken:
            broken(f"the constructor has no parameter {name!r}, which is described", "take it, or do not describe it")
        default = taken[name].default
        default = tuple(default) if isinstance(default, list) else default
        if default is not inspect.Parameter.empty and default != described.default:
            broken(
                f"parameter {name!r} has default {default!r} in the constructor and {described.default!r} in its "
                "description",
                "state the same one in both",
            )


@check
def defaults_are_allowed_values(subject: Subject) -> None:
    """The default of each parameter is a value that the description itself allows."""
    info = subject.info
    for name, parameter in info.parameters.items():
        try:
            parameter.check(parameter.default, subject.label, name)
        except RmtlBenchError as error:
            broken(str(error), "change the default, the choices or the bounds")


@check
def name_is_free(subject: Subject) -> None:
    """No other distribution offers something of this kind and name."""
    claimants = subject.host.registry.claimants(subject.kind, subject.info.name)
    if len(claimants) > 1:
        listed = " and ".join(map(str, claimants))
        broken(f"{subject.label} is claimed by {listed}", f"choose another name (group {PROJECT!r})")
