"""Seeds side by side against the same trainings one after another, at small sizes, on one thread (or the GPU).

Whole trainings: steps, validation after each epoch, early stopping; dropout off, so that the two have the same numbers.
One after another and side by side by turns, on the same data. Asserted on the CPU: eight seeds of shared-bottom take at
most half the time. The more a model is bound by its products, the less it gains: ESMM and single-task, two networks
each, somewhat less, MMoE and PLE next to nothing. Their ratios are shown; ``--seeds-per-pass auto`` decides by them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pytest

from benchmarks.clock import seconds, threads, wait
from benchmarks.figures import report
from benchmarks.trainings import Data, make_trainer
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide
from rmtl_bench.training.trainer import Trainer

ROWS, BATCH, EPOCHS = 12_800, 256, 2
SIZES = {"embedding_dim": 16, "bottom": (64, 32), "tower": (), "dropout": 0.0}
CRITICS = {**SIZES, "critic_epochs": 2, "fine_tune_epochs": 1}
EIGHT, HALF, TURNS = 8, 0.5, 5


@pytest.fixture(scope="module")
def make(registry, gpu_or_cpu) -> Callable[..., list[Trainer]]:
    data = Data.simulated(registry, ROWS, gpu_or_cpu, held_out=2_000)

    def make(seeds: int, backbone: str, weighting: str = "fixed") -> list[Trainer]:
        return [
            make_trainer(
                registry,
                data,
                backbone,
                weighting,
                backbone_parameters=SIZES,
                weighting_parameters=CRITICS if weighting == "rmtl" else {},
                seed=seed,
                batch_size=BATCH,
                max_epochs=EPOCHS,
                patience=EPOCHS,
            )
            for seed in range(seeds)
        ]

    return make


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def gpu_or_cpu(request) -> str:
    return request.param


def _ratio(benchmark, make, name: str, seeds: int, *what: str, turns: int = TURNS) -> float:
    """Return the time of ``seeds`` side by side over that of as many one after another: the median of the turns."""
    device = make(1, *what)[0].device

    def alone(trainers):
        for trainer in trainers:
            trainer.run()
        wait(device)

    def together(trainers):
        assert SeedsSideBySide(trainers).run() == [None] * seeds
        wait(device)

    pairs = []
    with threads(1):
        alone(make(1, *what))
        together(make(seeds, *what))
        for turn in range(turns):
            own, joint = make(seeds, *what), make(seeds, *what)
            if turn:
                pairs.append((seconds(lambda own=own: alone(own)), seconds(lambda joint=joint: together(joint))))
            else:
                one = seconds(lambda own=own: alone(own))
                benchmark.pedantic(together, args=(joint,), rounds=1)
                pairs.append((one, benchmark.stats.stats.total))
    return statistics.median(joint / own for own, joint in pairs)


@pytest.mark.parametrize("seeds", [1, 2, 4, 8, 16])
def test_seeds(benchmark, make, seeds, gpu_or_cpu):
    benchmark.group = f"seeds side by side, shared-bottom, fixed weights, batch {BATCH}, {gpu_or_cpu}"
    found = _ratio(benchmark, make, f"{seeds} seeds", seeds, "shared-bottom")
    report(benchmark, f"{seeds} seeds", {"ratio to one after another": found})


@pytest.mark.parametrize("backbone", ["shared-bottom", "single-task", "esmm", "mmoe", "ple"])
def test_eight_seeds_by_backbone(benchmark, make, backbone, gpu_or_cpu):
    benchmark.group = f"eight seeds side by side by backbone, fixed weights, {gpu_or_cpu}"
    found = _ratio(benchmark, make, backbone, EIGHT, backbone)
    promised = gpu_or_cpu == "cpu" and backbone == "shared-bottom"
    report(
        benchmark,
        backbone,
        {"ratio to one after another": found},
        at_most={"ratio to one after another": HALF} if promised else {},
    )


@pytest.mark.parametrize("weighting", ["uncertainty", "dwa", "random", "famo", "pcgrad", "mgda", "rmtl"])
def test_eight_seeds_by_weighting(benchmark, make, weighting, gpu_or_cpu):
    benchmark.group = f"eight seeds side by side by weighting, shared-bottom, {gpu_or_cpu}"
    found = _ratio(benchmark, make, weighting, EIGHT, "shared-bottom", weighting, turns=3)
    report(benchmark, weighting, {"ratio to one after another": found})
