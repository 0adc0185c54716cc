from __future__ import annotations

import numpy as np
import pytest

from rmtl_bench.report.figures import report_figures, to_svg
from rmtl_bench.report.figures.cells import is_gap
from rmtl_bench.report.figures.style import MUTED, SERIES

CELL = "cells-a-b-click-auc"


def _uses(svg, method):
    """Return how many markers of each size a method has."""
    radius = {element.attrib["id"]: element.attrib["d"] for element in svg.all("path") if "id" in element.attrib}
    drawn = [e.attrib["href"].removeprefix("#") for e in svg.of_method(method) if e.tag.endswith("}use")]
    return [radius[name] for name in drawn]


def test_every_score_is_a_dot_of_its_method_beside_one_mean(svgs, odd):
    for method in ("ple/equal", f"mmoe/{odd}", "ple/other-3"):
        assert len(_uses(svgs[CELL], method)) == 4 + 1


def test_a_planned_method_without_scores_is_named_and_draws_nothing(make_parts, parse):
    suite, board, diagnostics, bins = make_parts(planned=6)
    figure = next(report_figures(suite, board, diagnostics, bins))
    assert "equal (4/6)" in parse(to_svg(figure, "f-")).texts()


def test_the_best_mean_of_a_backbone_stands_on_top(make_parts, svgs):
    _, board, _, _ = make_parts()
    rows = board.rows[(board.rows["task"] == "click") & (board.rows["metric"] == "auc")]
    best_first = rows[rows["backbone"] == "mmoe"].sort_values("mean", ascending=False)["method"].tolist()
    heights = {
        method: min(float(e.attrib["y"]) for e in svgs[CELL].of_method(method) if e.tag.endswith("}text"))
        for method in best_first
    }
    assert sorted(heights, key=heights.__getitem__) == best_first


def test_the_reference_is_named_and_its_mean_marked_on_every_panel(svgs):
    svg = svgs[CELL]
    assert "equal (reference)" in svg.texts()
    assert len([e for e in svg.all("path") if "stroke-dasharray" in svg.style(e)]) == 2


def test_methods_that_the_suite_names_are_in_colour_and_all_others_grey(make_parts, parse, odd):
    figure = next(report_figures(*make_parts()))
    svg = parse(to_svg(figure, "f-", themed=False))
    colours = {
        method: {colour for e in svg.of_method(method) for colour in (*SERIES, MUTED) if colour in svg.style(e)}
        for method in ("ple/equal", "ple/tuned", f"ple/{odd}", "ple/other-1")
    }
    assert colours["ple/equal"] == {SERIES[0]}
    assert len({*colours["ple/tuned"], *colours[f"ple/{odd}"]} - {MUTED}) == 2
    assert colours["ple/other-1"] == {MUTED}


def test_a_score_far_from_all_others_is_drawn_at_the_end_of_the_axis_and_told(make_parts, parse):
    suite, board, diagnostics, bins = make_parts()
    far = (suite.scores["method"] == "ple/other-2") & (suite.scores["seed"] == 0)
    suite.scores.loc[far & (suite.scores["metric"] == "auc"), "value"] = 0.01
    figure = next(report_figures(suite, board, diagnostics, bins))
    assert "Scores beyond the axis, drawn at its end: 1." in figure.caption
    assert len(_uses(parse(to_svg(figure, "f-")), "ple/other-2")) == 4 + 1
    low, _ = figure.figure.axes[0].get_xlim()
    assert low > 0.5


def test_the_numbers_are_told(make_parts, drawn):
    _, board, _, _ = make_parts()
    rows = board.rows[(board.rows["task"] == "click") & (board.rows["metric"] == "auc")]
    best = rows.loc[rows["mean"].idxmax()]
    (alt,) = (figure.alt for figure, _ in drawn if figure.slug == CELL)
    assert f"best mean {best['mean']:.5f} of {best['method']}" in alt
    assert "reference ple/equal" in alt


@pytest.mark.parametrize(("metric", "gap"), [("auc-gap", True), ("mind-the-gap", False), ("auc", False)])
def test_a_gap_is_told_by_the_metric_it_belongs_to(metric, gap):
    assert is_gap(metric, {"auc": True, "auc-gap": False, "mind-the-gap": False}) is gap


def test_verdicts_are_shown_by_signs(make_parts, parse):
    suite, board, diagnostics, bins = make_parts()
    judged = board.rows["reference"].notna()
    board.rows.loc[judged, "verdict"] = np.where(board.rows.loc[judged, "backbone"] == "ple", "better (small)", "worse")
    texts = parse(to_svg(next(report_figures(suite, board, diagnostics, bins)), "f-")).texts()
    assert (texts.count("▲"), texts.count("▼")) == (8, 8)
