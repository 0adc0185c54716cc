"""RMTL on simulated sessions, whose true probabilities say what critics could learn at best."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from rmtl_bench.contracts import Cell, Component
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.store.tables import read_parquet
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench.training.streams import Streams
from rmtl_bench.training.trainer import Trainer
from rmtl_bench_backbones.shared_bottom import SharedBottom
from rmtl_bench_datasets.simulated import Simulated
from rmtl_bench_rmtl.rmtl import RMTL

pytestmark = pytest.mark.slow

DISCOUNT = 0.95
TASKS = ("click", "purchase")
ENOUGH = 0.7


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """RMTL after a training on a hundred thousand rows: table, test rows, critics, the actor's logits, diagnostics."""
    table = Simulated(rows=100_000).build(*map(tmp_path_factory.mktemp, ("no-data", "scratch")))
    settings = {"batch_size": 1024, "max_epochs": 6, "patience": 1}
    named = {name: Component(name, name, 1, "here", "1") for name in ("simulated", "shared-bottom", "rmtl")}
    streams = Streams(Cell(named["simulated"], "0", named["shared-bottom"], named["rmtl"], settings, ("auc",), 0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(streams.init())
        backbone = SharedBottom(table.schema, embedding_dim=8, bottom=(64, 32), tower=(16,))
    weighting = RMTL(
        table.schema.tasks,
        discount=DISCOUNT,
        embedding_dim=16,
        bottom=(128, 64),
        tower=(32,),
        dropout=0.0,
        fine_tune_epochs=1,
    )
    train, valid, test = (DeviceRows(table, split, torch.device("cpu")) for split in ("train", "valid", "test"))
    trainer = Trainer(backbone, weighting, train, valid, TrainerSettings.resolve(settings), streams)
    history = trainer.run()
    (critics,) = weighting._critics
    found = {(d.task, d.quantity): d.value for d in weighting.diagnose(trainer, test) if d.position == -1}
    actor = trainer.predict(test)
    return SimpleNamespace(table=table, test=test, critics=critics, actor=actor, found=found, history=history)


def values(trained, logits):
    """Q [N, K] of these actions on the test rows."""
    with torch.no_grad():
        return trained.critics(trained.test.batch(torch.arange(len(trained.test))), logits).double().numpy()


@pytest.mark.parametrize("task", TASKS)
def test_values_follow_the_expected_return_and_best_actions_the_true_probability(task, trained):
    assert trained.found[task, "expected-return-correlation"] >= ENOUGH
    assert trained.found[task, "best-action-rank-correlation"] >= ENOUGH


def test_the_critics_converge_and_nothing_is_warned_of(trained):
    assert [trained.found[task, "critics-converged"] for task in TASKS] == [1, 1]
    assert [stage.name for stage in trained.history.stages] == ["pre-train", "critics", "fine-tune"]
    assert trained.history.warnings == []


def test_the_correlation_with_the_expected_return_is_that_of_a_loop_over_the_sessions(trained):
    rows = trained.table.split("test")
    session, ends = trained.table.session[rows], trained.table.session_end[rows]
    truth = trained.table.optimum[rows].astype(float)
    chance = 1 / (1 + np.exp(-trained.actor.double().numpy()))
    expected, known = np.zeros_like(truth), np.zeros(len(truth), dtype=bool)
    for number in np.unique(session):
        members = np.flatnonzero(session == number)
        following = np.zeros(truth.shape[1])
        for row in members[::-1]:
            reward = truth[row] * np.log(chance[row]) + (1 - truth[row]) * np.log(1 - chance[row])
            following = reward + DISCOUNT * following
            expected[row] = following
        known[members] = ends[members[-1]] == 1
    own = values(trained, trained.actor)
    for k, task in enumerate(TASKS):
        correlation = np.corrcoef(own[known, k], expected[known, k])[0, 1]
        assert trained.found[task, "expected-return-correlation"] == pytest.approx(correlation, abs=1e-3)


def test_the_best_actions_correlation_is_that_of_asking_the_critics_one_action_at_a_time(trained):
    grid = np.linspace(-7, 3, 101)
    best, highest = np.zeros(trained.actor.shape), np.full(trained.actor.shape, -np.inf)
    for logit in grid:
        value = values(trained, torch.full_like(trained.actor, float(logit)))
        best = np.where(value > highest, logit, best)
        highest = np.maximum(value, highest)
    truth = trained.table.optimum[trained.table.split("test")]
    for k, task in enumerate(TASKS):
        correlation = spearmanr(best[:, k], truth[:, k]).statistic
        # What is stored may be of a part of the rows.
        assert trained.found[task, "best-action-rank-correlation"] == pytest.approx(correlation, abs=0.015)


SUITE = """
name = "known"
seeds = 1
metrics = ["auc"]
[trainer]
batch_size = 256
max_epochs = 1
[datasets.simulated]
parameters = { rows = 3000 }
[backbones.shared-bottom]
parameters = { embedding_dim = 4, bottom = [8], tower = [4] }
[weightings.rmtl]
parameters = { embedding_dim = 4, bottom = [8], tower = [4], critic_epochs = 2, fine_tune_epochs = 1 }
[[grid]]
backbones = ["shared-bottom"]
weightings = ["rmtl"]
"""


def test_a_run_stores_both_correlations_for_every_task(rmtl_bench, tmp_path):
    suite = tmp_path / "known.toml"
    suite.write_text(SUITE)
    done = rmtl_bench("run", "--suite", suite, "--store", tmp_path / "store")
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "store" / "runs").rglob("diagnostics.parquet")
    columns = read_parquet(path)
    stored = {(t, q): v for t, q, v in zip(columns["task"], columns["quantity"], columns["value"], strict=True)}
    for task in TASKS:
        for quantity in ("expected-return-correlation", "best-action-rank-correlation"):
            # It may be undefined after so little training, and it is there.
            assert np.isnan(stored[task, quantity]) or -1 <= stored[task, quantity] <= 1
