from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from rmtl_bench.contracts import GradientWeighting, LossWeighting, Weighted
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.training.backbone_stage import task_losses


class _Fixed(GradientWeighting):
    """Fixed weights; they need no gradient to be found."""

    def __init__(self, tasks, weights):
        super().__init__(tasks)
        self.weights = torch.tensor(weights)

    def task_weights(self, gramian, losses):
        return self.weights


class _Elsewhere(_Fixed):
    """A direction that has nothing to do with the weights it reports."""

    def direction(self, jacobian, losses):
        return torch.arange(jacobian.shape[1], dtype=jacobian.dtype), self.weights


class _Sum(LossWeighting):
    """The fixed weighted sum of the mean losses."""

    def __init__(self, tasks, weights=(1.0, 1.0)):
        super().__init__(tasks)
        self.weights = torch.tensor(weights)

    def combine(self, losses, logits, batch):
        return Weighted((self.weights * losses.mean()).sum(), self.weights)


@pytest.fixture
def step(make_trainer, table):
    """One backward pass without dropout: the gradients by name, the report and the trainer."""

    def step(weighting, data=None, rows=64):
        trainer = make_trainer(weighting, data=data)
        trainer.backbone.eval()
        report = trainer.backbone_stage("s", weighting).backward(trainer.train.batch(torch.arange(rows)))
        return {n: p.grad for n, p in trainer.backbone.named_parameters()}, report, trainer

    return step


def _masked(table, mask, labels=None):
    return dataclasses.replace(table, label_mask=mask, labels=table.labels if labels is None else labels)


@pytest.fixture
def mask(table):
    """Every third click and every other payment is unknown."""
    mask = np.ones(table.labels.shape, dtype=bool)
    mask[::3, 0] = mask[::2, 1] = False
    return mask


def test_a_gradient_weighting_of_ones_is_the_plain_sum(step, table):
    plain, plain_report, _ = step(_Sum(table.schema.tasks))
    ours, report, _ = step(_Fixed(table.schema.tasks, [1.0, 1.0]))
    assert plain.keys() == ours.keys()
    for name in plain:
        torch.testing.assert_close(ours[name], plain[name], rtol=0, atol=1e-6)
        assert plain[name].abs().sum() > 0
    torch.testing.assert_close(report.losses, plain_report.losses)


@pytest.mark.parametrize("weights", [[2.0, 0.5], [0.0, 3.0]])
def test_other_weights_weigh_the_shared_and_all_other_parameters(step, table, weights):
    plain, _, _ = step(_Sum(table.schema.tasks, weights))
    ours, report, _ = step(_Fixed(table.schema.tasks, weights))
    for name in plain:
        torch.testing.assert_close(ours[name], plain[name], rtol=0, atol=1e-6)
    assert report.weights.tolist() == weights


def test_the_shared_parameters_get_the_direction_and_the_others_the_weighted_gradient(step, table):
    plain, _, _ = step(_Sum(table.schema.tasks, [2.0, 0.5]))
    ours, _, trainer = step(_Elsewhere(table.schema.tasks, [2.0, 0.5]))
    shared = [p.grad for p in trainer.backbone.shared_parameters()]
    flat = torch.cat([g.reshape(-1) for g in shared])
    assert torch.equal(flat, torch.arange(len(flat), dtype=flat.dtype))
    others = [name for name in ours if not name.startswith("shared.")]
    assert len(others) >= 3
    for name in others:
        torch.testing.assert_close(ours[name], plain[name], rtol=0, atol=1e-6)


def test_the_min_norm_point_has_the_shortest_direction(step, table, toy):
    _, report, trainer = step(toy.MGDA(table.schema.tasks))
    assert report.weights.sum().item() == pytest.approx(1.0)
    length = sum(p.grad.square().sum() for p in trainer.backbone.shared_parameters())
    for share in np.linspace(0, 1, 11):
        grads, _, _ = step(_Fixed(table.schema.tasks, [float(share), float(1 - share)]))
        assert length <= sum(g.square().sum() for n, g in grads.items() if n.startswith("shared.")) + 1e-9


def test_a_backbone_that_shares_nothing_has_no_gradient_weighting(make_trainer, toy, table):
    class Apart(toy.Backbone):
        def shared_parameters(self):
            return []

    with pytest.raises(UsageError, match="Apart shares no parameter that _Fixed could use"):
        make_trainer(backbone=Apart).backbone_stage("s", _Fixed(table.schema.tasks, [1.0, 1.0]))


def test_losses_are_binary_cross_entropies_and_zero_where_the_label_is_missing(make_trainer, table, mask):
    batch = make_trainer(data=_masked(table, mask)).train.batch(torch.arange(30))
    logits = torch.linspace(-2, 2, 60).reshape(30, 2)
    losses = task_losses(logits, batch)
    p = torch.sigmoid(logits)
    by_hand = -(batch.labels * p.log() + (1 - batch.labels) * (1 - p).log())
    torch.testing.assert_close(losses.per_sample, torch.where(batch.label_mask, by_hand, 0.0))
    known = batch.label_mask[:, 0]
    torch.testing.assert_close(losses.mean()[0], by_hand[known, 0].mean())


@pytest.mark.parametrize("weighting", [_Sum, lambda tasks: _Fixed(tasks, [1.0, 1.0])])
def test_missing_labels_contribute_nothing(step, table, mask, weighting):
    tasks = table.schema.tasks
    filled = np.where(mask, table.labels, 1.0).astype(np.float32)
    emptied = np.where(mask, table.labels, 0.0).astype(np.float32)
    one, report, _ = step(weighting(tasks), _masked(table, mask, filled))
    other, same, _ = step(weighting(tasks), _masked(table, mask, emptied))
    assert torch.equal(report.losses, same.losses)
    assert all(torch.equal(one[name], other[name]) for name in one)
    whole, _, _ = step(weighting(tasks), _masked(table, np.ones_like(mask), emptied))
    assert any(not torch.equal(one[name], whole[name]) for name in one)


@pytest.mark.parametrize("weighting", [_Sum, lambda tasks: _Fixed(tasks, [1.0, 1.0])])
def test_a_task_without_a_known_label_in_the_batch_has_no_loss_and_no_gradient(step, table, mask, weighting):
    nobody = mask.copy()
    nobody[:, 1] = False
    gradients, report, _ = step(weighting(table.schema.tasks), _masked(table, nobody))
    assert report.losses[1] == 0
    assert torch.count_nonzero(gradients["heads.weight"][1]) == 0
    assert all(torch.isfinite(g).all() for g in gradients.values())


def test_a_mask_of_known_labels_alone_changes_nothing(step, table):
    plain, _, _ = step(_Sum(table.schema.tasks))
    masked, _, _ = step(_Sum(table.schema.tasks), _masked(table, np.ones(table.labels.shape, dtype=bool)))
    for name in plain:
        torch.testing.assert_close(masked[name], plain[name], rtol=0, atol=1e-7)


def test_a_training_with_missing_labels_runs_to_its_end(make_trainer, table, mask, toy):
    for weighting in (toy.Equal, toy.MGDA):
        history = make_trainer(weighting(table.schema.tasks), data=_masked(table, mask), max_epochs=2).run()
        assert np.isfinite(history.epochs["value"]).all()
