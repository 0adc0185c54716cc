"""Descriptions as rows and as JSON, for the commands that list them."""

from __future__ import annotations

import json
from typing import Any

import click

from rmtl_bench.contracts.catalogue import MetricInfo
from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.plugins.registry import KINDS, Entry, Origin, Registry

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
        "version": info.version,
        "requires": sorted(info.requires),
        "provides": sorted(info.provides),
        "parameters": {
            name: {"default": p.default, "kind": p.kind, "help": p.help, "choices": list(p.choices)}
            for name, p in info.parameters.items()
        },
        "target": info.target,
        "origin": origin_json(entry.origin),
    }
    if isinstance(info, MetricInfo):
        data["higher_is_better"] = info.higher_is_better
    claimants = registry.claimants(info.kind, info.name)
    if len(claimants) > 1:
        data["collision"] = [origin_json(origin) for origin in claimants]
    return data


def print_json(data: Any) -> None:
    """Print data as indented JSON."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))
