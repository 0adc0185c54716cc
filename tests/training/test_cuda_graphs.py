"""The logic of recorded steps, with a recorder that works on the CPU; with a GPU, see ``test_on_a_gpu.py``."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rmtl_bench.contracts import LossWeighting, Weighted
from rmtl_bench.contracts.stage import StepReport
from rmtl_bench.training import cuda_graphs, seeds_side_by_side
from rmtl_bench.training import trainer as trainer_module
from rmtl_bench.training.cuda_graphs import WARM_UP, GraphedSteps, make_steps
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide
from rmtl_bench.training.steps import EagerSteps

ROWS, BATCH = 360, 32
FULL = ROWS // BATCH


class Tape:
    """A recorder as a graph is one: recording changes nothing, playing writes into the tensors of the recording."""

    def __init__(self, eager: EagerSteps, fail: bool = False) -> None:
        self.eager = eager
        self.fail = fail
        self.log: list[str] = []

    def aside(self, action: Callable[[], Any]) -> Any:
        self.log.append("aside")
        return action()

    def record(self, action: Callable[[], StepReport]) -> tuple[Callable[[], None], StepReport]:
        self.log.append("record")
        kept = [(tensor, tensor.clone()) for tensor in self._state()]
        random = torch.get_rng_state()
        report = action()
        torch.set_rng_state(random)
        for tensor, value in kept:
            tensor.copy_(value)
        if self.fail:
            raise RuntimeError("operation not permitted when stream is capturing\nand more of it")

        def play() -> None:
            self.log.append("play")
            new = action()
            report.losses.copy_(new.losses)
            if report.weights is not None and new.weights is not None:
                report.weights.copy_(new.weights)

        return play, report

    def _state(self) -> list[torch.Tensor]:
        groups = [group for optimizer in self.eager.optimizers for group in optimizer.param_groups]
        states = [state for optimizer in self.eager.optimizers for state in optimizer.state.values()]
        return [parameter.data for group in groups for parameter in group["params"]] + [
            value for state in states for value in state.values()
        ]


class Halves(LossWeighting):
    """Weights that are a tensor of each step's own, and of each epoch."""

    capturable = True

    def __init__(self, tasks):
        super().__init__(tasks)
        self.register_buffer("scale", torch.ones(len(self.tasks)))

    def combine(self, losses, logits, batch):
        weights = self.scale * (1 + batch.rows.float().mean()) / ROWS
        return Weighted((weights * losses.mean()).sum(), weights)

    def after_epoch(self, losses):
        self.scale = self.scale * 0.5


class Twice(Halves):
    """Claims that it can be recorded, and looks at every batch again."""

    def look_again(self, losses):
        losses()


class Asking(LossWeighting):
    """Says that it can be recorded, and fetches a value."""

    capturable = True

    def combine(self, losses, logits, batch):
        weight = losses.mean().sum().item()
        return Weighted(weight * losses.mean().sum(), losses.mean().detach())


@pytest.fixture
def tapes(monkeypatch):
    """Have trainers record their steps; the list gets each stage's steps."""
    made: list[GraphedSteps] = []
    options: dict[str, Any] = {"fail": False, "least_steps": 1}

    def make(stage, optimizers, train, warn):
        eager = EagerSteps(stage, optimizers, train)
        steps = GraphedSteps(eager, Tape(eager, options["fail"]), warn, options["least_steps"])
        made.append(steps)
        return steps

    def use(**changed: Any) -> list[GraphedSteps]:
        options.update(changed)
        monkeypatch.setattr(trainer_module, "make_steps", make)
        monkeypatch.setattr(seeds_side_by_side, "make_steps", make)
        return made

    return use


@pytest.fixture
def halves(make_trainer, table):
    def make(weighting=Halves, **settings):
        return make_trainer(weighting(table.schema.tasks), batch_size=BATCH, patience=3, **settings)

    return make


def outcome(trainer):
    history = trainer.run()
    numbers = [value for key, value in zip(history.epochs["quantity"], history.epochs["value"], strict=True)
               if key != "seconds"]  # fmt: skip
    return trainer.backbone.state_dict(), numbers, history.weights


def assert_same(one, other):
    assert all(torch.equal(value, other[0][name]) for name, value in one[0].items())
    assert one[1:] == other[1:]


def test_recorded_steps_give_the_numbers_of_eager_ones_bit_for_bit(halves, tapes):
    eager = outcome(halves())
    used = tapes()
    recorded = outcome(halves())
    assert_same(eager, recorded)
    assert used[0].recorder.log.count("play") == 3 * (FULL - WARM_UP)


def test_an_epoch_begins_with_eager_steps_and_records_anew(halves, tapes):
    used = tapes()
    halves(max_epochs=2).run()
    epoch = ["aside"] * WARM_UP + ["record"] + ["play"] * (FULL - WARM_UP)
    assert used[0].recorder.log == epoch * 2


def test_the_graph_of_an_epoch_is_given_up_before_the_next(halves, tapes):
    used = tapes()
    trainer = halves(max_epochs=1)
    trainer.run()
    assert used[0]._recorded is not None
    used[0].begin_epoch(FULL)
    assert used[0]._recorded is None


def test_a_batch_of_another_size_is_taken_by_itself(halves, tapes):
    tapes()
    trainer = halves()
    stage = next(iter(trainer.weighting.stages(trainer)))
    steps = trainer_module.make_steps(stage, stage.optimizers(0.01, 0.0), trainer.train, trainer.warn)
    steps.begin_epoch(9)
    rows = torch.arange(ROWS).split(BATCH)
    for part in (*rows[:5], rows[5][:7], rows[6]):
        steps(part)
    assert steps.recorder.log == ["aside"] * WARM_UP + ["record"] + ["play"] * 3


def test_reports_are_copies(halves, tapes):
    tapes()
    trainer = halves()
    stage = next(iter(trainer.weighting.stages(trainer)))
    steps = trainer_module.make_steps(stage, stage.optimizers(0.01, 0.0), trainer.train, trainer.warn)
    steps.begin_epoch(FULL)
    reports = [steps(rows) for rows in torch.arange(ROWS).split(BATCH)[:FULL]]
    weights = torch.stack([report.weights[0] for report in reports])
    torch.testing.assert_close(weights, (1 + torch.arange(ROWS).float().split(BATCH)[0].mean()
                               + BATCH * torch.arange(FULL)) / ROWS)  # fmt: skip
    assert all(not torch.equal(a.losses, b.losses) for a, b in itertools.pairwise(reports))


def test_short_epochs_are_not_recorded(halves, tapes):
    used = tapes(least_steps=FULL + 2)
    halves().run()
    assert used[0].recorder.log == []


def test_a_recording_that_fails_costs_no_step_and_is_told_once(halves, tapes):
    eager = outcome(halves())
    used = tapes(fail=True)
    trainer = halves()
    assert_same(eager, outcome(trainer))
    assert used[0].recorder.log == ["aside"] * WARM_UP + ["record"]
    (warning,) = trainer.history.warnings
    assert warning == (
        "steps were taken without a CUDA graph: RuntimeError: operation not permitted when stream is capturing"
    )


def test_a_step_that_could_not_be_repeated_is_found_before_it_is_recorded(halves, tapes):
    eager = outcome(halves(Asking))
    used = tapes()
    trainer = halves(Asking)
    assert_same(eager, outcome(trainer))
    assert used[0].recorder.log == ["aside"] * WARM_UP
    (warning,) = trainer.history.warnings
    assert "_local_scalar_dense" in warning
    assert "wait for the device" in warning


def test_seeds_side_by_side_are_recorded_as_one_and_fewer_seeds_anew(make_trainer, make_cell, table, toy, tapes):
    class Even(toy.Backbone):
        """Drops nothing out: the seeds' own generators are not of the state that a tape puts back."""

        def forward(self, batch):
            return self.heads(torch.tanh(self.shared(self.embedding(batch))))

    def run():
        trainers = [
            make_trainer(Halves(table.schema.tasks), make_cell(seed), Even, batch_size=BATCH, max_epochs=6, patience=1)
            for seed in range(3)
        ]
        SeedsSideBySide(trainers).run()
        return trainers

    eager, used = run(), tapes()
    recorded = run()
    assert len({len(trainer.history.epochs["value"]) for trainer in eager}) > 1, "no seed ends before another"
    for one, other in zip(eager, recorded, strict=True):
        assert one.history.weights == other.history.weights
        for name, value in one.backbone.state_dict().items():
            assert torch.equal(value, other.backbone.state_dict()[name])
    (steps,) = used
    epochs = max(stage.epochs for trainer in recorded for stage in trainer.history.stages)
    assert steps.recorder.log.count("record") == epochs


@pytest.fixture
def pretended(monkeypatch):
    """Rows that seem to lie on a CUDA device, and a recorder that need not be there."""
    recorder = type("Recorder", (), {"failed": [], "__init__": lambda self, device: None})
    monkeypatch.setattr(cuda_graphs, "CudaRecorder", recorder)
    return SimpleNamespace(device=torch.device("cuda", 0), resident=True), recorder


def test_only_a_stage_that_says_so_is_recorded_and_only_on_a_gpu(halves, toy, pretended):
    class Recordable(toy.Backbone):
        capturable = True

    on_gpu, recorder = pretended
    for weighting, backbone, expected in (
        (Halves, Recordable, GraphedSteps),
        (Halves, toy.Backbone, EagerSteps),
        (toy.Equal, Recordable, EagerSteps),
        (Twice, Recordable, EagerSteps),
    ):
        trainer = halves(weighting, backbone=backbone)
        (stage,) = trainer.weighting.stages(trainer)
        assert type(make_steps(stage, [], on_gpu, trainer.warn)) is expected
        assert type(make_steps(stage, [], trainer.train, trainer.warn)) is EagerSteps
    recorder.failed.append("a graph")
    (stage,) = (trainer := halves(backbone=Recordable)).weighting.stages(trainer)
    assert type(make_steps(stage, [], on_gpu, trainer.warn)) is EagerSteps


def test_a_warning_names_the_stage(halves, pretended, toy):
    class Recordable(toy.Backbone):
        capturable = True

    trainer = halves(backbone=Recordable)
    (stage,) = trainer.weighting.stages(trainer)
    make_steps(stage, [], pretended[0], trainer.warn).warn("a reason")
    assert trainer.history.warnings == ["stage 'train': a reason"]


def test_on_the_cpu_adam_is_as_it_was(halves):
    trainer = halves()
    (stage,) = trainer.weighting.stages(trainer)
    assert not any(group["capturable"] for adam in stage.optimizers(0.1, 0.0) for group in adam.param_groups)
