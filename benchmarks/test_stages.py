"""Samples a second of every stage of the staged weightings, at the default sizes, beside the first stage's.

One epoch a stage, as the trainer runs it, evaluation left out. Critics see two states a row and evaluate two networks;
an actor-critic step is one of both.
"""

from __future__ import annotations

import statistics

import pytest

from benchmarks.figures import report
from benchmarks.trainings import BATCH, Data, make_trainer

STAGES = {
    "rmtl": ({"critic_epochs": 1, "fine_tune_epochs": 1}, ("pre-train", "critics", "fine-tune")),
    "ddpg": ({"critic_epochs": 1, "epochs": 1, "pre_train": True}, ("pre-train", "critics", "actor-critic")),
    "td3-bc": ({"critic_epochs": 1, "epochs": 1, "pre_train": True}, ("pre-train", "critics", "actor-critic")),
}
BATCHES = {"cpu": 4, "cuda": 200}
ROUNDS = 3


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("weighting", STAGES)
def test_stages(benchmark, registry, weighting, device):
    benchmark.group = f"stages, shared-bottom, {device}"
    parameters, names = STAGES[weighting]
    data = Data.simulated(registry, BATCHES[device] * BATCH, device)
    rounds = []

    def run():
        trainer = make_trainer(
            registry, data, "shared-bottom", weighting, weighting_parameters=parameters, max_epochs=1
        )
        rounds.append([stage.step_seconds for stage in trainer.run().stages])
        assert tuple(stage.name for stage in trainer.history.stages) == names

    benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=1)
    first, *_ = names
    figures = {}
    for place, name in enumerate(names):
        figures[f"{name} samples a second"] = BATCH / statistics.median(steps[place] for steps in rounds)
        if name != first:
            figures[f"ratio of {name} to {first}"] = statistics.median(steps[0] / steps[place] for steps in rounds)
    report(benchmark, f"{weighting}, {device}", figures)
