"""A training epoch beside a bare loop and beside the model's own matrix products, at every plugin's default sizes.

Three by turns in one process, so that what else the machine does meets all alike, batches of 2,048 rows, all cores:

- the trainer's epoch under fixed weights, batches drawn, losses gathered and weights recorded, evaluation left out;
- a bare loop of the same model and optimizer on resident tensors (:class:`benchmarks.trainings.BareLoop`);
- the matrix products of its steps alone (:mod:`benchmarks.matrix_products`).

Both ratios are medians over the turns, and both are promised.
"""

from __future__ import annotations

import statistics

import pytest
import torch

from benchmarks.clock import seconds
from benchmarks.figures import report, threads_note
from benchmarks.matrix_products import Replay, record
from benchmarks.trainings import BATCH, BareLoop, Data, make_trainer

LEAST_TO_BARE = 0.85
LEAST_OF_PRODUCTS = 0.65
TURNS = 5
# So many batches take a second or two.
BATCHES = {"esmm": {"cpu": 16, "cuda": 1000}, "mmoe": {"cpu": 6, "cuda": 400}, "ple": {"cpu": 5, "cuda": 300}}


def _trained(trainer) -> float:
    """Run an epoch of the trainer, and return the seconds of its steps."""
    (stage,) = trainer.run().stages
    return stage.steps * stage.step_seconds


@pytest.mark.usefixtures("all_cores")
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("backbone", BATCHES)
def test_epoch(benchmark, registry, backbone, device):
    benchmark.group = f"training epoch, {device}, {threads_note(torch.get_num_threads())}"
    batches = BATCHES[backbone][device]
    data = Data.simulated(registry, batches * BATCH, device)
    first = make_trainer(registry, data, backbone, max_epochs=1)
    model, target = first.backbone, torch.device(device)
    bare = BareLoop(model, data.train)
    replay = Replay(record(lambda: bare.step(torch.arange(BATCH, device=device))).products)

    def turn():
        trainer = make_trainer(registry, data, backbone, max_epochs=1)
        products = batches * seconds(replay, target)
        return _trained(trainer), seconds(lambda: BareLoop(model, data.train).epoch(BATCH), target), products

    turn()
    turns = []
    benchmark.pedantic(lambda: turns.append(turn()), rounds=TURNS)
    trained = statistics.median(own for own, _, _ in turns)
    figures = {
        "samples a second": batches * BATCH / trained,
        "operations a second": batches * replay.flops / trained,
        "ratio to a bare loop": statistics.median(loop / own for own, loop, _ in turns),
        "share of its matrix products": statistics.median(products / own for own, _, products in turns),
    }
    promised = {"ratio to a bare loop": LEAST_TO_BARE, "share of its matrix products": LEAST_OF_PRODUCTS}
    report(benchmark, f"{backbone}, {device}", figures, at_least=promised if device == "cpu" else None)
