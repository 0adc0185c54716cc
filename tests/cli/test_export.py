"""``rmtl-bench export``, as a user types it."""

from __future__ import annotations

import csv

import pytest

from rmtl_bench.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory, publish_cell, plan_cells):
    store = Store.open(tmp_path_factory.mktemp("export") / "store")
    cells = [publish_cell(store, "equal", seed) for seed in range(2)]
    plan_cells(store, [*cells, publish_cell(store, "mine", 0, "failed", "no")])
    return store.path


def test_scores_are_printed_or_written(rmtl_bench, store, tmp_path):
    options = ("export", "--suite", "tiny", "--store", store, "--output")
    printed = rmtl_bench(*options, "-")
    assert printed.returncode == 0
    assert printed.stderr == "tiny@1: 4 scores of 2 runs\nplanned runs without scores: 1 failed\n"
    rows = list(csv.DictReader(printed.stdout.splitlines()))
    assert [float(row["value"]) for row in rows] == [0.5, 0.5, 0.5 + 1 / 7, 0.5 + 1 / 7]
    target = tmp_path / "scores.csv"
    written = rmtl_bench(*options, target)
    assert (written.returncode, written.stdout, written.stderr) == (0, "", printed.stderr)
    assert target.read_text() == printed.stdout
    assert rmtl_bench(*options, tmp_path / "scores.parquet").returncode == 0
    assert (tmp_path / "scores.parquet").read_bytes()[:4] == b"PAR1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--suite", "tiny", "--output", "x.tsv"), "--output x.tsv ends with neither .csv nor .parquet"),
        (("--suite", "tinny", "--output", "-"), "did you mean 'tiny@1'"),
        (("--suite", "tiny", "--output", "/nowhere/x.csv"), "cannot be written: No such file or directory"),
        (("--suite", "tiny"), "--output"),
    ],
)
def test_what_cannot_be_is_one_line(rmtl_bench, store, arguments, said):
    refused = rmtl_bench("export", "--store", store, *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    assert said in line
