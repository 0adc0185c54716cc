from __future__ import annotations

import re
from itertools import combinations

import matplotlib
import numpy as np
import pytest

from rmtl_bench.report.figures import DARK, LIGHT, report_figures, save, to_svg
from rmtl_bench.report.figures.style import drawing, look


def _linear(colour):
    channels = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def _contrast(one, other):
    light, dark = sorted((_linear(c) @ (0.2126, 0.7152, 0.0722) for c in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_colours_can_be_read_on_their_page(theme):
    assert all(_contrast(theme[f"--c{number}"], theme["--page"]) >= 3 for number in range(1, 9))
    assert _contrast(theme["--ink"], theme["--page"]) >= 7
    assert _contrast(theme["--muted"], theme["--page"]) >= 4.5


def test_series_are_told_apart_without_colour():
    looks = [look(number) for number in range(16)]
    assert len(set(map(str, looks))) == 16
    assert all((a.marker, str(a.line)) != (b.marker, str(b.line)) for a, b in combinations(looks[:8], 2))


def test_the_same_figure_gives_the_same_bytes(make_parts):
    first, again = (to_svg(next(report_figures(*make_parts())), "f-") for _ in range(2))
    assert first == again
    figure = next(report_figures(*make_parts()))
    assert to_svg(figure, "f-") == to_svg(figure, "f-") == first


def test_ids_begin_with_the_prefix(make_parts, parse):
    svg = parse(to_svg(next(report_figures(*make_parts())), "one-"))
    names = [*svg.values("id"), *svg.values("class")]
    assert names
    assert all(name.startswith("one-") for name in names)
    assert all(rule.startswith("one-") for rule in re.findall(r"\.([\w-]+)\{", svg.text))


def test_a_themed_figure_has_variables_for_colours_and_another_has_none(make_parts):
    figure = next(report_figures(*make_parts()))
    themed, plain = to_svg(figure, "f-"), to_svg(figure, "f-", themed=False)
    assert set(re.findall(r"var\((--\w+)\)", themed)) <= set(LIGHT)
    assert {"--ink", "--muted", "--grid", "--c1"} <= set(re.findall(r"var\((--\w+)\)", themed))
    assert not re.search(r"#[0-9a-f]{6}\b", themed)
    assert "var(" not in plain


def test_it_scales_and_its_text_is_text(make_parts, parse):
    svg = parse(to_svg(next(report_figures(*make_parts())), "f-"))
    assert not {"width", "height"} & set(svg.root.attrib)
    assert svg.text.startswith("<svg ")
    assert "tuned" in svg.texts()
    # The reader's fonts are the page's affair; two decimals of a point are.
    assert not re.search(r"\d\.\d{3}", " ".join([*svg.values("d"), *svg.values("x"), *svg.values("y")]))


def test_files_are_an_svg_of_a_size_and_a_pdf_with_embedded_fonts_without_a_date(make_parts, parse, tmp_path):
    figure = next(report_figures(*make_parts()))
    paths = save(figure, tmp_path, figure.slug)
    assert paths == [tmp_path / "cells-a-b-click-auc.svg", tmp_path / "cells-a-b-click-auc.pdf"]
    root = parse(paths[0].read_text(encoding="utf-8")).root
    assert root.attrib["width"] == "720pt"
    assert "var(" not in paths[0].read_text(encoding="utf-8")
    pdf = paths[1].read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf
    assert [path.read_bytes() for path in save(figure, tmp_path, figure.slug)] == [paths[0].read_bytes(), pdf]


def test_drawing_leaves_the_settings_of_the_process_alone(make_parts):
    with matplotlib.rc_context({"font.size": 33.0, "text.usetex": True}):
        before = dict(matplotlib.rcParams)
        figure = next(report_figures(*make_parts()))
        text = to_svg(figure, "f-")
        assert dict(matplotlib.rcParams) == before
    assert text == to_svg(next(report_figures(*make_parts())), "f-")
    with drawing():
        assert matplotlib.rcParams["font.size"] == 8.0
