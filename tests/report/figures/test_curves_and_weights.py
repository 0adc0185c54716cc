from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rmtl_bench.report.figures.curves import with_bounds
from rmtl_bench.report.figures.timeline import broken, on_timeline, stage_table
from rmtl_bench.statistics import mean_interval


def test_stages_stand_one_after_another_in_the_order_they_came():
    labels = {"dataset": "toy", "backbone": "ple", "weighting": "w"}
    epochs = pd.DataFrame({"stage": ["b", "b", "a", "a", "a", "c"], "epoch": [1, 2, 1, 2, 3, 1], **labels})
    stages = stage_table([epochs])
    assert dict(zip(stages["stage"], stages["start"], strict=True)) == {"b": 0, "a": 2, "c": 5}
    placed = on_timeline(epochs[epochs["stage"] != "a"].assign(mean=[1.0, 2.0, 3.0]), stages)
    assert placed["x"].tolist() == [1, 2, 6]
    line = broken(placed, ("x", "mean"))
    assert line["mean"].tolist() == pytest.approx([1.0, 2.0, np.nan, 3.0], nan_ok=True)


def test_bounds_are_the_t_interval_of_the_seeds():
    values = [0.61, 0.64, 0.68]
    rows = pd.DataFrame({"mean": [np.mean(values)], "sd": [np.std(values, ddof=1)], "n": [3]})
    found, right = with_bounds(rows, 0.95).iloc[0], mean_interval(values)
    assert (found["low"], found["high"]) == pytest.approx((right.low, right.high))


def test_stages_are_named_above_the_panels(svgs):
    texts = svgs["curves-a-b-click-auc"].texts()
    assert [texts.count(stage) for stage in ("warm-up", "critic", "end", "train")] == [2, 2, 2, 0]


def test_a_line_breaks_where_a_stage_begins(svgs, odd):
    svg = svgs["curves-a-b-click-auc"]
    lines = [
        e.attrib["d"] for e in svg.of_method(f"ple/{odd}") if e.tag.endswith("}path") and "fill:none" in svg.style(e)
    ]
    assert [line.count("M") for line in lines if line.count("L") > 2] == [2]


def test_methods_in_colour_have_bands_and_others_thin_lines(svgs, odd):
    svg = svgs["curves-a-b-click-auc"]
    banded = {
        method
        for method in set(svg.values("data-method"))
        if any("fill-opacity:0.13" in svg.style(e) for e in svg.of_method(method))
    }
    assert banded == {f"{b}/{w}" for b in ("ple", "mmoe") for w in ("equal", "tuned", odd)}


def test_weights_of_one_and_the_same_value_are_left_out(svgs, odd):
    for backbone in ("ple", "mmoe"):
        methods = set(svgs[f"weights-a-b-{backbone}"].values("data-method"))
        assert methods == {f"{backbone}/{w}" for w in ("tuned", odd, *(f"other-{k}" for k in range(6)))}


def test_each_task_has_a_mean_and_two_bands(svgs):
    svg = svgs["weights-a-b-ple"]
    styles = [svg.style(element) for element in svg.of_method("ple/tuned")]
    assert [sum(f"fill-opacity:{alpha}" in style for style in styles) for alpha in (0.14, 0.22)] == [2, 2]
    assert {"click", "pay"} <= set(svg.texts())


def test_what_weightings_found_is_drawn_by_epoch_by_position_and_as_a_whole(svgs, odd):
    slugs = {slug for slug in svgs if slug.startswith("critics-")}
    assert slugs == {
        "critics-a-b-critic-by-epoch",
        "critics-a-b-by-position-in-the-session",
        "critics-a-b-after-the-training",
    }
    for slug in slugs:
        assert set(svgs[slug].values("data-method")) == {f"ple/{odd}", f"mmoe/{odd}"}
