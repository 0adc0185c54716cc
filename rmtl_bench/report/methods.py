"""The page of methods: what installed plugins say of their weightings and backbones, as Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tabulate import tabulate

from rmtl_bench.contracts.catalogue import FORMS, Description, Parameter, WeightingInfo
from rmtl_bench.plugins.registry import Entry, Registry
from rmtl_bench.report.document import DASH
from rmtl_bench.report.formats import escape_markdown

_INTRODUCTION = """# Methods

What the installed plugins say of their weightings and backbones, as `rmtl-bench methods` prints it."""

# A year, and not the first half of an arXiv number.
_YEAR = re.compile(r"\b(?:19|20)\d\d\b(?!\.\d)")


class _Group(NamedTuple):
    """Methods under one heading, and what each of them is called in the overview."""

    title: str
    kind: str
    entries: list[Entry]


def methods_page(registry: Registry) -> str:
    """Return the page: an overview of all weightings and backbones, then each with all it says.

    Weightings stand by form, everything else by name; versions are left out, so that the page changes only where the
    methods do. The text ends with a newline.
    """
    weightings, backbones = (_sorted(registry.entries(kind)) for kind in ("weighting", "backbone"))
    groups = [
        _Group(f"{form.capitalize()} weightings", f"{form} weighting", _of_form(weightings, form)) for form in FORMS
    ]
    groups = [
        group for group in (*groups, _Group("Other weightings", "weighting", _of_form(weightings, ""))) if group.entries
    ]
    networks = _Group("Backbones", "backbone", backbones)
    parts = [
        _INTRODUCTION,
        f"{len(weightings)} weightings, {len(backbones)} backbones.",
        _overview([*groups, networks]),
    ]
    if groups:
        parts.append("## Weightings")
    for group in groups:
        parts += [f"### {group.title}", *_sections(group.entries, "####")]
    if backbones:
        parts += ["## Backbones", *_sections(backbones, "###")]
    return "\n\n".join(parts) + "\n"


def short_paper(info: Description) -> str:
    """Return the authors and years of a description's papers, which are separated by semicolons."""
    papers = [paper.strip() for paper in info.paper.split(";") if paper.strip()]
    return "; ".join(_short(paper, info.year if len(papers) == 1 else 0) for paper in papers)


def _short(paper: str, year: int) -> str:
    authors = paper.partition(",")[0]
    years = _YEAR.findall(paper)
    said = str(year) if year else years[-1] if years else ""
    return authors if not said or said in authors else f"{authors} {said}"


def _sorted(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (entry.info.name, entry.origin.distribution))


def _of_form(weightings: Sequence[Entry], form: str) -> list[Entry]:
    return [entry for entry in weightings if isinstance(entry.info, WeightingInfo) and entry.info.form == form]


def _overview(groups: Sequence[_Group]) -> str:
    rows = [
        [escape_markdown(text) or DASH for text in (entry.info.name, group.kind, short_paper(entry.info), _cost(entry))]
        for group in groups
        for entry in group.entries
    ]
    return "## Overview\n\n" + _table(("name", "kind", "paper", "cost"), rows)


def _sections(entries: Iterable[Entry], level: str) -> Iterable[str]:
    for entry in entries:
        yield f"{level} {escape_markdown(entry.info.name)}"
        if entry.info.summary:
            yield escape_markdown(entry.info.summary)
        yield "\n".join(f"- {what}: {text}" for what, text in _facts(entry) if text)
        if entry.info.parameters:
            rows = [_parameter_row(name, parameter) for name, parameter in entry.info.parameters.items()]
            yield _table(("parameter", "default", "takes", "meaning"), rows)


def _facts(entry: Entry) -> Iterable[tuple[str, str]]:
    info = entry.info
    yield "paper", escape_markdown(info.paper)
    yield "cost", escape_markdown(_cost(entry))
    yield "requires", escape_markdown(", ".join(sorted(info.required({}))))
    yield "provides", escape_markdown(", ".join(sorted(info.provides)))
    yield "where implementations differ", escape_markdown(info.differs)
    if info.needs:
        yield "needs", f"{escape_markdown(' and '.join(info.needs))}; type `{info.install}`"
    yield "from", escape_markdown(entry.origin.distribution)


def _parameter_row(name: str, parameter: Parameter) -> list[str]:
    default = json.dumps(parameter.default, ensure_ascii=False).replace("|", r"\|")
    return [f"`{name}`", f"`{default}`", escape_markdown(parameter.right), escape_markdown(parameter.help)]


def _cost(entry: Entry) -> str:
    return entry.info.cost if isinstance(entry.info, WeightingInfo) else ""


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return str(tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True))
