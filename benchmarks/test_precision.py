"""What lower precision saves and what it costs: a step's time, and the test metrics of three seeds, beside float32.

Default sizes, simulated sessions. On the CPU, the time is the processor's, of one thread; steps by turns, the fastest
of each. Of the metrics, the largest difference of a seed is shown, and beside it the standard deviation of float32's
seeds, which is what a difference has to be compared with.
"""

from __future__ import annotations

import math
import statistics
import time

import pytest
import torch

from benchmarks.clock import seconds, threads
from benchmarks.figures import report, threads_note
from benchmarks.trainings import BATCH, Data, make_trainer
from rmtl_bench.training.cuda_graphs import make_steps
from rmtl_bench.training.validation import Validation

LOWER = {"cpu": ("bf16",), "cuda": ("tf32", "bf16")}
TURNS = {"cpu": 6, "cuda": 200}
TRAINED = {"cpu": 30_000, "cuda": 2_000_000}
HELD_OUT = {"cpu": 20_000, "cuda": 200_000}
EPOCHS, SEEDS = 2, 3
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def _stepper(trainer):
    """Return what takes a step of a trainer's first stage, recorded where it can be."""
    (stage, *_) = trainer.weighting.stages(trainer)
    stage.module.train()
    steps = make_steps(stage, stage.optimizers(1e-3, 1e-6), trainer.train, trainer.warn)
    steps.begin_epoch(1000)
    rows = torch.arange(BATCH, device=trainer.device)
    return lambda: steps(rows)


def _processor_seconds(action):
    started = time.process_time()
    action()
    return time.process_time() - started


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("backbone", ["esmm", "mmoe", "ple"])
def test_step(benchmark, registry, backbone, device):
    benchmark.group = f"step by precision, {device}, {threads_note(1)}"
    data, target = Data.simulated(registry, BATCH, device), torch.device(device)
    names = ("float32", *LOWER[device])
    steps = {name: _stepper(make_trainer(registry, data, backbone, precision=name)) for name in names}
    least = dict.fromkeys(names, math.inf)

    def turn():
        for name, step in steps.items():
            needed = _processor_seconds(step) if device == "cpu" else seconds(step, target)
            least[name] = min(least[name], needed)

    with threads(1):
        benchmark.pedantic(turn, rounds=TURNS[device], warmup_rounds=1)
    figures = {f"ratio of {name} to float32": least[name] / least["float32"] for name in LOWER[device]}
    report(benchmark, f"{backbone}, {device}", {"samples a second": BATCH / least["float32"], **figures})


def _tested(registry, data, seed, precision):
    """Return the test metrics of a training, by task and name."""
    trainer = make_trainer(registry, data, "mmoe", seed=seed, precision=precision, max_epochs=EPOCHS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(trainer.streams.init())
        start = registry.find("backbone", "mmoe").load()(data.table.schema)
    trainer.backbone.load_state_dict(start.state_dict())
    trainer.run()
    judge = Validation(data.test, trainer.schema.task_names, trainer.evaluation_batch_size, trainer.precision)
    with trainer.precision.products(trainer.device):
        return judge.evaluate(trainer.backbone).values


@pytest.mark.parametrize("device", DEVICES)
def test_metrics(benchmark, registry, device):
    benchmark.group = f"metrics by precision, {device}"
    data = Data.simulated(registry, TRAINED[device], device, held_out=HELD_OUT[device])
    found = {}

    def train():
        for name in ("float32", *LOWER[device]):
            found[name] = [_tested(registry, data, seed, name) for seed in range(SEEDS)]

    benchmark.pedantic(train, rounds=1)
    figures = {}
    for name in LOWER[device]:
        for key in found["float32"][0]:
            exact = [values[key] for values in found["float32"]]
            furthest = max(abs(values[key] - own) for values, own in zip(found[name], exact, strict=True))
            label = f"{key[1]} of {key[0]}"
            figures[f"ratio of {name}'s largest difference to float32's spread, {label}"] = furthest / statistics.stdev(
                exact
            )
            benchmark.extra_info[f"{name}, {label}, largest difference"] = furthest
            print(
                f"\n{name}, {label}: largest difference {furthest:.5f}, seeds of float32 {statistics.stdev(exact):.5f}"
            )
    report(benchmark, f"mmoe, {device}", figures)
