from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.slow


def test_a_suite_may_shuffle_by_blocks_and_has_the_same_numbers_wherever_its_rows_are(
    rmtl_bench, toy_suite, toy_plugin, tmp_path
):
    whole = toy_suite.read_text(encoding="utf-8")
    blocks = '[trainer]\nshuffle = "blocks"\nshuffle_block_rows = 32\nshuffle_window = 3'
    suite = tmp_path / "by-blocks.toml"
    suite.write_text(whole.replace("[trainer]", blocks).replace('name = "toy"', 'name = "by-blocks"'), encoding="utf-8")
    metrics = {}
    for where in ("mapped", "resident"):
        store = ("--store", tmp_path / where)
        options = ("--suite", suite, "--plugin", toy_plugin, "--sample", "--device", "cpu", "--only", "*/toy-equal")
        run = rmtl_bench("run", *options, *store, env={"RMTL_BENCH_ROWS": where})
        assert run.returncode == 0, run.stderr
        shown = rmtl_bench("leaderboard", "--suite", "by-blocks", "--sample", *store, "--format", "json")
        assert shown.returncode == 0, shown.stderr
        rows = json.loads(shown.stdout)["leaderboard"]
        metrics[where] = {(row["metric"], row["task"]): row["mean"] for row in rows if row["mean"] is not None}
    assert metrics["mapped"]
    assert metrics["mapped"] == metrics["resident"]


def test_a_place_for_the_rows_that_there_is_not_fails_the_run_in_one_line(rmtl_bench, toy_suite, toy_plugin, tmp_path):
    options = ("--suite", toy_suite, "--plugin", toy_plugin, "--store", tmp_path, "--sample", "--device", "cpu")
    run = rmtl_bench("run", *options, "--only", "*/toy-equal", env={"RMTL_BENCH_ROWS": "disk"})
    assert run.returncode != 0
    assert "RMTL_BENCH_ROWS is 'disk'; it takes one of auto, resident, mapped" in run.stderr
