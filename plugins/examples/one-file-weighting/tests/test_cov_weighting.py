from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from rmtl_bench.contracts import Batch, Task, TaskLosses
from rmtl_bench.plugins import load_plugins

HERE = Path(__file__).parents[1]
TASKS = (Task("click"), Task("buy", "click"))
# Mean losses of two tasks, step by step.
STEPS = [(0.7, 0.2), (0.6, 0.25), (0.5, 0.1), (0.5, 0.3)]


@pytest.fixture(scope="module")
def module() -> ModuleType:
    """The file as ``--plugin`` loads it."""
    entry = load_plugins([HERE / "cov_weighting.py"]).registry.find("weighting", "cov")
    return sys.modules[entry.info.target.partition(":")[0]]


def batch_of(rows: int, tasks: int) -> Batch:
    empty = torch.zeros(rows, 0)
    ids = torch.zeros(rows, dtype=torch.int32)
    return Batch(empty.int(), empty, torch.zeros(rows, tasks), None, ids, ids, ids.long())


def step(weighting, means, mask=None):
    per_sample = torch.tensor([means, means], requires_grad=True)
    losses = TaskLosses(per_sample, None if mask is None else torch.tensor(mask))
    return weighting.combine(losses, torch.zeros(per_sample.shape), batch_of(*per_sample.shape))


def coefficient(losses: list[float]) -> float:
    """The coefficient of variation as the paper's formula has it, with means and deviations of whole lists."""
    ratios = [1.0] + [loss / statistics.fmean(losses[:t]) for t, loss in enumerate(losses) if t]
    return statistics.pstdev(ratios) / statistics.fmean(ratios)


def test_weights_follow_the_formula_from_the_steps_before(module):
    weighting = module.CoVWeighting(TASKS)
    for made, means in enumerate(STEPS):
        weighted = step(weighting, means)
        expected = [1.0, 1.0]
        if made >= 2:
            c = [coefficient([losses[task] for losses in STEPS[:made]]) for task in (0, 1)]
            expected = [2 * c[0] / sum(c), 2 * c[1] / sum(c)]
        assert weighted.weights.tolist() == pytest.approx(expected, rel=1e-5)
        assert weighted.loss.item() == pytest.approx(expected[0] * means[0] + expected[1] * means[1], rel=1e-5)


def test_one_task_is_trained_as_without_a_weighting(module):
    weighting = module.CoVWeighting(TASKS[:1])
    assert all(step(weighting, (first,)).weights.tolist() == [1.0] for first, _ in STEPS)


def test_a_task_without_a_label_keeps_its_statistics(module):
    seen, unseen = module.CoVWeighting(TASKS), module.CoVWeighting(TASKS)
    for means in STEPS[:3]:
        step(seen, means)
        step(unseen, means)
        step(unseen, (means[0], 0.0), [[True, False], [True, False]])
    assert unseen.variation()[1] == seen.variation()[1]
    assert unseen.steps.tolist() == [6, 3]


def test_old_steps_fade_where_told_to(module):
    moved = [(0.7, 0.2), (0.5, 0.2), *[(0.5, 0.2 + 0.01 * (t % 2)) for t in range(60)]]
    remembers, forgets = module.CoVWeighting(TASKS), module.CoVWeighting(TASKS, keep=0.8)
    for means in moved:
        step(remembers, means)
        step(forgets, means)
    assert forgets.weights()[0] < 0.1 < remembers.weights()[0]


def test_a_saved_state_goes_on_where_it_stood(module):
    whole, first, second = (module.CoVWeighting(TASKS) for _ in range(3))
    for means in STEPS[:2]:
        step(whole, means)
        step(first, means)
    second.load_state_dict(first.state_dict())
    for means in STEPS[2:]:
        assert step(whole, means).weights.tolist() == step(second, means).weights.tolist()


def test_the_suite_beside_it_runs_and_shows_what_the_weighting_reports(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RMTL_BENCH_")}
    environment |= {"RMTL_BENCH_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}

    def rmtl_bench(*arguments: str) -> str:
        command = [sys.executable, "-P", "-m", "rmtl_bench.cli.main", *arguments, "--store", str(tmp_path / "store")]
        done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    rmtl_bench("run", "--suite", "cov.toml", "--sample", "--plugin", "cov_weighting.py")
    shown = rmtl_bench("diagnostics", "--suite", "cov", "--sample")
    assert "coefficient-of-variation" in shown
    assert all(f"shared-bottom/{weighting} " in shown for weighting in ("cov", "cov-fading"))
