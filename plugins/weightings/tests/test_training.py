"""Every weighting in a real training: one task alone, saved and loaded half-way, labels that are missing."""

from __future__ import annotations

import io

import pytest
import torch

from rmtl_bench.contracts import UsageError
from rmtl_bench_weightings.plugin import rmtl_weightings

INFOS = {info.name: info for info in rmtl_weightings()}
every = pytest.mark.parametrize("name", list(INFOS))
in_one_stage = pytest.mark.parametrize("name", [name for name, info in INFOS.items() if info.form != "staged"])


@every
def test_one_task_alone_is_plain_training_bit_for_bit(name, make, make_trainer):
    plain, trainer = make_trainer(make("fixed", 1)), make_trainer(make(name, 1))
    plain.run()
    trainer.run()
    found = trainer.backbone.state_dict()
    assert all(torch.equal(value, found[key]) for key, value in plain.backbone.state_dict().items())


def stage_of(trainer):
    torch.manual_seed(0)
    stage = next(iter(trainer.weighting.stages(trainer)))
    trainer.weighting.generator.manual_seed(3)
    stage.module.train()
    return stage, list(stage.optimizers(0.02, 1e-4))


def advance(trainer, stage, optimizers, steps):
    """Take steps, the epoch's end among them; return the weights that were used."""
    used = []
    for number in steps:
        torch.manual_seed(number)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        report = stage.backward(trainer.train.batch(torch.arange(8 * number, 8 * number + 8)))
        for optimizer in optimizers:
            optimizer.step()
        stage.after_step()
        if number % 2:
            stage.after_epoch(report.losses)
        used.append(report.weights.clone())
    return torch.stack(used)


@in_one_stage
def test_a_training_saved_and_loaded_half_way_goes_on_with_the_same_numbers(name, make, make_trainer):
    whole = make_trainer(make(name, 3))
    stage, optimizers = stage_of(whole)
    advance(whole, stage, optimizers, range(4))
    saved = io.BytesIO()
    torch.save([stage.module.state_dict(), [o.state_dict() for o in optimizers]], saved)
    rest = advance(whole, stage, optimizers, range(4, 8))

    resumed = make_trainer(make(name, 3, seed=77))
    other, others = stage_of(resumed)
    resumed.weighting.generator.manual_seed(99)
    saved.seek(0)
    module, states = torch.load(saved, weights_only=True)
    other.module.load_state_dict(module)
    for optimizer, state in zip(others, states, strict=True):
        optimizer.load_state_dict(state)
    assert torch.equal(advance(resumed, other, others, range(4, 8)), rest)
    found = resumed.backbone.state_dict()
    assert all(torch.equal(value, found[key]) for key, value in whole.backbone.state_dict().items())


@every
def test_a_task_without_any_label_leaves_the_others_to_learn(name, make, make_trainer, make_table):
    history = make_trainer(make(name), make_table(2, unknown=1), max_epochs=3).run()
    losses = [
        value
        for task, quantity, value in zip(*(history.epochs[c] for c in ("task", "quantity", "value")), strict=True)
        if (task, quantity) == ("t0", "train-loss")
    ]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("scope", ["representation", "all"])
@pytest.mark.parametrize("name", [name for name, info in INFOS.items() if info.form == "gradient"])
def test_every_scope_that_is_offered_trains(name, scope, make, make_trainer):
    if scope not in INFOS[name].parameters["scope"].choices:
        with pytest.raises(UsageError, match="parameter 'scope' is 'representation'"):
            INFOS[name].resolve({"scope": scope})
        return
    trainer = make_trainer(make(name, 2, scope=scope), max_epochs=1)
    before = {key: value.clone() for key, value in trainer.backbone.state_dict().items()}
    trainer.run()
    for key, value in trainer.backbone.state_dict().items():
        assert value.isfinite().all(), key
        assert not torch.equal(value, before[key]), key
