"""What a CUDA graph may record of a step, tried on tensors without numbers: fetching one, or a draw, is an error."""

from __future__ import annotations

import pytest
import torch

from rmtl_bench.contracts import Batch, LossWeighting, TaskLosses
from rmtl_bench.training import trainer as trainer_module
from rmtl_bench.training.cuda_graphs import CudaRecorder
from rmtl_bench.training.device_operations import DeviceOperations
from rmtl_bench.training.steps import EagerSteps
from rmtl_bench_weightings.plugin import rmtl_weightings

LOSS_WEIGHTINGS = [info.name for info in rmtl_weightings() if info.form == "loss"]
META, CPU = torch.device("meta"), torch.device("cpu")
DRAWING, LOOKING_AGAIN = {"random"}, {"famo"}
ASKING = {"gls"}
"""torchjd asks whether a loss is negative."""
CAPTURABLE = sorted({*LOSS_WEIGHTINGS} - DRAWING - LOOKING_AGAIN - ASKING)


def on_meta(batch):
    tensors = {name: getattr(batch, name) for name in Batch.__dataclass_fields__}
    return Batch(**{name: None if value is None else value.to(META) for name, value in tensors.items()})


def operations_of_a_step(trainer, device=META):
    trainer.backbone.to(device)
    trainer.weighting.to(device)
    stage = next(iter(trainer.weighting.stages(trainer)))
    batch = trainer.train.batch(torch.arange(8))
    if device == META:
        batch = on_meta(batch)
    with DeviceOperations(device) as operations:
        stage.backward(batch)
        trainer.weighting.after_step()
    return operations.found


# Only tensors without numbers tell the device from the CPU; only on those with numbers is the real way back taken.
@pytest.mark.parametrize("device", [META, CPU], ids=str)
@pytest.mark.parametrize("unknown", [None, 1])
@pytest.mark.parametrize("name", CAPTURABLE)
def test_a_step_stays_on_the_device(name, unknown, device, make, make_table, make_trainer):
    weighting = make(name, 3)
    assert weighting.capturable
    assert operations_of_a_step(make_trainer(weighting, make_table(3, unknown=unknown)), device) == []


@pytest.mark.parametrize("name", CAPTURABLE)
def test_a_step_of_seeds_side_by_side_stays_on_the_device(name, make):
    weightings = [make(name, 3).to(META) for _ in range(2)]
    assert all(isinstance(weighting, LossWeighting) for weighting in weightings)
    ids = torch.zeros(2, 5, dtype=torch.int32, device=META)
    mask = torch.ones(2, 5, 3, dtype=torch.bool, device=META)
    logits = torch.zeros(2, 5, 3, device=META, requires_grad=True)
    batch = Batch(ids.unsqueeze(2), logits[..., :0], logits.detach(), mask, ids, ids, ids.long())
    for known in (None, mask):
        with DeviceOperations(META) as operations:
            scalars, _ = type(weightings[0]).combine_side_by_side(
                weightings, TaskLosses(logits.exp(), known), logits, batch
            )
            scalars.sum().backward()
        assert operations.found == []


@pytest.mark.parametrize("name", sorted(DRAWING))
def test_a_weighting_that_draws_on_the_cpu_does_not_claim_to_and_would_be_found_out(name, make, make_trainer):
    weighting = make(name, 3)
    assert not weighting.capturable
    assert "on the CPU" in operations_of_a_step(make_trainer(weighting))[0]


@pytest.mark.parametrize("name", sorted(ASKING))
def test_a_weighting_that_asks_for_a_value_does_not_claim_to_and_would_be_found_out(name, make, make_trainer):
    weighting = make(name, 3)
    assert not weighting.capturable
    assert "wait for the device" in operations_of_a_step(make_trainer(weighting), CPU)[0]


def test_a_weighting_that_looks_at_a_batch_again_is_not_recorded(make, make_trainer):
    trainer = make_trainer(make("famo", 3))
    assert trainer.backbone.capturable
    assert not next(iter(trainer.weighting.stages(trainer))).capturable


@pytest.mark.parametrize("info", [info for info in rmtl_weightings() if info.form == "gradient"], ids=lambda i: i.name)
def test_gradient_weightings_whose_solvers_run_on_the_cpu_do_not_claim_to(info, make):
    assert not make(info.name, 3).capturable


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", CAPTURABLE)
def test_a_recorded_training_has_the_numbers_of_an_eager_one(name, make, make_table, make_trainer, monkeypatch):
    def losses(recorded):
        with monkeypatch.context() as patch:
            patch.setattr(CudaRecorder, "failed", [])
            if not recorded:
                patch.setattr(
                    trainer_module, "make_steps", lambda stage, how, train, warn: EagerSteps(stage, how, train)
                )
            trainer = make_trainer(make(name, 3), make_table(3, rows=200), "cuda", batch_size=3)
            epochs = trainer.run().epochs
            assert trainer.history.warnings == []
        return torch.tensor([epochs["value"][i] for i, what in enumerate(epochs["quantity"]) if what == "train-loss"])

    torch.testing.assert_close(losses(True), losses(False), rtol=1e-6, atol=0)
