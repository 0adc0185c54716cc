"""The page as text: templates, styles and scripts put into one file that needs nothing else."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rmtl_bench.contracts.version import __version__
from rmtl_bench.report import footnotes
from rmtl_bench.report.across import ACROSS
from rmtl_bench.report.claims import CLAIMS, STARS
from rmtl_bench.report.costs import cost_sections
from rmtl_bench.report.figures import DARK, LIGHT
from rmtl_bench.report.findings import findings
from rmtl_bench.report.page.cells import cell_blocks
from rmtl_bench.report.page.completeness import completeness, ending
from rmtl_bench.report.page.contents import ReportContents
from rmtl_bench.report.page.drawings import DrawingGroup
from rmtl_bench.report.page.failures import failures
from rmtl_bench.report.page.judged import IMPROVEMENT, across_tables, family_tables
from rmtl_bench.report.page.matrices import Matrices, matrices
from rmtl_bench.report.page.reproduction import reproduction
from rmtl_bench.report.page.views import SIGNS, section_table
from rmtl_bench.report.session_variance import SESSION_FOOTNOTE, session_sections
from rmtl_bench.statistics import split_method

TEMPLATES = "templates"
"""The folder of the templates, the style sheet and the script, beside this module."""

SAMPLE = "a sample: what the suite's own [sample] section declares, which is not the suite itself"
"""Said on top of the report of a sample."""

# What would end a script, begin a comment, or be no line of JavaScript.
_HARMLESS = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def render_page(contents: ReportContents, groups: Sequence[DrawingGroup]) -> str:
    """Return the page of a report with these figures."""
    environment = Environment(
        loader=PackageLoader("rmtl_bench.report.page", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["fresh"] = itertools.count(1).__next__
    style, script = (_plain(environment, name) for name in ("report.css", "report.js"))
    return environment.get_template("report.html.j2").render(
        style=style, script=script, light=_variables(LIGHT), dark=_variables(DARK), **_parts(contents, groups)
    )


def _parts(contents: ReportContents, groups: Sequence[DrawingGroup]) -> dict[str, Any]:
    board, plan = contents.board, contents.suite.plan
    pairs = matrices(contents)
    blocks = list(cell_blocks(contents))
    return {
        "version": __version__,
        "title": board.settings.title,
        "times": tuple(time[:16].replace("T", " ") for time in contents.times if time),
        "store": contents.store.path.name,
        "runs": len(plan.cells),
        "notes": (*((SAMPLE,) if plan.sample else ()), *board.notes, *contents.notes),
        "found": found(contents),
        "completeness": completeness(contents),
        "blocks": blocks,
        "rows": sum(len(block.table.rows) for block in blocks),
        "choices": _choices(contents),
        "backbones": _by_backbone(contents.methods),
        "matrices": pairs,
        "pairs_json": as_json(_pairs_data(pairs)),
        "signs": [(sign.sign, sign.tone, verdict) for verdict, sign in SIGNS.items()],
        "families": list(family_tables(contents)),
        "groups": groups,
        "variance": contents.variance,
        "variance_tables": [section_table(s, contents.methods) for s in session_sections(contents.variance.rows)],
        "across": list(across_tables(contents)),
        "costs": [section_table(section, contents.methods) for section in cost_sections(board.costs)],
        "failures": failures(contents),
        "reproduction": reproduction(contents),
        "footnotes": _footnotes(contents),
    }


def found(contents: ReportContents) -> list[str]:
    """Return what was found, in sentences; runs that did not end well are said first."""
    ended = ending(contents)
    first = [f"Of {len(contents.suite.plan.cells)} planned runs {ended}; their messages are below."] if ended else []
    return [*first, *findings(contents.board, contents.metrics or None)]


def as_json(data: Any) -> Markup:
    """Return data as JSON for a script element: no text in it can end the element or be taken for markup."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_HARMLESS))  # noqa: S704 -- escaped in the line above


def _pairs_data(pairs: Matrices) -> dict[str, Any]:
    cells = [matrix.data for matrix in pairs.matrices if "v" in matrix.data]
    return {"words": list(pairs.verdicts), "signs": [SIGNS[word].sign for word in pairs.verdicts], "cells": cells}


def _choices(contents: ReportContents) -> list[tuple[str, list[str]]]:
    """Return what a reader may choose of the leaderboard, by name: data sets, tasks, metrics, backbones."""
    rows = contents.board.rows
    names = ("dataset", "task", "metric", "backbone")
    return [(name, list(dict.fromkeys(map(str, rows[name])))) for name in names]


def _by_backbone(methods: Sequence[str]) -> list[tuple[str, list[tuple[str, str]]]]:
    grouped: dict[str, list[tuple[str, str]]] = {}
    for method in methods:
        backbone, weighting = split_method(method)
        grouped.setdefault(backbone, []).append((method, weighting))
    return list(grouped.items())


def _footnotes(contents: ReportContents) -> list[str]:
    board = contents.board
    settings = board.settings
    shown = {name: region for name, region in settings.equivalence.items() if name in contents.metrics}
    lines = [
        footnotes.COUNTS,
        footnotes.difference(settings.confidence, settings.protocol),
        footnotes.RANK,
        footnotes.verdicts(shown, settings.protocol),
        footnotes.ROBUST,
    ]
    if board.rows["control"].notna().any():
        lines.append(footnotes.controls([family.name for family in settings.families if family.control]))
    lines += [ACROSS, IMPROVEMENT] if len(board.across) else []
    lines += [CLAIMS] if (board.claims["references"] > 1).any() else []
    lines += [STARS] if len(board.stars) else []
    lines += [SESSION_FOOTNOTE] if len(contents.variance.rows) else []
    lines += [footnotes.COST] if len(board.costs) else []
    return lines


def _variables(colours: Mapping[str, str]) -> Markup:
    return Markup(";".join(f"{name}:{colour}" for name, colour in colours.items()))  # noqa: S704 -- our own colours


def _plain(environment: Environment, name: str) -> Markup:
    """Return a file of the package as it is."""
    if environment.loader is None:
        raise LookupError(name)
    return Markup(environment.loader.get_source(environment, name)[0])  # noqa: S704 -- our own files
