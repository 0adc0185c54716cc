from __future__ import annotations

import gc
import re
import subprocess
import sys
import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rmtl_bench.report.figures import SECTIONS, report_figures, to_svg
from rmtl_bench.store.calibration import RELIABILITY_COLUMNS


def test_every_section_has_figures_in_the_declared_order(drawn):
    sections = list(dict.fromkeys(figure.section for figure, _ in drawn))
    assert sections == list(SECTIONS)


def test_slugs_are_unique_and_safe_as_names_of_files(drawn):
    slugs = [figure.slug for figure, _ in drawn]
    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch(r"[a-z0-9-]+", slug) for slug in slugs)
    assert "cells-a-b-click-auc" in slugs


def test_names_that_differ_in_signs_alone_get_slugs_of_their_own(make_parts):
    suite, board, diagnostics, bins = make_parts()
    rows = board.rows.assign(task=board.rows["task"].map({"click": "a b", "pay": "a&b"}))
    figures = report_figures(suite, replace(board, rows=rows), diagnostics, bins, metrics=["auc"])
    slugs = [figure.slug for figure in figures if figure.section == "cells"]
    assert slugs == ["cells-a-b-a-b-auc", "cells-a-b-a-b-auc-2"]


def test_only_the_metrics_asked_for_are_drawn(make_parts):
    figures = list(report_figures(*make_parts(), metrics=["logloss"]))
    slugs = {figure.slug for figure in figures if figure.section in ("cells", "curves", "cost", "gap")}
    assert slugs == {
        *(f"{section}-a-b-{task}-logloss" for section in ("cells", "curves") for task in ("click", "pay")),
        "cost-a-b-logloss-seconds-a-step",
    }


def test_the_distance_to_the_optimum_is_shown_with_its_metric_and_in_its_own_section_alone(make_parts):
    slugs = [figure.slug for figure in report_figures(*make_parts(), metrics=["auc"])]
    assert {slug for slug in slugs if slug.startswith("gap-")} == {"gap-a-b-click-auc", "gap-a-b-pay-auc"}
    assert not any("auc-gap" in slug for slug in slugs)


def test_names_are_escaped_and_kept(svgs, odd):
    for svg in svgs.values():
        assert "<script" not in svg.text
        assert f"ple/{odd}" in svg.values("data-method") or f"mmoe/{odd}" in svg.values("data-method")
    assert any(odd in text for text in svgs["cells-a-b-click-auc"].texts())


def test_no_figure_points_outside_itself(svgs):
    for svg in svgs.values():
        ids = svg.values("id")
        assert len(set(ids)) == len(ids)
        assert all(href.removeprefix("#") in ids for href in svg.values("href"))
        assert all(re.fullmatch(r"url\(#(.*)\)", clip)[1] in ids for clip in svg.values("clip-path"))
        assert "http" not in svg.text.replace("http://www.w3.org/2000/svg", "")


def test_a_reader_who_sees_nothing_hears_title_and_numbers(drawn, svgs):
    for figure, _ in drawn:
        svg = svgs[figure.slug]
        assert [element.text for element in svg.all("title")] == [figure.title]
        assert [element.text for element in svg.all("desc")] == [figure.alt]
        assert svg.root.attrib["role"] == "img"
        assert re.search(r"\d", figure.alt)


def test_figures_are_drawn_one_by_one_and_kept_by_nobody(make_parts):
    figures = report_figures(*make_parts())
    first = weakref.ref(next(figures).figure)
    next(figures)
    gc.collect()
    assert first() is None


@pytest.mark.parametrize("seeds", [1, 2])
def test_one_seed_has_no_band_and_no_interval_and_nothing_fails(make_parts, parse, seeds):
    parts = make_parts(seeds)
    curves = [
        parse(to_svg(figure, "f-"))
        for figure in report_figures(*parts)
        if figure.section in ("cells", "curves", "cost")
    ]
    bands = [e for svg in curves for e in svg.all() if "fill-opacity:0.13" in svg.style(e)]
    assert bool(bands) == (seeds > 1)


def test_a_suite_without_any_figure_to_draw_yields_none(make_parts):
    suite, board, diagnostics, _ = make_parts()
    nothing = replace(
        diagnostics,
        epochs=diagnostics.epochs[:0],
        weights=diagnostics.weights[:0],
        diagnostics=diagnostics.diagnostics[:0],
    )
    empty = replace(board, rows=board.rows[:0], costs=board.costs[:0])
    bins = pd.DataFrame(columns=list(RELIABILITY_COLUMNS))
    assert list(report_figures(replace(suite, scores=suite.scores[:0]), empty, nothing, bins)) == []


def test_what_is_not_finite_is_left_out(make_parts, parse):
    suite, board, diagnostics, bins = make_parts()
    scores = suite.scores.assign(value=suite.scores["value"].where(suite.scores["seed"] > 0, np.inf))
    epochs = diagnostics.epochs.assign(mean=np.nan, n=0)
    for figure in report_figures(replace(suite, scores=scores), board, replace(diagnostics, epochs=epochs), bins):
        svg = parse(to_svg(figure, "f-"))
        assert not re.search(r"[\"LM ](nan|inf)", " ".join([*svg.values("d"), *svg.values("x")]), re.IGNORECASE)


def test_too_few_blocks_draw_no_diagram(make_parts, tested):
    untested = replace(tested, reason="3 independent blocks; 8 are needed", average_ranks=pd.Series(dtype=float))
    assert not [f for f in report_figures(*make_parts(), critical=[untested]) if f.section == "critical-difference"]


def test_a_report_does_not_import_matplotlib_until_figures_are_asked_for():
    code = "import sys, rmtl_bench.report; sys.exit('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
