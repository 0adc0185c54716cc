"""What the file of a submission must be like, before anything is made of it.

Each check raises :class:`ValueError`, :class:`TypeError` or :class:`KeyError` that names the key and the value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from rmtl_bench.contracts.errors import did_you_mean
from rmtl_bench.store.record_checks import (
    boolean,
    check_cell,
    check_id,
    check_plan,
    mapping,
    mappings,
    text,
    texts,
    whole,
)

MOST_CELLS = 10_000
"""The most cells of a submission, seeds left out."""

LONGEST_LINE = 2_000
"""The most characters of a line of a one-file plugin."""

_KEYS = ("format", "name", "by", "link", "tag", "suite", "control", "environments", "plugins", "cells", "identity")
_SUITE = ("suite", "version", "digest", "sample", "title", "notes", "metrics", "statistics", "seeds", "planned")
_CELL = ("dataset", "fingerprint", "backbone", "weighting", "trainer", "metrics", "runs", "scores")
_COMPONENT = ("name", "label", "version", "distribution", "distribution_version", "parameters")
_RUN = ("seed", "run_id", "environment", "source")
_SCORE = ("task", "metric", "higher_is_better", "values", "mean", "n")
LARGEST_NUMBER = 1e100
"""The largest score: sums of such numbers are finite."""

FACTS = ("python", "platform", "processor", "cores", "git", "torch", "device", "threads", "gpu", "cuda")
"""What a submission says of an environment, beside the versions of distributions."""

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\.py")


def check_form(data: Mapping[str, Any]) -> None:
    """Check keys and types of a submission, so that it can be made and judged."""
    _check_extent(data)
    _exactly(data, (*_KEYS, "digest"), "the submission")
    for key in ("name", "by", "link", "tag", "digest"):
        seen(data[key], key)
    whole(data["identity"], "identity")
    _check_suite(mapping(data["suite"], "suite"))
    if data["control"] != "none":
        for dataset, metrics in mapping(data["control"], "control").items():
            texts(metrics, f"control.{dataset}")
    for place, environment in enumerate(mappings(data["environments"], "environments")):
        _check_environment(environment, f"environments[{place}]")
    for name, lines in mapping(data["plugins"], "plugins").items():
        if not _FILE.fullmatch(name):
            raise ValueError(f"plugins: {name!r:.60} is no name of a Python file")
        texts(lines, f"plugins.{name}", LONGEST_LINE)
    cells = mappings(data["cells"], "cells")
    if not 0 < len(cells) <= MOST_CELLS:
        raise ValueError(f"cells has {len(cells)} elements; it takes 1 to {MOST_CELLS}")
    for place, cell in enumerate(cells):
        _check_cell(cell, f"cells[{place}]", len(data["environments"]))


def seen(value: Any, key: str) -> str:
    """Return a text of one line whose characters can all be seen."""
    if not text(value, key).isprintable():
        raise ValueError(f"{key} is {value!r:.60}; it takes characters that can be seen, in one line")
    return str(value)


def number(value: Any, key: str) -> float | None:
    """Return a number, or ``None`` for a null."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > LARGEST_NUMBER:
        raise TypeError(f"{key} is {value!r:.60}; it takes a number up to {LARGEST_NUMBER:g}, or null")
    return float(value)


def _check_extent(data: Any) -> None:
    """Refuse, at any depth, an integer that is no number of 64 bits and a text that no page has room for."""
    level = [data]
    while level:
        for value in level:
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                raise ValueError("it has a whole number of more than 64 bits")
            if isinstance(value, str) and len(value) > LONGEST_LINE:
                raise ValueError(f"it has a text of more than {LONGEST_LINE} characters: {value!r:.60}...")
        nested = [value for value in level if isinstance(value, (dict, list))]
        level = [inner for value in nested for inner in value]
        level += [inner for value in nested if isinstance(value, dict) for inner in value.values()]


def _exactly(data: Mapping[str, Any], keys: Collection[str], place: str) -> None:
    for key in keys:
        if key not in data:
            raise KeyError(f"{place} has no {key!r}")
    for key in data:
        if key not in keys:
            raise ValueError(f"{place} has an unknown key {key!r:.60}{did_you_mean(key, keys)}")


def _check_suite(suite: Mapping[str, Any]) -> None:
    _exactly(suite, _SUITE, "suite")
    # The cells of a submission stand in it for themselves, and what its suite skips is not its affair.
    check_plan({**suite, "cells": [], "skipped": []})
    seen(suite["suite"], "suite.suite")
    seen(suite["title"], "suite.title")
    whole(suite["seeds"], "suite.seeds")
    texts(suite["planned"], "suite.planned")


def _check_environment(environment: Mapping[str, Any], place: str) -> None:
    _exactly({**dict.fromkeys(FACTS), **environment}, (*FACTS, "distributions"), place)
    for name, version in mapping(environment["distributions"], f"{place}.distributions").items():
        seen(name, f"{place}.distributions")
        seen(version, f"{place}.distributions.{name}")
    for key in FACTS:
        value = environment.get(key)
        if isinstance(value, str):
            seen(value, f"{place}.{key}")
        elif value is not None:
            whole(value, f"{place}.{key}")
    if not isinstance(environment.get("git", ""), (str, type(None))):
        raise TypeError(f"{place}.git is no text")


def _check_cell(cell: Mapping[str, Any], place: str, environments: int) -> None:
    _exactly(cell, _CELL, place)
    for kind in ("dataset", "backbone", "weighting"):
        _exactly(mapping(cell[kind], f"{place}.{kind}"), _COMPONENT, f"{place}.{kind}")
    try:
        check_cell({**cell, "seed": 0})
        for kind in ("dataset", "backbone", "weighting"):
            for key in ("name", "label", "distribution", "distribution_version"):
                if "/" in seen(cell[kind][key], f"{kind}.{key}") and key == "label":
                    raise ValueError(f"{kind}.label has a '/'")
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{place}: {error}") from error
    runs = mappings(cell["runs"], f"{place}.runs")
    for number_, run in enumerate(runs):
        _check_run(run, f"{place}.runs[{number_}]", environments)
    for number_, score in enumerate(mappings(cell["scores"], f"{place}.scores")):
        _check_score(score, f"{place}.scores[{number_}]", len(runs))


def _check_run(run: Mapping[str, Any], place: str, environments: int) -> None:
    _exactly(run, _RUN, place)
    whole(run["seed"], f"{place}.seed")
    check_id(run["run_id"])
    if run["source"] != "":
        check_id(run["source"])
    if whole(run["environment"], f"{place}.environment") >= environments:
        raise ValueError(f"{place}.environment is {run['environment']}; there are {environments}, counted from 0")


def _check_score(score: Mapping[str, Any], place: str, runs: int) -> None:
    _exactly(score, _SCORE, place)
    for key in ("task", "metric"):
        seen(score[key], f"{place}.{key}")
    boolean(score["higher_is_better"], f"{place}.higher_is_better")
    whole(score["n"], f"{place}.n")
    number(score["mean"], f"{place}.mean")
    if not isinstance(score["values"], list) or len(score["values"]) != runs:
        raise ValueError(f"{place}.values are not one for each of {runs} runs")
    for value in score["values"]:
        number(value, f"{place}.values")
