"""Malformed raw files, met by the command line: one clear line and exit code 4."""

from __future__ import annotations

import csv
import gzip
import importlib.resources
import io

import pytest

LOG, USERS = "log_standard_4_22_to_5_08_pure.csv", "user_features_pure.csv"
VIDEOS = "video_features_basic_pure.csv"

SUITE = """
name = "raw"
seeds = 1
metrics = ["auc"]
[datasets.kuairand-pure]
[backbones.shared-bottom]
[weightings.fixed]
[[grid]]
backbones = ["shared-bottom"]
weightings = ["fixed"]
"""


@pytest.fixture(scope="module")
def sample():
    """The first rows of the embedded official files, as lists of rows with their header."""
    folder = importlib.resources.files("rmtl_bench_datasets") / "embedded" / "kuairand-pure"
    tables = {}
    for name in (LOG, USERS, VIDEOS):
        text = gzip.decompress((folder / f"{name}.gz").read_bytes()).decode()
        rows = list(csv.reader(io.StringIO(text)))
        tables[name] = rows[:300] if name == LOG else rows
    return tables


@pytest.fixture
def prepared(sample, rmtl_bench, tmp_path):
    """Run a suite on raw files of which one text was changed; return the one line and the exit code."""

    def run(name, change):
        folder = tmp_path / "data" / "kuairand-pure"
        folder.mkdir(parents=True)
        for other, rows in sample.items():
            text = "".join(",".join(row) + "\n" for row in rows)
            (folder / other).write_text(change(text) if other == name else text)
        suite = tmp_path / "raw.toml"
        suite.write_text(SUITE)
        done = rmtl_bench("run", "--suite", suite, "--store", tmp_path / "store", "--data-dir", tmp_path / "data")
        lines = [line for line in done.stderr.splitlines() if line.startswith("error")]
        assert len(lines) == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert not list((tmp_path / "store" / "runs").glob("*"))
        return done.returncode, lines[0]

    return run


def test_a_truncated_csv_is_named_with_the_line(prepared):
    code, line = prepared(LOG, lambda text: text[: len(text) * 2 // 3 - 20])
    assert code == 4
    assert LOG in line
    assert "is the file cut short?" in line


def test_a_missing_column_is_named(prepared):
    code, line = prepared(LOG, lambda text: text.replace("long_view", "long_vieww", 1))
    assert code == 4
    assert f"{LOG}: column 'long_view' is missing" in line


def test_a_label_that_is_neither_0_nor_1_is_named_with_line_and_column(prepared, sample):
    place = sample[LOG][0].index("is_click")

    def change(text):
        lines = text.splitlines(keepends=True)
        cells = lines[7].split(",")
        cells[place] = "2"
        lines[7] = ",".join(cells)
        return "".join(lines)

    code, line = prepared(LOG, change)
    assert code == 4
    assert f"{LOG}: line 8, column 'is_click' is 2; it must be one of 0, 1" in line


def test_missing_raw_files_say_where_they_come_from_and_offer_the_sample(rmtl_bench, tmp_path):
    done = rmtl_bench("run", "--suite", "paper", "--store", tmp_path / "store", "--data-dir", tmp_path)
    assert done.returncode == 4
    for text in (
        "suite paper@2 lacks data",
        "kuairand-1k: raw files are missing",
        "https://zenodo.org/records/10439422",
        "retailrocket: raw files are missing",
        "https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset",
        "rmtl-bench run --suite paper --sample",
    ):
        assert text in done.stderr
    assert len(done.stderr.splitlines()) < 15
    assert not list((tmp_path / "store" / "runs").glob("*"))


@pytest.mark.parametrize(("name", "hint"), [("smok", "'smoke'"), ("paper@7", "'paper@2'")])
def test_an_unknown_suite_is_named_with_its_nearest(rmtl_bench, tmp_path, name, hint):
    done = rmtl_bench("run", "--suite", name, "--store", tmp_path / "store")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: unknown suite {name!r}; did you mean {hint}")
    assert len(done.stderr.splitlines()) == 1
