"""The parts of the page that have numbers in them: strips, matrices, what is resampled."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rmtl_bench.report.page import matrices as module
from rmtl_bench.report.page.contents import ReportContents, read_contents
from rmtl_bench.report.page.matrices import matrices
from rmtl_bench.report.page.reproduction import reproduction
from rmtl_bench.report.page.strips import WIDTH, Scale, scale_of, strip
from rmtl_bench.report.page.variance import MOST_UNDECLARED
from rmtl_bench.store import Store

GAINS = {"equal": 0.0, "mine": 0.05, "less": -0.05, "same": 0.0, "more": 0.1}


def contents(store: Store, **options) -> ReportContents:
    return read_contents(store, "tiny", sample=False, metrics=options.pop("metrics", ()), draws=100)


@pytest.fixture(scope="module")
def read(tmp_path_factory, publish_suite) -> ReportContents:
    store = Store.open(tmp_path_factory.mktemp("parts") / "store")
    publish_suite(store, GAINS, 8)
    return contents(store)


def test_a_scale_holds_the_scores_but_for_one_far_away():
    scale = scale_of(np.array([0.70, 0.71, 0.72, 0.71, 0.70, 0.72, 0.71, 0.70, 0.72, 0.71, 0.1, np.nan]))
    assert scale is not None
    assert 0.69 < scale.low < 0.70
    assert 0.72 < scale.high < 0.73
    assert scale_of(np.array([np.nan])) is None
    alone = scale_of(np.array([0.5]))
    assert alone is not None
    assert alone.low < 0.5 < alone.high


def test_a_strip_has_a_dot_a_seed_on_the_scale_and_arrows_where_it_goes_on():
    drawn = str(strip(Scale(0.0, 1.0), 0.5, -1.0, 0.75, [0.0, 0.5, 1.0, 7.0], 0.25))
    dots = re.search(r'class="dot" d="([^"]*)"', drawn)
    assert dots is not None
    assert dots[1] == "M6 8h0M80 8h0M154 8h0M154 8h0"
    interval = re.search(r'class="ci" d="([^"]*)"', drawn)
    assert interval is not None
    assert interval[1] == f"M6 8H{6 + 0.75 * (WIDTH - 12):g}M6 5l-4 3 4 3"
    assert "reference 0.25000" in drawn


def test_one_seed_has_no_interval_and_none_has_no_mean():
    nan = float("nan")
    assert 'class="ci"' not in strip(Scale(0, 1), 0.5, nan, nan, [0.5], nan)
    assert 'class="mean"' not in strip(Scale(0, 1), nan, nan, nan, [], nan)


def test_the_lower_half_of_a_matrix_says_the_opposite_of_the_upper(read):
    for matrix in matrices(read).matrices:
        tones = [[tone for _, tone in row] for row in matrix.entries]
        opposite = {"better": "worse", "worse": "better"}
        size = range(len(matrix.methods))
        assert all(tones[i][i] == "self" for i in size)
        assert all(tones[j][i] == opposite.get(tones[i][j], tones[i][j]) for i in size for j in size if i != j)


def test_a_matrix_says_what_the_exploratory_table_says(read):
    found = matrices(read)
    table = read.exploratory
    for matrix in found.matrices:
        dataset, task, metric, _ = matrix.title.split(" · ")
        own = table[(table["dataset"] == dataset) & (table["task"] == task) & (table["metric"] == metric)]
        upper = list(zip(*np.triu_indices(len(matrix.methods), 1), strict=True))
        for place, (i, j) in enumerate(upper):
            names = {matrix.methods[i], matrix.methods[j]}
            (row,) = own[own["a"].isin(names) & own["b"].isin(names)].to_dict("records")
            sign = 1 if row["a"] == matrix.methods[i] else -1
            assert matrix.data["d"][place] == pytest.approx(sign * row["difference"], rel=1e-2)
            word = found.verdicts[matrix.data["v"][place]]
            assert word == row["verdict"] or (sign == -1 and {word[:5], row["verdict"][:5]} <= {"bette", "worse"})


def test_too_many_pairs_are_counted_over_cells(read, monkeypatch):
    monkeypatch.setattr(module, "MOST_ENTRIES", 2 * len(GAINS) ** 2)
    found = matrices(read)
    assert [matrix.title for matrix in found.matrices] == ["auc, over 2 cells · ple", "logloss, over 2 cells · ple"]
    auc = found.matrices[0]
    row, column = auc.methods.index("ple/more"), auc.methods.index("ple/less")
    assert auc.entries[row][column] == ("2:0", "better")
    assert auc.entries[column][row] == ("0:2", "worse")
    monkeypatch.setattr(module, "MOST_ENTRIES", 3)
    assert matrices(read).matrices == ()
    assert "rmtl-bench compare" in matrices(read).remark


def test_where_no_control_is_declared_a_few_pairs_are_resampled_and_the_command_is_named(read):
    pairs = read.variance.rows[["candidate", "reference"]].drop_duplicates()
    assert len(pairs) == MOST_UNDECLARED
    assert set(pairs["reference"]) == {"ple/equal"}
    assert read.variance.notes[0] == "No family of controls is declared; these are the first declared pairs."
    assert "rmtl-bench compare ple/same ple/equal --suite tiny@1 --sessions" in read.variance.notes[1]


def test_a_command_names_one_cell_as_a_shell_takes_it(tmp_path, publish_suite):
    store = Store.open(tmp_path / "a store")
    publish_suite(store, {"equal": 0.0, "it's [odd]*": 0.1}, 2)
    commands = [cell.command for cell in reproduction(contents(store)).cells]
    assert commands[1] == (
        f"rmtl-bench run --suite tiny@1 --only 'sessions/ple/it'\"'\"'s [[]odd][*]' --store '{store.path}'"
    )


def test_what_environments_do_not_share_is_listed(tmp_path, publish_cell, plan_cells):
    store = Store.open(tmp_path / "store")
    versions = [{"python": "3.11.7", "distributions": {"numpy": v, "pandas": "3"}} for v in ("2.3", "2.4", "2.4")]
    cells = [publish_cell(store, "equal", seed, environment=content) for seed, content in enumerate(versions)]
    declared = {"reference": "*/equal", "scope": "same-backbone", "delta_m": "", "headline": []}
    plan_cells(store, cells, statistics=declared | {"equivalence": {}, "comparisons": []})
    found = reproduction(contents(store))
    assert [environment.runs for environment in found.environments] == [2, 1]
    assert found.differences is not None
    assert [[cell.text for cell in row.cells] for row in found.differences.rows] == [["numpy", "2.4", "2.3"]]
