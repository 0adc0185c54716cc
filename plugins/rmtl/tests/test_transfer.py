"""Critics that another run hands on take the place of the critics' stage."""

from __future__ import annotations

import pytest
import torch

from rmtl_bench.contracts import Task
from rmtl_bench_rmtl.rmtl import RMTL

TASKS = (Task("t0"), Task("t1"))
SMALL = {
    "embedding_dim": 3,
    "bottom": (8,),
    "tower": (4,),
    "critic_epochs": 3,
    "fine_tune_epochs": 3,
    "fine_tune_learning_rate": 0.02,
    "pre_trained_counts": False,
}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def fine_tuning(history):
    return [row for row in zip(*history.epochs.values(), strict=True) if row[0] == "fine-tune" and row[3] != "seconds"]


def copied(tensors):
    return {key: value.clone() for key, value in tensors.items()}


@pytest.fixture(params=[{}, {"shared_bottom": False}, {"twin_critics": True}], ids=["shared", "separate", "twins"])
def source(request, make_trainer):
    """A run with critics of its own: its parameters, method, trainer and history."""
    parameters = {**SMALL, **request.param}
    method = RMTL(TASKS, **parameters)
    trainer = make_trainer(method, label="source")
    return parameters, method, trainer, trainer.run()


def test_what_is_kept_are_the_critics_that_weighted(source):
    _, method, *_ = source
    (critics,) = method._critics
    assert method.kept()
    assert same(dict(method.kept()), critics.state_dict())


def test_nothing_is_kept_before_the_critics_are_made():
    assert not RMTL(TASKS, **SMALL).kept()


def test_a_run_with_handed_on_critics_has_them_bit_for_bit_and_no_stage_of_its_own(source, make_trainer):
    parameters, method, _, _ = source
    handed_on = copied(method.kept())
    other = RMTL(TASKS, **parameters, critic_from="wide")
    # Another seed has another backbone and would give other critics, had it to learn them.
    history = make_trainer(other, label="target", seed=1, handed_on=handed_on).run()
    assert [stage.name for stage in history.stages] == ["pre-train", "fine-tune"]
    assert same(dict(other.kept()), handed_on)
    assert not any(p.requires_grad for p in other._critics[0].parameters())


def test_own_critics_handed_on_fine_tune_the_same_backbone_bit_for_bit(source, make_trainer):
    parameters, method, trainer, history = source
    other = RMTL(TASKS, **parameters, critic_from="wide")
    second = make_trainer(other, label="target", handed_on=copied(method.kept()))
    repeated = second.run()
    assert same(second.backbone.state_dict(), trainer.backbone.state_dict())
    assert fine_tuning(repeated) == fine_tuning(history) != []
    tuned = [
        [row for row in zip(*h.weights.values(), strict=True) if row[0] == "fine-tune"] for h in (history, repeated)
    ]
    assert tuned[0] == tuned[1]


def test_other_critics_handed_on_fine_tune_otherwise(source, make_trainer):
    parameters, method, trainer, _ = source
    handed_on = {key: value + 0.5 if value.is_floating_point() else value for key, value in method.kept().items()}
    second = make_trainer(RMTL(TASKS, **parameters, critic_from="wide"), label="target", handed_on=handed_on)
    second.run()
    assert not same(second.backbone.state_dict(), trainer.backbone.state_dict())


def test_critics_of_another_run_have_not_converged_here_nor_failed_to(source, make_trainer):
    parameters, method, trainer, _ = source
    other = RMTL(TASKS, **parameters, critic_from="wide")
    second = make_trainer(other, label="target", handed_on=copied(method.kept()))
    second.run()
    own, taken = ({d.quantity for d in m.diagnose(t, t.valid)} for m, t in ((method, trainer), (other, second)))
    assert own - taken == {"critics-converged"}
    assert taken <= own
