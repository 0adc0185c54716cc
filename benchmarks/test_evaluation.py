"""What judging costs: the validation after each epoch and the test at the end, beside a training epoch on as many rows.

Predictions are forward passes over 8,192 rows at a time, beside their own matrix products alone; the rest of an
evaluation are its metrics. All cores, default sizes.
"""

from __future__ import annotations

import statistics

import pytest
import torch

from benchmarks.clock import seconds
from benchmarks.figures import report, threads_note
from benchmarks.matrix_products import Replay, record
from benchmarks.trainings import BATCH, Data, make_trainer
from rmtl_bench.metrics.evaluation import evaluate

EVALUATED_AT_ONCE = 8192
BATCHES = {"cpu": 2, "cuda": 64}
TRAINED = 2 * BATCH
ROUNDS = 5


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    return request.param


@pytest.fixture(scope="module")
def data(registry, device):
    return Data.simulated(registry, TRAINED, device, held_out=BATCHES[device] * EVALUATED_AT_ONCE)


@pytest.mark.usefixtures("all_cores")
@pytest.mark.parametrize("backbone", ["esmm", "mmoe", "ple"])
def test_validation(benchmark, registry, data, device, backbone):
    benchmark.group = f"validation of an epoch, {device}, {threads_note(torch.get_num_threads())}"
    target, rows = torch.device(device), len(data.valid)
    settings = {"max_epochs": 1, "evaluation_batch_size": EVALUATED_AT_ONCE}
    trainer = make_trainer(registry, data, backbone, **settings)
    model = trainer.backbone
    at_once = data.valid.batch(torch.arange(EVALUATED_AT_ONCE, device=device))
    with torch.no_grad():
        replay = Replay(record(lambda: model(at_once)).products)
    turns = []

    def turn():
        validated = seconds(trainer.validate, target)
        predicted = seconds(lambda: trainer.predict(data.valid), target)
        multiplied = BATCHES[device] * seconds(replay, target)
        (stage,) = make_trainer(registry, data, backbone, **settings).run().stages
        turns.append((validated, predicted, multiplied, stage.step_seconds * rows / BATCH))

    benchmark.pedantic(turn, rounds=ROUNDS, warmup_rounds=1)
    figures = {
        "samples a second": rows / statistics.median(validated for validated, *_ in turns),
        "ratio to training on as many rows": statistics.median(own / trained for own, _, _, trained in turns),
        "share of its predictions": min(1.0, statistics.median(made / own for own, made, *_ in turns)),
        "share of its matrix products": statistics.median(products / own for own, _, products, _ in turns),
    }
    report(benchmark, f"{backbone}, {device}", figures)


@pytest.mark.usefixtures("all_cores")
def test_test(benchmark, registry, data, device):
    """Predictions on the test split and every metric of the catalogue on them."""
    benchmark.group = f"test of a run, all metrics, {device}, {threads_note(torch.get_num_threads())}"
    trainer = make_trainer(registry, data, "mmoe", max_epochs=1)
    table = data.table
    rows = table.split("test")
    metrics = {entry.info.name: (entry.load(), entry.info) for entry in registry.entries("metric")}
    turns = []

    def test():
        logits = []
        predicted = seconds(lambda: logits.append(trainer.predict(data.test)), torch.device(device))
        scores = torch.sigmoid(logits[0].double()).cpu().numpy()
        columns = (table.user[rows], table.session[rows], table.optimum[rows])
        measured = seconds(
            lambda: evaluate(metrics, table.schema.task_names, table.labels[rows], None, scores, *columns)
        )
        turns.append((predicted, measured))

    benchmark.pedantic(test, rounds=ROUNDS, warmup_rounds=1)
    whole = [predicted + measured for predicted, measured in turns]
    figures = {
        "samples a second": len(data.test) / statistics.median(whole),
        "share of its predictions": statistics.median(
            predicted / (predicted + measured) for predicted, measured in turns
        ),
    }
    report(benchmark, f"mmoe, {device}", figures)
