from __future__ import annotations

from pathlib import Path

from rmtl_bench.contracts import DataError
from rmtl_bench_datasets.rawfiles import find_file, missing_files


def test_a_file_or_its_gzipped_twin_is_found(tmp_path, gzipped):
    path = tmp_path / "log.csv"
    assert find_file(tmp_path, "log.csv") is None
    path.write_text("a\n")
    assert find_file(tmp_path, "log.csv") == path
    twin = gzipped(path)
    assert find_file(tmp_path, "log.csv") == twin


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "log.csv").mkdir()
    assert find_file(tmp_path, "log.csv") is None


def test_the_error_says_what_and_where():
    error = missing_files("shop", ["a.csv", "b.csv"], [Path("x"), Path("y")])
    assert isinstance(error, DataError)
    assert str(error).splitlines() == [
        "shop: raw files are missing",
        "  needed, in one folder (plain or .gz): a.csv, b.csv",
        "  looked for in: x, y",
    ]
