"""The plugins: which are broken, which names are claimed twice, and which offers lack a module."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rmtl_bench.contracts.errors import PluginError
from rmtl_bench.installation.finding import Finding
from rmtl_bench.plugins import KINDS, LoadedPlugin, PluginHost, Registry, load_plugins
from rmtl_bench.plugins.registry import collision

_SWITCHES = ("RMTL_BENCH_LOAD_PLUGINS", "RMTL_BENCH_DISABLE_PLUGINS")
_STRICT = "RMTL_BENCH_STRICT_PLUGINS"


def plugins(_store_path: Path) -> Iterator[Finding]:
    """Yield what is found of the plugins that the environment allows."""
    for switch in _SWITCHES:
        if switch in os.environ:
            yield Finding("plugins", "note", f"chosen by {switch}={os.environ[switch]}", f"unset {switch}")
    host = load_all()
    working = [plugin for plugin in host.plugins if not plugin.error]
    said = ", ".join(f"{plugin.name} ({plugin.origin})" for plugin in working)
    yield Finding("plugins", "ok", f"{len(working)} work: {said}")
    yield from (_broken(plugin) for plugin in host.plugins if plugin.error)
    yield from _collisions(host.registry)
    yield from _lacking(host.registry)
    yield _offers(host.registry)


def load_all() -> PluginHost:
    """Return the plugins, the broken ones among them, also where the environment wants a broken one to be an error."""
    with _without(_STRICT):
        return load_plugins()


@contextmanager
def _without(variable: str) -> Iterator[None]:
    kept = os.environ.pop(variable, None)
    try:
        yield
    finally:
        if kept is not None:
            os.environ[variable] = kept


def _broken(plugin: LoadedPlugin) -> Finding:
    remedy = f"rmtl-bench plugins --traceback, or pip uninstall {plugin.origin.distribution}"
    said = f"broken, {plugin.error}"
    return Finding(f"plugin {plugin.name} ({plugin.origin})", "problem", said, remedy, PluginError.exit_code)


def _collisions(registry: Registry) -> Iterator[Finding]:
    for kind in KINDS:
        for name, times in Counter(entry.info.name for entry in registry.entries(kind)).items():
            if times > 1:
                said = collision(kind, name, registry.claimants(kind, name))
                yield Finding(f"{kind} {name}", "problem", said, code=PluginError.exit_code)


def _lacking(registry: Registry) -> Iterator[Finding]:
    """Yield one note for all offers that the same command would complete."""
    by_command: dict[str, list[str]] = {}
    modules: dict[str, set[str]] = {}
    for kind in KINDS:
        for entry in registry.entries(kind):
            if lacking := entry.info.lacking:
                by_command.setdefault(entry.info.install, []).append(f"{kind} {entry.info.name}")
                modules.setdefault(entry.info.install, set()).update(lacking)
    for command, offers in by_command.items():
        needed = " and ".join(sorted(modules[command]))
        yield Finding("offers", "note", f"without {needed}, which is not installed: {', '.join(offers)}", command)


def _offers(registry: Registry) -> Finding:
    counts = {kind: len(registry.entries(kind)) for kind in KINDS}
    said = ", ".join(f"{count} {kind}s" for kind, count in counts.items())
    if all(counts[kind] for kind in ("backbone", "weighting", "dataset")):
        return Finding("offers", "ok", f"{said}, {len(registry.suites)} suites")
    return Finding("offers", "warning", f"{said}: no run can be made of these", "pip install 'rmtl-bench[all]'")
