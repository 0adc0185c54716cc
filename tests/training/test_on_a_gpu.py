"""Training on a CUDA device: recorded steps, no waiting inside an epoch, precisions, the command line."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch

from rmtl_bench.contracts import LossWeighting, Weighted
from rmtl_bench.training import seeds_side_by_side
from rmtl_bench.training import trainer as trainer_module
from rmtl_bench.training.checkpoint import Checkpoint
from rmtl_bench.training.cuda_graphs import CudaRecorder
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide
from rmtl_bench.training.steps import EagerSteps

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

BATCH = 7
"""360 rows are 51 batches and 3 rows more: enough steps to be recorded, and a partial batch at the end."""


class Scaled(LossWeighting):
    """Weights of each step's own, on a scale of each epoch's own."""

    capturable = True

    def __init__(self, tasks):
        super().__init__(tasks)
        self.register_buffer("scale", torch.ones(len(self.tasks)))

    def combine(self, losses, logits, batch):
        weights = self.scale * (1 + batch.rows.float().mean()) / 360
        return Weighted((weights * losses.mean()).sum(), weights)

    def after_epoch(self, losses):
        self.scale = self.scale * 0.5


class Asking(Scaled):
    """Claims that it can be recorded, and fetches a value."""

    def combine(self, losses, logits, batch):
        weights = torch.full_like(losses.mean(), losses.mean().sum().item())
        return Weighted((weights * losses.mean()).sum(), weights)


class Waiting(Scaled):
    """Claims that it can be recorded, and waits in a way that only the recording itself finds."""

    def combine(self, losses, logits, batch):
        torch.cuda.synchronize()
        return super().combine(losses, logits, batch)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(CudaRecorder, "failed", [])


@pytest.fixture
def recordings(monkeypatch):
    """The number of recordings so far, as a list's length."""
    made, record = [], CudaRecorder.record

    def counted(self, action):
        made.append(1)
        return record(self, action)

    monkeypatch.setattr(CudaRecorder, "record", counted)
    return made


@pytest.fixture
def on_gpu(make_trainer, make_cell, toy, table):
    class Network(toy.Backbone):
        capturable = True

    def make(weighting=Scaled, seed=0, **settings):
        own = {"batch_size": BATCH, "max_epochs": 3, "patience": 3, **settings}
        return make_trainer(weighting(table.schema.tasks), make_cell(seed), Network, device="cuda", **own)

    return make


@contextmanager
def eager(monkeypatch):
    with monkeypatch.context() as patch:
        for module in (trainer_module, seeds_side_by_side):
            patch.setattr(
                module, "make_steps", lambda stage, optimizers, train, warn: EagerSteps(stage, optimizers, train)
            )
        yield


def numbers(history):
    return torch.tensor(
        [v for q, v in zip(history.epochs["quantity"], history.epochs["value"], strict=True) if q != "seconds"]
    )


def assert_same(one, other):
    torch.testing.assert_close(numbers(one.history), numbers(other.history), rtol=1e-6, atol=1e-6)
    means = [torch.tensor(trainer.history.weights["mean"]) for trainer in (one, other)]
    torch.testing.assert_close(*means, rtol=1e-6, atol=0)
    others = other.backbone.state_dict()
    for name, value in one.backbone.state_dict().items():
        torch.testing.assert_close(value, others[name], rtol=1e-5, atol=1e-6)


def test_recorded_steps_give_the_numbers_of_eager_ones_dropout_included(on_gpu, recordings, monkeypatch):
    with eager(monkeypatch):
        stepwise = on_gpu()
        stepwise.run()
    assert not recordings
    recorded = on_gpu()
    recorded.run()
    assert len(recordings) == 3
    assert recorded.history.warnings == []
    assert_same(recorded, stepwise)


def test_seeds_side_by_side_are_recorded_too(on_gpu, recordings, monkeypatch):
    def run():
        trainers = [on_gpu(seed=seed, max_epochs=4, patience=1) for seed in range(3)]
        assert SeedsSideBySide(trainers).run() == [None] * 3
        return trainers

    with eager(monkeypatch):
        stepwise = run()
    recorded = run()
    assert recordings
    for one, other in zip(recorded, stepwise, strict=True):
        assert one.history.warnings == []
        assert_same(one, other)


@pytest.mark.parametrize(("weighting", "tried"), [(Asking, 0), (Waiting, 1)])
def test_what_cannot_be_recorded_is_taken_step_by_step_and_said(weighting, tried, on_gpu, recordings, monkeypatch):
    with eager(monkeypatch):
        stepwise = on_gpu(weighting)
        stepwise.run()
    trainer = on_gpu(weighting)
    trainer.run()
    assert len(recordings) == tried
    (warning,) = trainer.history.warnings
    assert warning.startswith("stage 'train': steps were taken without a CUDA graph: ")
    assert_same(trainer, stepwise)


@pytest.mark.parametrize("recorded", [True, False])
def test_nothing_waits_for_the_device_inside_an_epoch(recorded, on_gpu, monkeypatch):
    made = trainer_module.make_steps

    class Strict:
        def __init__(self, steps):
            self.steps = steps
            self.begin_epoch = steps.begin_epoch

        def __call__(self, rows):
            torch.cuda.set_sync_debug_mode("error")
            try:
                report = self.steps(rows)
                report.losses * len(rows)
            finally:
                torch.cuda.set_sync_debug_mode("default")
            return report

    def strict(stage, optimizers, train, warn):
        return Strict(made(stage, optimizers, train, warn) if recorded else EagerSteps(stage, optimizers, train))

    monkeypatch.setattr(trainer_module, "make_steps", strict)
    on_gpu().run()


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_a_training_in_lower_precision_is_recorded_and_near(precision, on_gpu, recordings):
    exact, rounded = on_gpu(), on_gpu(precision=precision)
    exact.run()
    rounded.run()
    assert len(recordings) == 6
    assert rounded.history.warnings == []
    torch.testing.assert_close(numbers(rounded.history), numbers(exact.history), rtol=0.05, atol=0.02)


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_training_goes_on_from_a_checkpoint(seeds, on_gpu, recordings, tmp_path):
    def train(saved, observer=None):
        trainers = [on_gpu(seed=seed, observer=observer) for seed in range(seeds)]
        for seed, trainer in enumerate(trainers):
            trainer.checkpoint = Checkpoint(tmp_path / f"{seed}" if saved else None, f"{seed}", interval=0)
        assert SeedsSideBySide(trainers).run() == [None] * seeds
        return trainers

    def die(record):
        if record.epoch == 3:
            raise KeyboardInterrupt

    whole = train(saved=False)
    with pytest.raises(KeyboardInterrupt):
        train(saved=True, observer=die)
    for one, other in zip(train(saved=True), whole, strict=True):
        assert one.checkpoint.resumed == [{"stage": "train", "epoch": 2}]
        assert one.history.warnings == []
        assert_same(one, other)
    assert len(recordings) == 3 + 3 + 1


def test_evaluation_in_other_batches_is_the_same_to_rounding(on_gpu):
    one, other = on_gpu(evaluation_batch_size=1), on_gpu(evaluation_batch_size=4096)
    torch.testing.assert_close(one.predict(one.valid), other.predict(other.valid), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", [(), ("--precision", "bf16")])
def test_the_toy_suite_runs_on_the_gpu_by_the_command_line(precision, rmtl_bench, toy_suite, toy_plugin, tmp_path):
    options = ("--suite", toy_suite, "--plugin", toy_plugin, "--store", tmp_path, "--device", "cuda", *precision)
    run = rmtl_bench("run", *options)
    assert run.returncode == 0, run.stderr
    again = rmtl_bench("run", *options)
    assert "nothing to run" in again.stderr
