"""The page of methods, from descriptions made for it."""

from __future__ import annotations

import re

import pytest

from rmtl_bench import BackboneInfo, Parameter, WeightingInfo
from rmtl_bench.plugins.registry import Origin, Registry
from rmtl_bench.report.methods import methods_page, short_paper

OURS, THEIRS = Origin("our-methods", "1.2"), Origin("their-methods", "0.3")
FULL = WeightingInfo(
    name="solved",
    target="m:C",
    summary="solves a | b",
    paper="Solver et al., Solving It, CONF 2024, arXiv 2401.00001",
    year=2024,
    differs="Elsewhere it is divided by a_b*c.",
    form="gradient",
    cost="one pass a task",
    needs=("no_such_solver",),
    install="pip install no-such-solver",
    requires=frozenset({"shared-parameters", "a"}),
    provides=frozenset({"peace"}),
    parameters={
        "rate": Parameter(0.5, "how much | of it", minimum=0, maximum=1),
        "modes": Parameter(("a|b",), "which", choices=("a|b", "c")),
        "deep": Parameter(False, "whether it is"),
        "free": Parameter((), "weights", kind="floats"),
    },
)


def _plain(kind, name, **said):
    return kind(name=name, target="m:C", summary=f"{name} in a few words", **said)


ENTRIES = [
    ("weighting", _plain(WeightingInfo, "zeta", form="loss"), OURS),
    ("weighting", _plain(WeightingInfo, "alpha", form="staged"), OURS),
    ("weighting", FULL, THEIRS),
    ("weighting", _plain(WeightingInfo, "beta", form="loss", cost="one pass"), THEIRS),
    ("weighting", _plain(WeightingInfo, "formless"), THEIRS),
    ("backbone", _plain(BackboneInfo, "wide", paper="Wide, On Width, 1999"), OURS),
    ("backbone", _plain(BackboneInfo, "deep"), OURS),
]


def _page(entries):
    registry = Registry()
    for kind, info, origin in entries:
        registry.add(kind, info, origin)
    return methods_page(registry)


@pytest.fixture(scope="module")
def page():
    return _page(ENTRIES)


def _cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _section(page, heading):
    return re.split(r"^#+ .*$", page.split(f"# {heading}\n")[1], maxsplit=1, flags=re.MULTILINE)[0].strip()


def test_the_overview_names_every_method_by_form_and_name_with_paper_and_cost(page):
    heading, _, *rows = _section(page, "Overview").splitlines()
    assert _cells(heading) == ["name", "kind", "paper", "cost"]
    assert [_cells(row) for row in rows] == [
        ["beta", "loss weighting", "-", "one pass"],
        ["zeta", "loss weighting", "-", "-"],
        ["solved", "gradient weighting", "Solver et al. 2024", "one pass a task"],
        ["alpha", "staged weighting", "-", "-"],
        ["formless", "weighting", "-", "-"],
        ["deep", "backbone", "-", "-"],
        ["wide", "backbone", "Wide 1999", "-"],
    ]


def test_headings_group_weightings_by_form_before_the_backbones(page):
    assert re.findall(r"^(#+ .*)$", page, flags=re.MULTILINE) == [
        "# Methods",
        "## Overview",
        "## Weightings",
        *("### Loss weightings", "#### beta", "#### zeta"),
        *("### Gradient weightings", "#### solved"),
        *("### Staged weightings", "#### alpha"),
        *("### Other weightings", "#### formless"),
        "## Backbones",
        *("### deep", "### wide"),
    ]


def test_a_method_says_all_that_its_plugin_says(page):
    summary, facts, table = _section(page, "solved").split("\n\n")
    assert summary == r"solves a \| b"
    assert facts.splitlines() == [
        "- paper: Solver et al., Solving It, CONF 2024, arXiv 2401.00001",
        "- cost: one pass a task",
        "- requires: a, shared-parameters",
        "- provides: peace",
        r"- where implementations differ: Elsewhere it is divided by a\_b\*c.",
        r"- needs: no\_such\_solver; type `pip install no-such-solver`",
        "- from: their-methods",
    ]
    heading, _, *rows = table.splitlines()
    assert _cells(heading) == ["parameter", "default", "takes", "meaning"]
    assert [_cells(row) for row in rows] == [
        ["`rate`", "`0.5`", "a number from 0 to 1", r"how much \| of it"],
        ["`modes`", r'`["a\|b"]`', r"a list of texts, each one of 'a\|b', 'c'", "which"],
        ["`deep`", "`false`", "true or false", "whether it is"],
        ["`free`", "`[]`", "a list of numbers", "weights"],
    ]


def test_what_is_not_said_is_left_out(page):
    assert _section(page, "zeta") == "zeta in a few words\n\n- from: our-methods"


def test_no_version_is_said_so_that_the_page_is_stable(page):
    later = [(kind, info, Origin(origin.distribution, "9.9")) for kind, info, origin in ENTRIES]
    assert _page(later) == page


def test_the_order_in_which_plugins_are_loaded_does_not_matter(page):
    assert _page(ENTRIES[::-1]) == page


def test_a_name_taken_twice_is_shown_twice():
    twice = [("backbone", _plain(BackboneInfo, "deep"), origin) for origin in (THEIRS, OURS)]
    assert re.findall(r"^- from: (.*)$", _page(twice), flags=re.MULTILINE) == ["our-methods", "their-methods"]


def test_of_nothing_there_is_an_empty_overview():
    page = _page([])
    assert "0 weightings, 0 backbones." in page
    assert "## Weightings" not in page


@pytest.mark.parametrize(
    ("paper", "year", "short"),
    [
        ("", 0, ""),
        ("Ma et al., Multi-gate Mixture-of-Experts, KDD 2018", 2018, "Ma et al. 2018"),
        ("Ma et al., Multi-gate Mixture-of-Experts, KDD 2018", 0, "Ma et al. 2018"),
        ("Lin et al., Weighting in 1999 Ways, arXiv 2001.06782", 2020, "Lin et al. 2020"),
        ("Lin et al., Weighting, arXiv 2001.06782", 0, "Lin et al."),
        (
            "Un, One, C. R. 350, 2012; Deux and Trois, Two, NeurIPS 2018, arXiv 1810.04650",
            2018,
            "Un 2012; Deux and Trois 2018",
        ),
        ("Caruana 1997", 1997, "Caruana 1997"),
    ],
)
def test_a_paper_is_called_by_authors_and_year(paper, year, short):
    assert short_paper(BackboneInfo(name="b", target="m:C", summary="", paper=paper, year=year)) == short
