"""The same stage of several seeds: what moves their parameters, and what is left of it when some have ended."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from rmtl_bench.contracts import DivergedError, Evaluation, ModuleStack, Stage, StageGroup, StepReport, map_stacked
from rmtl_bench.contracts.optimizers import SGD, Adam

S = 3


class _Fit(Stage):
    """Fits a layer, and a few numbers of its own under another step size, to fixed rows."""

    def __init__(self, seed, kind=Adam):
        torch.manual_seed(seed)
        self.layer, self.own = nn.Linear(2, 1), nn.Linear(1, 1)
        super().__init__("fit", nn.ModuleList([self.layer, self.own]))
        self.rows = torch.randn(6, 2)
        self.kind = kind
        self.told = 0
        self.score = float(seed)

    def optimizers(self, learning_rate, weight_decay):
        groups = [
            {"params": list(self.layer.parameters())},
            {"params": list(self.own.parameters()), "lr": 3 * learning_rate, "weight_decay": 0.0},
        ]
        return [self.kind(groups, lr=learning_rate, weight_decay=weight_decay)]

    def loss(self, layer, rows):
        return (layer(rows) - 1).square().mean()

    def backward(self, batch):
        loss = self.loss(self.layer, self.rows) + self.own(torch.ones(1)).square().sum()
        loss.backward()
        return StepReport(loss.detach().reshape(1))

    def after_step(self):
        self.told += 1

    def evaluate(self):
        if math.isnan(self.score):
            raise DivergedError("no score")
        return Evaluation(self.score)


class _Fits(StageGroup):
    def __init__(self, stages):
        super().__init__(stages)
        self.layers = ModuleStack([stage.layer for stage in stages])

    def backward(self, batch):
        rows = torch.stack([stage.rows for stage in self.stages])
        losses = map_stacked(self.stages[0].loss, [self.layers], rows)
        own = torch.stack([stage.own(torch.ones(1)).square().sum() for stage in self.stages])
        (losses + own).sum().backward()
        return StepReport((losses + own).detach().unsqueeze(1))


def _step(stage, optimizers):
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    stage.backward(None)
    for optimizer in optimizers:
        optimizer.step()
    stage.after_step()


def _momentum(parameters, lr, weight_decay):
    return SGD(parameters, lr=lr, weight_decay=weight_decay, momentum=0.9)


@pytest.mark.parametrize("kind", [Adam, _momentum], ids=["Adam", "SGD with momentum"])
def test_optimisers_move_every_seed_as_its_own_would_and_go_on_with_those_that_are_left(kind):
    alone = [_Fit(seed, kind) for seed in range(S)]
    stages = [_Fit(seed, kind) for seed in range(S)]
    group = _Fits(stages)
    optimizers = group.optimizers(0.05, 0.01)
    each = [stage.optimizers(0.05, 0.01) for stage in alone]
    left = list(range(S))
    for places in ([0, 1, 2], [0, 2], [1]):
        if len(places) < len(group):
            group.keep(places, optimizers)
            left = [left[place] for place in places]
        for _ in range(3):
            _step(group, optimizers)
            for seed in left:
                _step(alone[seed], each[seed])
    assert left == [2]
    assert [stage.told for stage in stages] == [6, 3, 9]
    for one, other in zip(alone, stages, strict=True):
        assert one.told == other.told
        for expected, found in zip(one.module.parameters(), other.module.parameters(), strict=True):
            torch.testing.assert_close(found, expected)


def test_a_seed_that_has_left_is_moved_no_more_and_costs_the_optimiser_nothing():
    stages = [_Fit(seed) for seed in range(S)]
    group = _Fits(stages)
    optimizers = group.optimizers(0.05, 0.0)
    _step(group, optimizers)
    group.keep([1], optimizers)
    before = [copy.deepcopy(stage.module.state_dict()) for stage in stages]
    _step(group, optimizers)
    for place, (stage, state) in enumerate(zip(stages, before, strict=True)):
        moved = [not torch.equal(value, state[key]) for key, value in stage.module.state_dict().items()]
        assert all(moved) if place == 1 else not any(moved)
    (optimizer,) = optimizers
    moved = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert sum(parameter.numel() for parameter in moved) == sum(p.numel() for p in stages[1].module.parameters())
    stacked = [optimizer.state[leaf]["exp_avg"].shape for leaf in group.layers.parameters.values()]
    assert stacked == [(1, 1, 2), (1, 1)]


def test_groups_of_parameters_keep_their_settings():
    group = _Fits([_Fit(seed) for seed in range(S)])
    (optimizer,) = group.optimizers(0.05, 0.01)
    layers, own = optimizer.param_groups
    assert (layers["lr"], layers["weight_decay"]) == (0.05, 0.01)
    assert layers["params"] == [group.layers.parameters["weight"], group.layers.parameters["bias"]]
    assert (own["lr"], own["weight_decay"]) == (pytest.approx(0.15), 0.0)
    assert [id(p) for p in own["params"]] == [id(p) for stage in group.stages for p in stage.own.parameters()]


def test_stages_are_asked_for_their_results_one_by_one_unless_a_group_knows_better():
    stages = [_Fit(seed) for seed in range(S)]
    stages[1].score = math.nan
    first, second, third = _Fits(stages).evaluate()
    assert (first.score, third.score) == (0.0, 2.0)
    assert isinstance(second, DivergedError)


def test_a_group_may_be_recorded_where_every_stage_may():
    class Recordable(_Fit):
        capturable = True

    stages = [Recordable(seed) for seed in range(S)]
    assert _Fits(stages).capturable
    assert not _Fits([*stages[:2], _Fit(2)]).capturable


def test_dissolved_every_module_owns_its_tensors():
    stages = [_Fit(seed) for seed in range(S)]
    group = _Fits(stages)
    assert group.stacks == [group.layers]
    group.dissolve()
    for stage in stages:
        assert all(p.untyped_storage().nbytes() == p.nbytes for p in stage.module.parameters())


def test_by_default_a_stage_takes_one_seed_at_a_time():
    assert _Fit.side_by_side([_Fit(0), _Fit(1)]) is None
