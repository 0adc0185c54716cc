from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from rmtl_bench.contracts import LossWeighting, StagedWeighting, Weighted
from rmtl_bench.contracts.errors import DivergedError, PluginError


class _Halves(LossWeighting):
    """Half of each loss: another weighting than the sum, without randomness."""

    def combine(self, losses, logits, batch):
        mean = losses.mean()
        return Weighted((0.5 * mean).sum(), torch.full_like(mean, 0.5))


class _Noise(LossWeighting):
    """Random weights from the weighting's own generator, one vector a step."""

    def combine(self, losses, logits, batch):
        mean = losses.mean()
        weights = torch.rand(len(self.tasks), generator=self.generator)
        return Weighted((weights * mean).sum(), weights)


def _weights(trainer):
    return {name: value.clone() for name, value in trainer.backbone.state_dict().items()}


def _equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def _trained(trainer):
    history = trainer.run()
    return _weights(trainer), trainer.predict(trainer.valid), history


def _spied(toy, seen):
    """A backbone that notes the rows of each training batch, and a draw from the stream of dropout."""

    class Spied(toy.Backbone):
        def forward(self, batch):
            if self.training:
                seen.append((batch.rows.tolist(), torch.rand(()).item()))
            return super().forward(batch)

    return Spied


def test_the_same_cell_gives_the_same_weights_and_predictions_bit_for_bit(make_trainer):
    (one, logits, history), (other, again, repeated) = (_trained(make_trainer()) for _ in range(2))
    assert _equal(one, other)
    assert torch.equal(logits, again)
    for column in ("stage", "epoch", "task", "quantity"):
        assert history.epochs[column] == repeated.epochs[column]
    assert history.weights == repeated.weights


def test_training_changes_the_weights_and_another_seed_gives_others(make_trainer, make_cell):
    start = _weights(make_trainer())
    one, other = (_trained(make_trainer(cell=make_cell(seed)))[0] for seed in (0, 1))
    assert not _equal(start, one)
    assert not _equal(one, other)


def test_weightings_see_the_same_batches_and_dropout_from_the_same_start(make_trainer, make_cell, toy, table):
    seen = ([], [])
    trainers = [
        make_trainer(weighting, make_cell(weighting=name), _spied(toy, log))
        for weighting, name, log in zip((None, _Noise(table.schema.tasks)), ("equal", "noise"), seen, strict=True)
    ]
    assert _equal(*map(_weights, trainers))
    for trainer in trainers:
        trainer.run()
    shared = min(map(len, seen))
    assert shared >= 6
    assert seen[0][:shared] == seen[1][:shared]
    assert not _equal(*map(_weights, trainers))


def test_backbones_see_the_same_batches_and_seeds_see_others(make_trainer, make_cell, toy):
    orders = []
    for cell in (make_cell(), make_cell(backbone="other"), make_cell(seed=1)):
        seen = []
        make_trainer(cell=cell, backbone=_spied(toy, seen), max_epochs=1).run()
        orders.append(seen)
    (rows, draws), (rows_b, draws_b), (rows_c, draws_c) = (zip(*seen, strict=True) for seen in orders)
    assert rows == rows_b != rows_c
    assert draws != draws_b
    assert draws != draws_c


def test_an_epoch_visits_every_row_once_and_no_epoch_repeats_another(make_trainer, toy):
    seen = []
    trainer = make_trainer(backbone=_spied(toy, seen), patience=3)
    trainer.run()
    steps = math.ceil(len(trainer.train) / 64)
    epochs = [[row for rows, _ in seen[i : i + steps] for row in rows] for i in range(0, len(seen), steps)]
    assert len(epochs) == 3
    assert all(sorted(epoch) == list(range(len(trainer.train))) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_weightings_own_draws_depend_on_the_whole_cell(make_trainer, make_cell, table):
    def used(cell):
        trainer = make_trainer(_Noise(table.schema.tasks), cell, max_epochs=1)
        return trainer.run().weights["mean"]

    assert used(make_cell(weighting="noise")) == used(make_cell(weighting="noise"))
    assert used(make_cell(weighting="noise")) != used(make_cell(weighting="louder"))


class _Staged(StagedWeighting):
    """The plain sum first, half of it after."""

    def __init__(self, tasks, equal, order, **limits):
        super().__init__(tasks)
        self.equal = equal
        self.order = order
        self.limits = limits
        self.between = None

    def stages(self, context):
        yield context.backbone_stage("warm-up", self.equal, order=self.order)
        self.between = {name: value.clone() for name, value in context.backbone.state_dict().items()}
        yield context.backbone_stage("tune", _Halves(self.tasks), **self.limits)


def test_a_first_stage_of_the_same_order_repeats_the_plain_training_bit_for_bit(make_trainer, make_cell, toy, table):
    plain, _, history = _trained(make_trainer())
    staged = _Staged(table.schema.tasks, toy.Equal(table.schema.tasks), "train")
    after, _, staged_history = _trained(make_trainer(staged, make_cell(weighting="staged")))
    assert _equal(plain, staged.between)
    assert not _equal(plain, after)
    assert [s.name for s in staged_history.stages] == ["warm-up", "tune"]
    assert staged_history.stages[0].best_score == history.stages[0].best_score
    other = _Staged(table.schema.tasks, toy.Equal(table.schema.tasks), None)
    make_trainer(other, make_cell(weighting="staged")).run()
    assert not _equal(plain, other.between)


def test_a_stage_takes_limits_of_its_own(make_trainer, toy, table):
    staged = _Staged(table.schema.tasks, toy.Equal(table.schema.tasks), None, max_epochs=1, learning_rate=0.0)
    weights, _, history = _trained(make_trainer(staged))
    assert history.stages[1].epochs == 1
    assert _equal(weights, staged.between)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("behaviour", ["learn", "diverge"])
def test_random_state_and_training_mode_are_the_callers_again(make_trainer, toy, table, training, behaviour):
    trainer = make_trainer(toy.Equal(table.schema.tasks, behaviour=behaviour), max_epochs=1)
    trainer.backbone.train(training)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    if behaviour == "diverge":
        with pytest.raises(DivergedError):
            trainer.run()
    else:
        trainer.run()
    assert torch.equal(torch.get_rng_state(), before)
    assert {m.training for m in trainer.backbone.modules()} == {training}
    assert trainer.weighting.training


def test_the_callers_random_state_changes_nothing(make_trainer):
    results = []
    for seed in (1, 2):
        trainer = make_trainer()
        torch.manual_seed(seed)
        results.append(_trained(trainer)[0])
    assert _equal(*results)


def test_a_loss_that_is_not_finite_ends_the_training(make_trainer, toy, table):
    trainer = make_trainer(toy.Equal(table.schema.tasks, behaviour="diverge"))
    with pytest.raises(DivergedError, match="stage 'train', epoch 1: the training loss is"):
        trainer.run()
    assert trainer.history.stages == []


def test_a_prediction_that_is_not_finite_ends_the_training(make_trainer, toy, table):
    # One step an epoch: the loss was finite, and the weights are not any more.
    trainer = make_trainer(toy.Equal(table.schema.tasks, behaviour="diverge"), batch_size=10_000)
    with pytest.raises(DivergedError, match="predicts values that are not finite"):
        trainer.run()


def test_predictions_do_not_depend_on_the_batch_size_and_leave_the_mode_alone(make_trainer):
    one, other = make_trainer(), make_trainer(evaluation_batch_size=7)
    for trainer in (one, other):
        trainer.backbone.train()
    torch.testing.assert_close(one.predict(one.valid), other.predict(other.valid))
    assert one.backbone.training
    assert not one.predict(one.valid).requires_grad


def test_the_observer_is_told_each_epoch_as_the_history_has_it(make_trainer):
    records = []
    history = make_trainer(observer=records.append).run()
    assert [(r.stage, r.epoch) for r in records] == [("train", e + 1) for e in range(history.stages[0].epochs)]
    rows = dict(
        zip(
            zip(history.epochs["epoch"], history.epochs["task"], history.epochs["quantity"], strict=True),
            history.epochs["value"],
            strict=True,
        )
    )
    for record in records:
        assert rows[record.epoch, "", "score"] == record.score
        assert rows[record.epoch, "click", "train-loss"] == record.losses["click"]
        assert rows[record.epoch, "pay", "auc"] == record.values["pay", "auc"]
        assert record.score == pytest.approx((record.values["click", "auc"] + record.values["pay", "auc"]) / 2)


def test_a_weighting_is_told_of_every_step_and_epoch(make_trainer, table):
    class Told(_Halves):
        def __init__(self, tasks):
            super().__init__(tasks)
            self.steps, self.losses = 0, []

        def after_step(self):
            self.steps += 1

        def after_epoch(self, losses):
            self.losses.append(losses.tolist())

    weighting, records = Told(table.schema.tasks), []
    history = make_trainer(weighting, observer=records.append).run()
    assert weighting.steps == history.stages[0].steps == 6 * history.stages[0].epochs
    assert weighting.losses == [list(record.losses.values()) for record in records]


def test_parameters_and_buffers_of_a_weighting_are_trained_and_restored_with_the_best_epoch(make_trainer, table):
    class Learned(LossWeighting):
        def __init__(self, tasks):
            super().__init__(tasks)
            self.scale = nn.Parameter(torch.zeros(len(tasks)))
            self.register_buffer("steps", torch.tensor(0))

        def combine(self, losses, logits, batch):
            weights = self.scale.exp()
            return Weighted((weights * losses.mean() - self.scale).sum(), weights.detach())

        def after_step(self):
            self.steps += 1

    weighting = Learned(table.schema.tasks)
    trainer = make_trainer(weighting, max_epochs=8, patience=8)
    (stage,) = trainer.run().stages
    assert stage.epochs == 8
    assert int(weighting.steps) == 6 * stage.best_epoch
    assert (weighting.scale != 0).all() == (stage.best_epoch > 0)
    groups = list(trainer.backbone_stage("again", weighting).parameter_groups())
    assert groups[1]["params"] == [weighting.scale]
    assert groups[1]["weight_decay"] == 0.0


def test_what_is_no_weighting_for_a_backbone_is_refused(make_trainer, toy, table):
    trainer = make_trainer()
    with pytest.raises(PluginError, match="_Staged is neither a loss weighting nor a gradient weighting"):
        trainer.backbone_stage("s", _Staged(table.schema.tasks, None, None))
