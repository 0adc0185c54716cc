"""Real rows in the official formats, from raw files to a leaderboard: prepared, verified, trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
PARTS = {
    "retailrocket": ROOT / "plugins" / "datasets" / "tests" / "data" / "retailrocket-part",
    "kuairand-pure": SHARED / "kuairand-pure-part",
}
"""The second is larger and lies beside the repository, or not at all."""

SUITE = """
schema = 1
name = "real"
version = 1
title = "real rows"
seeds = 1
metrics = ["auc", "logloss"]
[trainer]
batch_size = 512
max_epochs = 1
[datasets.{name}]
[backbones.shared-bottom]
parameters = {{ embedding_dim = 4, bottom = [16], tower = [8] }}
[weightings.fixed]
[weightings.rmtl]
parameters = {{ embedding_dim = 4, bottom = [16], tower = [8], critic_epochs = 1, fine_tune_epochs = 1 }}
[[grid]]
backbones = ["shared-bottom"]
weightings = ["fixed", "rmtl"]
[statistics]
reference = "*/fixed"
headline = ["auc"]
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, part in PARTS.items() if part.is_dir()])
def test_a_real_part_is_prepared_verified_and_trained_on(rmtl_bench, tmp_path, name):
    data = tmp_path / "data"
    data.mkdir()
    (data / name).symlink_to(PARTS[name])
    suite, store = tmp_path / "real.toml", tmp_path / "store"
    suite.write_text(SUITE.format(name=name))
    env = {"RMTL_BENCH_CACHE": str(tmp_path / "cache")}
    prepared = rmtl_bench("data", "prepare", "--suite", suite, "--data-dir", data, env=env)
    assert prepared.returncode == 0, prepared.stderr
    verified = rmtl_bench("data", "verify", name, "--data-dir", data, env=env)
    assert verified.returncode == 0, verified.stderr
    assert "raw files as they were" in verified.stdout
    run = rmtl_bench("run", "--suite", suite, "--store", store, "--data-dir", data, env=env)
    assert run.returncode == 0, run.stderr
    found = rmtl_bench("db", "sql", "SELECT weighting, value FROM v_scores WHERE metric = 'logloss'", "--store", store)
    assert found.returncode == 0, found.stderr
    manifest = json.loads(next((tmp_path / "cache").glob("prepared/*/manifest.json")).read_text())
    assert f"{sum(manifest['rows'].values()):,} rows" in verified.stdout
    assert found.stdout.count("fixed") == found.stdout.count("rmtl") == 2
