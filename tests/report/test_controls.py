from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report import LeaderboardSettings, build_leaderboard, leaderboard_document, render
from rmtl_bench.report.controls import CONTROL_COLUMNS
from rmtl_bench.statistics import Family

UP = {"auc": True}
REFERENCE = Family("reference", ("*",), ("*/fixed",))
CONTROL = Family("the control", ("*/rmtl",), ("*/constant",), control=True)
PLAIN = Family("the control", ("*/rmtl",), ("*/constant",))


def _values(n=8, backbone="ple", **shifts):
    rng = np.random.default_rng(1)
    base = rng.normal(0.7, 0.01, n)
    return {f"{backbone}/{name}": base + rng.normal(shift, 0.001, n) for name, shift in shifts.items()}


def _board(make_scores, *families, reference=REFERENCE, tasks=("click", "pay"), **values):
    values = values or {"fixed": 0.0, "rmtl": 0.02, "constant": 0.03}
    settings = LeaderboardSettings("t", UP, reference=reference, families=families)
    scores = make_scores({**_values(**values), **_values(backbone="mmoe", **values)}, tasks=tasks)
    return build_leaderboard(scores, None, settings)


def _lines(text: str, method: str) -> list[str]:
    lines = [line for line in text.split("the control: ")[0].splitlines() if f" {method} " in line and "±" in line]
    assert len(lines) == 2
    return lines


def test_a_row_has_the_verdict_of_its_own_familys_row(make_scores):
    board = _board(make_scores, CONTROL)
    rows = board.rows.set_index(["method", "task"])
    for own in board.comparisons.to_dict("records"):
        beside = rows.loc[own["candidate"], own["task"]]
        assert beside["control"] == own["reference"] == own["candidate"].replace("rmtl", "constant")
        assert beside["control_verdict"] == own["verdict"] == "worse"
        names = ("difference", "difference_low", "difference_high", "p_holm")
        assert [beside[f"control_{name}"] for name in names] == [
            own[k] for k in ("difference", "low", "high", "p_holm")
        ]
    assert board.rows["control"].notna().sum() == len(board.comparisons) == 4


def test_a_control_changes_no_test_and_no_other_row(make_scores):
    declared, without = _board(make_scores, CONTROL), _board(make_scores, PLAIN)
    pd.testing.assert_frame_equal(declared.comparisons, without.comparisons)
    pd.testing.assert_frame_equal(declared.counts, without.counts)
    others = [column for column in declared.rows if column not in CONTROL_COLUMNS]
    pd.testing.assert_frame_equal(declared.rows[others], without.rows[others])
    assert without.rows[CONTROL_COLUMNS].isna().all(axis=None)
    # Corrected over the four cells of its own family, not together with the reference's.
    assert (declared.comparisons["p_holm"] <= 4 * declared.comparisons["p"] + 1e-12).all()
    assert (declared.comparisons["p_holm"] > declared.comparisons["p"]).any()


def test_a_method_without_a_control_has_empty_columns(make_scores):
    rows = _board(make_scores, CONTROL).rows.set_index("method")
    for method in ("ple/fixed", "ple/constant"):
        assert rows.loc[[method], CONTROL_COLUMNS].isna().all(axis=None)
    assert math.isnan(rows.loc["ple/fixed", "control_difference"].iloc[0])


def test_two_controls_of_one_method_in_a_family_are_refused(make_scores):
    family = Family("mine", ("*/rmtl",), ("*/constant", "*/fixed"), control=True)
    with pytest.raises(UsageError, match="family 'mine' gives mmoe/rmtl two controls, mmoe/constant and mmoe/fixed"):
        _board(make_scores, family)


def test_two_families_that_both_give_a_method_a_control_are_refused(make_scores):
    other = Family("other", ("ple/rmtl",), ("ple/constant",), control=True)
    with pytest.raises(UsageError, match="families 'the control' and 'other' both give ple/rmtl controls"):
        _board(make_scores, CONTROL, other)
    plain = Family("other", ("ple/rmtl",), ("ple/constant", "ple/fixed"))
    assert len(_board(make_scores, CONTROL, plain).comparisons) == 4 + 4


@pytest.mark.parametrize("fmt", ["table", "markdown", "latex", "html"])
def test_every_row_with_a_control_names_it_and_its_verdict(make_scores, fmt):
    text = render(leaderboard_document(_board(make_scores, CONTROL)), fmt)
    assert text.count("against its control") >= 2
    assert text.count("constant: worse") == 4
    assert "corrected there and not tested again" in text


def test_the_family_of_the_control_keeps_its_own_section(make_scores):
    document = leaderboard_document(_board(make_scores, CONTROL))
    own = [section for section in document.sections if section.title.startswith("the control: auc")]
    assert [len(section.rows) for section in own] == [4]
    assert json.loads(render(document, "json"))["settings"]["control_families"] == ["the control"]


def test_without_a_control_there_is_no_such_column(make_scores):
    text = render(leaderboard_document(_board(make_scores, PLAIN)), "table")
    assert "its control" not in text


@pytest.mark.parametrize("reference", [REFERENCE, Family("reference", ("*",), ("mmoe/fixed",), "all"), None])
def test_the_rows_keep_to_the_width_of_a_terminal(make_scores, reference):
    values = {"fixed": 0.0, "rmtl-with-a-long-name": 0.0, "constant": 0.0}
    family = Family("control", ("*/rmtl*",), ("*/constant",), control=True)
    board = _board(make_scores, family, reference=reference, **values)
    table = render(leaderboard_document(board), "table").split("control: auc")[0]
    assert "against its control" in table
    assert "constant:" in table
    assert max(map(len, table.splitlines())) <= 120


def test_a_dagger_beside_the_row_is_the_controls_own(make_scores):
    board = _board(make_scores, CONTROL)
    board.rows["control_robust"] = board.rows["control"].map({"ple/constant": "disagrees"})
    text = render(leaderboard_document(board), "table")
    assert all(line.endswith("constant: worse †") for line in _lines(text, "ple/rmtl"))
    assert all(line.endswith("constant: worse") for line in _lines(text, "mmoe/rmtl"))


def test_where_references_differ_too_the_verdict_names_its_reference(make_scores):
    everywhere = Family("reference", ("*",), ("mmoe/fixed",), "all")
    text = render(leaderboard_document(_board(make_scores, CONTROL, reference=everywhere)), "markdown")
    assert text.count("| mmoe/fixed: better") >= 2
    assert all("| fixed: better " in line and "| constant: worse " in line for line in _lines(text, "mmoe/rmtl"))
