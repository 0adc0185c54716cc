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


def test_a_prediction_that_is_not_finite_ends_the_training(make_trainer, toy, table):
    # One step an epoch: the loss was finite, and the weights are not any more.
    trainer = make_trainer(toy.Equal(table.schema.tasks, behaviour="diverge"), batch_size=10_000)
    with pytest.raises(DivergedError, match="stage 'train', epoch 1: the backbone predicts values that are not finite"):
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


class _Nesting(StagedWeighting):
    """Random weights in two stages, each from a weighting of its own; notes what it was handed on."""

    def __init__(self, tasks):
        super().__init__(tasks)
        self.handed_on = "nobody asked"

    def stages(self, context):
        self.handed_on = context.handed_on
        yield context.backbone_stage("first", _Noise(self.tasks), max_epochs=1)
        yield context.backbone_stage("second", _Noise(self.tasks), max_epochs=1)


@pytest.fixture
def nested_weights(make_trainer, make_cell, table):
    """The mean weights that a run used, of the first stage and of the second."""

    def used(**cell):
        weights = make_trainer(_Nesting(table.schema.tasks), make_cell(**cell)).run().weights
        assert weights["stage"] == ["first", "first", "second", "second"]
        return weights["mean"][:2], weights["mean"][2:]

    return used


def test_a_nested_weighting_draws_the_same_in_the_same_run_whatever_was_drawn_before(nested_weights):
    torch.manual_seed(1)
    one = nested_weights()
    torch.manual_seed(2)
    assert nested_weights() == one


@pytest.mark.parametrize("change", [{"seed": 1}, {"weighting": "other"}, {"backbone": "other"}, {"fingerprint": "g"}])
def test_nested_weightings_of_two_runs_or_stages_draw_differently(nested_weights, change):
    first, second = nested_weights()
    assert first != second
    assert not {*first, *second} & {weight for stage in nested_weights(**change) for weight in stage}


def test_a_nested_weighting_is_seeded_apart_from_the_one_that_it_is_nested_in(make_trainer, table):
    outer, inner = _Nesting(table.schema.tasks), _Noise(table.schema.tasks)
    trainer = make_trainer(outer)
    trainer.run()
    trainer.backbone_stage("first", inner)
    assert inner.generator.initial_seed() == trainer.seed("weighting/first")
    assert inner.generator.initial_seed() != outer.generator.initial_seed() == trainer.seed("weighting")


def test_a_nested_weighting_is_moved_to_the_device(make_trainer, table):
    class Holding(_Halves):
        def __init__(self, tasks):
            super().__init__(tasks)
            self.scale = nn.Parameter(torch.zeros(len(tasks)))
            self.register_buffer("steps", torch.tensor(0))

    trainer, nested = make_trainer(), Holding(table.schema.tasks)
    # A device that every machine has, and that is not where the weighting was made.
    trainer.device = torch.device("meta")
    trainer.backbone_stage("s", nested)
    assert {nested.scale.device, nested.steps.device} == {trainer.device}
    assert nested.generator.device.type == "cpu"


def test_a_paired_seed_is_that_of_any_weighting_and_another_is_not(make_trainer, make_cell):
    one, other, elsewhere, again = (
        make_trainer(cell=cell)
        for cell in (make_cell(), make_cell(weighting="other"), make_cell(backbone="other"), make_cell(seed=1))
    )
    assert one.seed("critics", paired=True) == other.seed("critics", paired=True)
    assert one.seed("critics") != other.seed("critics")
    seeds = [trainer.seed("critics", paired=paired) for trainer in (one, elsewhere, again) for paired in (True, False)]
    assert len({*seeds, one.seed("actions", paired=True)}) == 7


def test_what_is_handed_on_reaches_the_stages(make_trainer, table):
    handed = {"weights": torch.ones(2)}
    for given in (None, handed):
        weighting = _Nesting(table.schema.tasks)
        make_trainer(weighting, handed_on=given).run()
        assert weighting.handed_on is given


def test_validation_at_any_time_is_what_the_stage_reports(make_trainer):
    records = []
    trainer = make_trainer(observer=records.append, max_epochs=8)
    start = trainer.validate()
    (stage,) = trainer.run().stages
    after = trainer.validate()
    best = records[stage.best_epoch - 1]
    assert after.score == stage.best_score == best.score
    assert dict(after.values) == dict(best.values)
    assert set(after.values) == {(task, metric) for task in ("click", "pay") for metric in ("auc", "logloss")}
    assert start.score != after.score
    assert trainer.backbone_stage("again", trainer.weighting).evaluate() == after


def test_a_warning_is_kept_once_and_in_order(make_trainer, table):
    class Anxious(_Nesting):
        def stages(self, context):
            for text in ("two", "one", "two"):
                context.warn(text)
            yield from super().stages(context)
            context.warn("one")
            context.warn("three")

    history = make_trainer(Anxious(table.schema.tasks)).run()
    assert history.warnings == ["two", "one", "three"]
    assert make_trainer().run().warnings == []


def test_what_is_no_weighting_for_a_backbone_is_refused(make_trainer, toy, table):
    trainer = make_trainer()
    with pytest.raises(PluginError, match="_Staged is neither a loss weighting nor a gradient weighting"):
        trainer.backbone_stage("s", _Staged(table.schema.tasks, None, None))
