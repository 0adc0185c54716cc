from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rmtl_bench.report.figures import report_figures
from rmtl_bench.report.figures.cost import front

_POINTS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=12)


@given(_POINTS)
def test_the_front_is_what_no_other_point_reaches(points):
    cost, quality = (np.array(values, dtype=float) for values in zip(*points, strict=True))
    kept = front(cost, quality)
    beaten = [
        any((c <= cost[i] and q > quality[i]) or (c < cost[i] and q >= quality[i]) for c, q in points)
        for i in range(len(points))
    ]
    assert {points[i] for i in kept} == {point for point, lost in zip(points, beaten, strict=True) if not lost}
    assert list(cost[kept]) == sorted(cost[kept])


def test_parameters_stand_in_where_no_run_says_how_long_it_took(make_parts):
    suite, board, diagnostics, bins = make_parts()
    for seconds, title in ((board.costs["seconds_a_step"], "seconds a step"), (np.nan, "parameters")):
        costs = board.costs.assign(seconds_a_step=seconds)
        figures = report_figures(suite, replace(board, costs=costs), diagnostics, bins)
        assert {f.title for f in figures if f.section == "cost"} == {
            f"a & b · {m} against {title}" for m in ("auc", "logloss")
        }


def test_lower_is_better_turns_the_front(make_parts, drawn):
    _, board, _, _ = make_parts()
    rows = board.rows[(board.rows["task"] == "click") & (board.rows["metric"] == "logloss")]
    best = rows.loc[rows["mean"].idxmin()]
    (alt,) = (figure.alt for figure, _ in drawn if figure.slug == "cost-a-b-logloss-seconds-a-step")
    last = alt.partition("click: ")[2].partition("; pay")[0].split(", ")[-1]
    assert last.startswith(f"{best['method']} {best['mean']:.5f}")


def test_parameters_are_drawn_beside_seconds_where_methods_differ_in_them(make_parts):
    suite, board, diagnostics, bins = make_parts()
    for parameters, titles in (
        (1000, {"seconds a step"}),
        (range(1000, 1000 + len(board.costs)), {"seconds a step", "parameters"}),
    ):
        costs = board.costs.assign(parameters=parameters)
        drawn = [
            f for f in report_figures(suite, replace(board, costs=costs), diagnostics, bins) if f.section == "cost"
        ]
        assert {f.title for f in drawn} == {f"a & b · {m} against {t}" for m in ("auc", "logloss") for t in titles}
        assert len({f.slug for f in drawn}) == len(drawn)
