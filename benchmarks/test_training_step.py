"""One optimizer step on a batch of 2,048 rows, at every plugin's default sizes, on one core or the GPU.

Beside each step: what its own matrix products take of it, and what copying Adam's state and launching its operations
would take at the machine's own rates (:mod:`benchmarks.limits`). The greatest share names what bounds the step.
"""

from __future__ import annotations

import statistics

import pytest
import torch

from benchmarks.clock import seconds
from benchmarks.figures import report
from benchmarks.limits import shares_of_a_step
from benchmarks.matrix_products import Replay, record
from benchmarks.trainings import BATCH
from rmtl_bench_backbones.plugin import rmtl_backbones
from rmtl_bench_rmtl.plugin import rmtl_weightings as staged_weightings
from rmtl_bench_weightings.plugin import rmtl_weightings

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
BACKBONES = [info.name for info in rmtl_backbones()]
# Those of one stage are all in test_weighting_cost.
WEIGHTINGS = [
    "fixed",
    *(info.name for infos in (rmtl_weightings(), staged_weightings()) for info in infos if info.form == "staged"),
]
ROUNDS = 5


def _measure(benchmark, stage, rows, device, name, steps=1):
    """Make steps by turns with their matrix products alone, and report their shares."""
    optimizers = stage.optimizers(1e-3, 1e-6)
    batch = rows.batch(torch.arange(BATCH, device=device))
    stage.module.train()

    def step():
        for _ in range(steps):
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            stage.backward(batch)
            for optimizer in optimizers:
                optimizer.step()
            stage.after_step()

    step()
    recorder = record(step)
    replay, target = Replay(recorder.products), torch.device(device)
    replay()
    turns = []
    benchmark.pedantic(lambda: turns.append((seconds(step, target), seconds(replay, target))), rounds=ROUNDS)
    stepped = statistics.median(own for own, _ in turns)
    products = stepped * statistics.median(alone / own for own, alone in turns)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    parameters = steps * sum(p.numel() for group in groups for p in group["params"])
    rates = {"samples a second": steps * BATCH / stepped, "operations a second": replay.flops / stepped}
    report(benchmark, f"{name}, {device}", rates | shares_of_a_step(recorder, products, stepped, parameters))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_backbone(benchmark, last_stage, backbone, device):
    benchmark.group = f"step by backbone, fixed weights, {device}"
    _measure(benchmark, *last_stage(backbone, "fixed", device), device, backbone)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_weighting(benchmark, last_stage, weighting, device):
    benchmark.group = f"last stage's step by weighting, shared-bottom, {device}"
    # Two steps: the actor of td3-bc makes one for two of its critics.
    _measure(benchmark, *last_stage("shared-bottom", weighting, device), device, weighting, steps=2)
