"""What is checked: one offer of a plugin, with parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.catalogue import Description
from rmtl_bench.contracts.cell import Component
from rmtl_bench.contracts.errors import PluginError, UsageError, did_you_mean
from rmtl_bench.plugins.host import LoadedPlugin, PluginHost
from rmtl_bench.plugins.registry import KINDS, Entry


@dataclass(frozen=True)
class Subject:
    """One offer of a plugin. ``given``: parameters other than the defaults; ``data_dir``: where raw files lie."""

    entry: Entry
    host: PluginHost
    given: Mapping[str, Any] = field(default_factory=dict)
    data_dir: Path | None = None

    @property
    def info(self) -> Description:
        """Its description."""
        return self.entry.info

    @property
    def kind(self) -> str:
        """``backbone``, ``weighting``, ``dataset``, ``metric`` or ``executor``."""
        return self.entry.info.kind

    @property
    def label(self) -> str:
        """Kind and name, as a message calls it."""
        return f"{self.kind} {self.info.name!r}"

    @property
    def component(self) -> Component:
        """The offer with all its parameters."""
        return self.entry.component(self.given)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """All its parameters, as its class is given them."""
        return self.component.parameters

    @property
    def plugin(self) -> LoadedPlugin:
        """The plugin that it is an offer of."""
        for plugin in self.host.plugins:
            if plugin.origin == self.entry.origin and self.info.name in plugin.offers.get(self.kind, ()):
                return plugin
        raise PluginError(f"{self.label} is an offer of no plugin that was loaded")

    def load(self) -> Any:
        """Import its class, or function. Raises ``UsageError`` or ``PluginError`` where that cannot be."""
        return self.entry.load()


def find_subjects(
    host: PluginHost,
    name: str,
    kind: str = "",
    given: Mapping[str, Any] | None = None,
    data_dir: Path | None = None,
) -> list[Subject]:
    """Return the offers called ``name``; or, where there are none, all offers of the plugin or distribution so called.

    ``kind``: only of this one. Raises :class:`~rmtl_bench.contracts.errors.UsageError` where nothing has this name,
    parameters are given to several offers, or cannot be, and :class:`~rmtl_bench.contracts.errors.PluginError` where
    the name is taken twice, or the plugin is broken.
    """
    kinds = [kind] if kind else list(KINDS)
    named = [each for each in kinds if host.registry.claimants(each, name)]
    entries = [host.registry.find(each, name) for each in named] or _offers(host, name, kinds)
    if given and len(entries) != 1:
        listed = ", ".join(f"{entry.info.kind} {entry.info.name!r}" for entry in entries)
        raise UsageError(f"parameters are given to one offer at a time, and {name!r} means {listed}")
    if given:
        # What was asked for is no fault of the plugin.
        entries[0].component(given)
    return [Subject(entry, host, dict(given or {}), data_dir) for entry in entries]


def _offers(host: PluginHost, name: str, kinds: list[str]) -> list[Entry]:
    plugins = [plugin for plugin in host.plugins if name in (plugin.name, plugin.origin.distribution)]
    if not plugins:
        known = {entry.info.name for kind in kinds for entry in host.registry.entries(kind)}
        known |= {called for plugin in host.plugins for called in (plugin.name, plugin.origin.distribution)}
        what = kinds[0] if len(kinds) == 1 else "offer, plugin or distribution"
        raise UsageError(f"no {what} is called {name!r}" + did_you_mean(name, known))
    for plugin in plugins:
        if plugin.error:
            raise PluginError(f"plugin {plugin.name!r} of {plugin.origin} is broken, {plugin.error}")
    entries = [
        entry
        for kind in kinds
        for entry in host.registry.entries(kind)
        if any(entry.origin == p.origin and entry.info.name in p.offers.get(kind, ()) for p in plugins)
    ]
    if not entries:
        raise UsageError(f"{name!r} offers no {' and no '.join(kinds)}")
    return entries
