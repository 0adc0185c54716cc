"""Descriptions as rows and as JSON, for the commands that list them."""

from __future__ import annotations

import json
import math
import textwrap
from typing import Any

import click

from rmtl_bench.contracts.catalogue import MetricInfo, Parameter, WeightingInfo
from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.contracts.wording import printable
from rmtl_bench.plugins.host import PluginHost
from rmtl_bench.plugins.registry import KINDS, Entry, Origin, Registry

_COLUMN_WIDTH = 48

PLURALS = {f"{kind}s": kind for kind in (*KINDS, "suite")}


def kind_named(word: str) -> str:
    """Return the kind that a singular or plural word means; raise :class:`UsageError` otherwise."""
    kind = PLURALS.get(word, word)
    if kind not in PLURALS.values():
        raise UsageError(f"unknown kind {word!r}" + did_you_mean(word, PLURALS))
    return kind


def origin_json(origin: Origin) -> dict[str, str]:
    """Return an origin as JSON-ready data."""
    return {"distribution": origin.distribution, "version": origin.version}


def entry_json(entry: Entry, registry: Registry) -> dict[str, Any]:
    """Return everything a plugin says of one of its offers, as JSON-ready data."""
    info = entry.info
    data: dict[str, Any] = {
        "name": info.name,
        "kind": info.kind,
        "summary": info.summary,
        "paper": info.paper,
        "year": info.year or None,
        "differs": info.differs,
        "version": info.version,
        "requires": sorted(info.required({})),
        "provides": sorted(info.provides),
        "needs": list(info.needs),
        "lacking": list(info.lacking),
        "install": info.install,
        "parameters": {name: parameter_json(parameter) for name, parameter in info.parameters.items()},
        "target": info.target,
        "origin": origin_json(entry.origin),
    }
    if isinstance(info, MetricInfo):
        data["higher_is_better"] = info.higher_is_better
    if isinstance(info, WeightingInfo):
        data |= {"form": info.form, "cost": info.cost}
    claimants = registry.claimants(info.kind, info.name)
    if len(claimants) > 1:
        data["collision"] = [origin_json(origin) for origin in claimants]
    return data


def parameter_json(parameter: Parameter) -> dict[str, Any]:
    """Return what can be said of a parameter, as JSON-ready data; a bound that it has not is left out."""
    bounds = {"minimum": parameter.minimum, "maximum": parameter.maximum}
    return {
        "default": parameter.default,
        "kind": parameter.kind,
        "takes": parameter.right,
        "help": parameter.help,
        "choices": list(parameter.choices),
        **{side: bound for side, bound in bounds.items() if math.isfinite(bound)},
    }


def filled(text: str) -> str:
    """Return a text in lines of the width of a table's column; no word is broken."""
    return textwrap.fill(text, _COLUMN_WIDTH, break_on_hyphens=False, break_long_words=False)


def print_json(data: Any) -> None:
    """Print data as indented JSON."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def warn_of_broken(host: PluginHost) -> None:
    """Say on stderr which plugins are broken, so that what they offer is missing."""
    broken = [plugin for plugin in host.plugins if plugin.error]
    if broken:
        names = ", ".join(f"{plugin.name} ({plugin.origin})" for plugin in broken)
        click.echo(printable(f"broken plugins, see `rmtl-bench plugins`: {names}"), err=True)
