from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.slow


def test_a_suite_under_another_precision_stands_beside_itself(rmtl_bench, toy_suite, toy_plugin, tmp_path):
    options = ("--suite", toy_suite, "--plugin", toy_plugin, "--store", tmp_path, "--sample", "--device", "cpu")
    for precision in ((), ("--precision", "bf16")):
        run = rmtl_bench("run", *options, "--only", "*/toy-equal", *precision)
        assert run.returncode == 0, run.stderr
    assert "leaderboard --suite toy-bf16 --sample" in run.stderr
    assert "precision bf16 in place of float32, which toy@1 (sample) has" in run.stderr
    again = rmtl_bench("run", *options, "--only", "*/toy-equal", "--precision", "float32")
    assert "nothing to run" in again.stderr
    boards = {}
    for suite in ("toy", "toy-bf16"):
        shown = rmtl_bench("leaderboard", "--suite", suite, "--sample", "--store", tmp_path, "--format", "json")
        assert shown.returncode == 0, shown.stderr
        rows = json.loads(shown.stdout)["leaderboard"]
        boards[suite] = {(row["metric"], row["task"]): row["mean"] for row in rows if row["method"].endswith("equal")}
    assert boards["toy"].keys() == boards["toy-bf16"].keys()
    assert boards["toy"] != boards["toy-bf16"]


def test_an_unknown_precision_is_refused_before_anything_runs(rmtl_bench, toy_suite, toy_plugin, tmp_path):
    options = ("--suite", toy_suite, "--plugin", toy_plugin, "--store", tmp_path / "store")
    run = rmtl_bench("run", *options, "--precision", "fp16")
    assert run.returncode == 2
    assert "'precision' is 'fp16'; it takes one of 'float32', 'tf32', 'bf16'" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "store").exists()
