"""Loading plugins one by one, each guarded, so that a broken package harms nobody but itself.

Environment switches, all by entry-point name:

- ``RMTL_BENCH_LOAD_PLUGINS=a,b`` loads exactly these; empty loads none.
- ``RMTL_BENCH_DISABLE_PLUGINS=a,b`` leaves these out.
- ``RMTL_BENCH_STRICT_PLUGINS=1`` makes a broken plugin an error instead of a line in a list.

The harness's own catalogue (its metrics) comes through the same entry-point group and is always loaded.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path
from typing import Any

import pluggy

from rmtl_bench.contracts.catalogue import PROJECT
from rmtl_bench.contracts.errors import PluginError, UsageError, did_you_mean
from rmtl_bench.plugins.registry import KINDS, Origin, Registry
from rmtl_bench.plugins.specs import CatalogueSpecs, LifecycleSpecs

CORE_DISTRIBUTION = "rmtl-bench"


@dataclass
class LoadedPlugin:
    """One plugin as found: what it offers by kind, or why it is broken."""

    name: str
    origin: Origin
    module: str
    seconds: float = 0.0
    offers: dict[str, list[str]] = field(default_factory=dict)
    error: str = ""
    traceback: str = ""

    def fail(self, error: BaseException, doing: str) -> None:
        """Record that ``doing`` something raised."""
        self.error = f"{doing}: {type(error).__name__}: {error}".splitlines()[0]
        self.traceback = "".join(traceback.format_exception(error))


class PluginHost:
    """The loaded plugins, the registry of what they offer, and the observers among them."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(CatalogueSpecs)
        self.manager.add_hookspecs(LifecycleSpecs)
        self.plugins: list[LoadedPlugin] = []
        self.files: list[Path] = []
        self.registry = Registry()

    def register(self, module: object, plugin: LoadedPlugin) -> None:
        """Register a plugin's module and read its catalogue; what goes wrong is recorded on ``plugin``."""
        identity = f"{plugin.origin.distribution}:{plugin.name}"
        try:
            self.manager.register(module, name=identity)
            self._refuse_unknown_hooks(module)
        except Exception as error:
            if self.manager.has_plugin(identity):
                self.manager.unregister(name=identity)
            plugin.fail(error, "registering")
            return
        for kind, (hook, description) in KINDS.items():
            try:
                infos = list(self._call(hook, module))
                for info in infos:
                    if not isinstance(info, description):
                        raise TypeError(f"{hook} returned {info!r}, which is no {description.__name__}")
            except Exception as error:
                plugin.fail(error, hook)
                continue
            for info in infos:
                self.registry.add(kind, info, plugin.origin)
            if infos:
                plugin.offers[kind] = [info.name for info in infos]
        try:
            suites = [Path(path) for path in self._call("rmtl_suites", module)]
        except Exception as error:
            plugin.fail(error, "rmtl_suites")
            return
        self.registry.suites += [(path, plugin.origin) for path in suites]
        if suites:
            plugin.offers["suite"] = [path.stem for path in suites]

    def _refuse_unknown_hooks(self, module: object) -> None:
        known = [name for specs in (CatalogueSpecs, LifecycleSpecs) for name in vars(specs) if name[:5] == "rmtl_"]
        for name in dir(module):
            marked = getattr(getattr(module, name, None), f"{PROJECT}_impl", None)
            if marked is not None and name not in known:
                raise PluginError(f"there is no hook {name!r}" + did_you_mean(name, known))

    def _call(self, hook: str, module: object) -> Iterable[Any]:
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            if implementation.plugin is module:
                return implementation.function() or ()
        return ()

    def notify(self, hook: str, **arguments: object) -> None:
        """Call a lifecycle hook on every observer; one that raises is named on stderr and passed over."""
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            try:
                implementation.function(*(arguments[name] for name in implementation.argnames))
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
                print(f"warning: {hook} of {implementation.plugin_name} raised {text}", file=sys.stderr)


def load_plugins(files: Sequence[Path] = ()) -> PluginHost:
    """Load every installed plugin that the environment allows, then the one-file plugins ``files``.

    Raises :class:`UsageError` for a file that is none, or an unknown name in a switch, and
    :class:`PluginError` for a one-file plugin that is broken: who names a file wants it.
    """
    host = PluginHost()
    strict = os.environ.get("RMTL_BENCH_STRICT_PLUGINS", "") not in ("", "0")
    for point in _chosen_entry_points():
        distribution = point.dist
        origin = Origin(distribution.name, distribution.version) if distribution else Origin("unknown", "0")
        plugin = LoadedPlugin(point.name, origin, point.value)
        started = time.perf_counter()
        try:
            module = point.load()
        # A module that ends the program while it is imported is as broken as one that raises.
        except (Exception, SystemExit) as error:
            plugin.fail(error, "importing")
        else:
            host.register(module, plugin)
        plugin.seconds = time.perf_counter() - started
        host.plugins.append(plugin)
        if strict and plugin.error:
            raise PluginError(f"plugin {plugin.name!r} of {origin} is broken: {plugin.error}")
    for file in files:
        _load_file(host, Path(file))
    return host


def _chosen_entry_points() -> list[metadata.EntryPoint]:
    points = sorted(metadata.entry_points(group=PROJECT), key=lambda p: (p.name, p.dist.name if p.dist else ""))
    names = {p.name for p in points}

    def listed(switch: str) -> set[str] | None:
        if switch not in os.environ:
            return None
        chosen = {name.strip() for name in os.environ[switch].split(",") if name.strip()}
        for name in sorted(chosen - names):
            raise UsageError(f"{switch}: no plugin is called {name!r}" + did_you_mean(name, names))
        return chosen

    only, without = listed("RMTL_BENCH_LOAD_PLUGINS"), listed("RMTL_BENCH_DISABLE_PLUGINS") or set()

    def wanted(point: metadata.EntryPoint) -> bool:
        if point.dist is not None and point.dist.name == CORE_DISTRIBUTION:
            return True
        return (only is None or point.name in only) and point.name not in without

    return [point for point in points if wanted(point)]


def _load_file(host: PluginHost, file: Path) -> None:
    if not file.is_file():
        raise UsageError(f"--plugin {str(file)!r} is no file")
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:12]
    name = f"rmtl_bench_file_{file.stem.replace('-', '_')}_{digest}"
    plugin = LoadedPlugin(file.stem, Origin(file.name, digest), str(file))
    spec = util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"--plugin {str(file)!r} is no Python file (its name must end in .py)")
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise PluginError(f"plugin file {file} cannot be imported: {type(error).__name__}: {error}") from error
    host.register(module, plugin)
    if plugin.error:
        raise PluginError(f"plugin file {file} is broken: {plugin.error}")
    host.plugins.append(plugin)
    host.files.append(file.resolve())
