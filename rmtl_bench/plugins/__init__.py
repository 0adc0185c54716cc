"""Finding plugins, guarding against broken ones, and looking up by name what they offer."""

from __future__ import annotations

from rmtl_bench.plugins.host import LoadedPlugin, PluginHost, load_plugins
from rmtl_bench.plugins.registry import KINDS, Entry, Origin, Registry

__all__ = ["KINDS", "Entry", "LoadedPlugin", "Origin", "PluginHost", "Registry", "load_plugins"]
