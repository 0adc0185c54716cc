"""Every weighting in a real training: one task alone, and every scope."""

from __future__ import annotations

import pytest
import torch

from rmtl_bench.contracts import UsageError
from rmtl_bench_weightings.plugin import rmtl_weightings

INFOS = {info.name: info for info in rmtl_weightings()}
every = pytest.mark.parametrize("name", list(INFOS))


@every
def test_one_task_alone_is_plain_training_bit_for_bit(name, make, make_trainer):
    plain, trainer = make_trainer(make("fixed", 1)), make_trainer(make(name, 1))
    plain.run()
    trainer.run()
    found = trainer.backbone.state_dict()
    assert all(torch.equal(value, found[key]) for key, value in plain.backbone.state_dict().items())


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
