"""One optimiser step on a batch of 2,048 rows, at every plugin's default sizes, on one core (or the GPU)."""

from __future__ import annotations

import pytest
import torch

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def _step(benchmark, stage, rows, device):
    optimizers = stage.optimizers(1e-3, 0.0)
    batch = rows.batch(torch.arange(2048, device=device))
    stage.module.train()

    def step():
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        stage.backward(batch)
        for optimizer in optimizers:
            optimizer.step()
        stage.after_step()
        if device == "cuda":
            torch.cuda.synchronize()

    benchmark.pedantic(step, rounds=7, warmup_rounds=2)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("backbone", ["single-task", "shared-bottom", "esmm", "mmoe", "ple"])
def test_backbone(benchmark, last_stage, backbone, device):
    benchmark.group = f"step by backbone, fixed weights, {device}"
    _step(benchmark, *last_stage(backbone, "fixed", device), device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("weighting", ["fixed", "uncertainty", "random", "dwa", "rmtl", "rmtl-cw"])
def test_weighting(benchmark, last_stage, weighting, device):
    benchmark.group = f"step by weighting, shared-bottom, {device}"
    _step(benchmark, *last_stage("shared-bottom", weighting, device), device)
