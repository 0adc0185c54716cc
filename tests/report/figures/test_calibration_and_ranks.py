from __future__ import annotations

import numpy as np
import pytest


def test_rare_labels_are_drawn_on_logarithmic_axes(drawn):
    axes = {figure.slug: figure.figure.axes[0] for figure, _ in drawn if figure.section == "calibration"}
    assert axes["calibration-a-b-pay"].get_xscale() == "log"
    assert all("logarithmic" in figure.caption for figure, _ in drawn if figure.slug == "calibration-a-b-pay")


def test_only_methods_in_colour_are_drawn(svgs, odd):
    methods = set(svgs["calibration-a-b-click"].values("data-method"))
    assert methods == {f"{b}/{w}" for b in ("ple", "mmoe") for w in ("equal", "tuned", odd)}


def test_the_means_are_told(drawn):
    (alt,) = (figure.alt for figure, _ in drawn if figure.slug == "calibration-a-b-click")
    assert "ple/equal predicts 0.4950 on average where 0.5445 was observed" in alt


def test_a_bar_joins_each_group(drawn, tested):
    (figure,) = (figure.figure for figure, _ in drawn if figure.section == "critical-difference")
    bars = [line for line in figure.axes[0].lines if line.get_gid() == "group"]
    assert [list(bar.get_ydata()) for bar in bars] == [[0, 1], [2, 3]]
    places = [line.get_xdata()[-1] for line in figure.axes[0].lines if line.get_marker() not in ("None", "o") or False]
    assert set(np.round(places, 2)) <= set(np.round(tested.average_ranks, 2))


def test_the_test_behind_the_ranks_is_named(drawn):
    (figure,) = (figure for figure, _ in drawn if figure.section == "critical-difference")
    assert "8 independent blocks" in figure.caption
    assert "0.0100" in figure.caption
    assert figure.alt.startswith("Average ranks of 4 methods over 8 blocks by auc: ple/equal 1.20")


def test_the_optimum_is_marked(svgs):
    assert "optimum" in svgs["gap-a-b-click-auc"].texts()
    assert "optimum" not in svgs["cells-a-b-click-auc"].texts()


@pytest.mark.parametrize("section", ["cells", "gap"])
def test_a_forest_has_a_panel_a_backbone(drawn, section):
    figures = [figure.figure for figure, _ in drawn if figure.section == section]
    assert {len(figure.axes) for figure in figures} == {2}
