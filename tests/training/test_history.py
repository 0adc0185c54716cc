from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench.contracts import LossWeighting, Weighted
from rmtl_bench.training.history import History
from rmtl_bench.training.used_weights import QUANTILES

COLUMNS = [f"q{round(100 * q):02d}" for q in QUANTILES]


def test_mean_and_quantiles_of_an_epochs_weights_are_numpys():
    steps = [torch.rand(2, generator=torch.Generator().manual_seed(i)) for i in range(9)]
    history = History(("click", "pay"))
    history.add_weights("train", 3, steps)
    stacked = torch.stack(steps).double().numpy()
    assert history.weights["task"] == ["click", "pay"]
    assert history.weights["stage"] == ["train", "train"]
    assert history.weights["epoch"] == [3, 3]
    assert history.weights["mean"] == pytest.approx(stacked.mean(0))
    for name, quantile in zip(COLUMNS, QUANTILES, strict=True):
        assert history.weights[name] == pytest.approx(np.quantile(stacked, quantile, axis=0))


def test_weights_of_each_sample_count_each():
    steps = [torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.tensor([[5.0, 1.0]])]
    history = History(("click", "pay"))
    history.add_weights("train", 1, steps)
    assert history.weights["mean"] == pytest.approx([3.0, 1 / 3])
    assert history.weights["q50"] == [3.0, 0.0]


def test_a_stage_without_weights_has_no_rows():
    history = History(("click",))
    history.add_weights("critics", 1, [])
    assert history.weights["stage"] == []


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 100, width=32), min_size=1, max_size=30))
def test_quantiles_rise_within_the_range_of_the_weights(values):
    history = History(("click",))
    history.add_weights("train", 1, [torch.tensor([value]) for value in values])
    row = [history.weights[name][0] for name in COLUMNS]
    assert row == sorted(row)
    assert min(values) <= row[0]
    assert row[-1] <= max(values)


def test_very_many_weights_are_sampled_for_their_quantiles_and_not_for_their_mean():
    weights = torch.linspace(0, 1, 300_001, dtype=torch.float64)[:, None]
    history = History(("click",))
    history.add_weights("train", 1, [weights])
    assert history.weights["mean"][0] == pytest.approx(0.5)
    assert history.weights["q05"][0] == pytest.approx(0.05, abs=1e-4)


def test_a_training_records_the_weights_of_every_epoch(make_trainer, table):
    class Rising(LossWeighting):
        """Weights 1, 2, 3, ... step by step for the first task, per sample; 1 for the second."""

        step = 0

        def combine(self, losses, logits, batch):
            self.step += 1
            weights = torch.ones_like(losses.per_sample)
            weights[:, 0] = self.step
            return Weighted(losses.mean(weights).sum(), weights)

    history = make_trainer(Rising(table.schema.tasks), patience=3).run()
    # Six steps an epoch: five of 64 rows and one of 40.
    assert history.weights["epoch"] == [1, 1, 2, 2, 3, 3]
    assert history.weights["mean"][0] == pytest.approx((64 * 15 + 40 * 6) / 360)
    assert history.weights["mean"][1::2] == [1.0] * 3
    assert history.weights["q95"][::2] == [6.0, 12.0, 18.0]
    assert history.weights["q05"][::2] == [1.0, 7.0, 13.0]


def test_the_loss_of_an_epoch_is_the_mean_over_rows_and_not_over_batches(make_trainer, table, toy):
    # Nothing is learnt at a rate of 0, nor is dropout of any use to a logit of 0.
    trainer = make_trainer(toy.Equal(table.schema.tasks), learning_rate=0.0, max_epochs=1)
    torch.nn.init.zeros_(trainer.backbone.heads.weight)
    with torch.no_grad():
        trainer.backbone.heads.bias.copy_(torch.tensor([1.0, -2.0]))
    history = trainer.run()
    logits = torch.tensor([1.0, -2.0]).expand(len(trainer.train), 2)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, trainer.train.labels, reduction="none"
    ).mean(0)
    losses = [v for q, v in zip(history.epochs["quantity"], history.epochs["value"], strict=True) if q == "train-loss"]
    assert losses == pytest.approx(expected.tolist())


def test_a_gradient_weightings_weights_are_recorded(make_trainer, table, toy):
    history = make_trainer(toy.MGDA(table.schema.tasks), max_epochs=1).run()
    assert sum(history.weights["mean"]) == pytest.approx(1.0)


def test_stage_summaries_are_json_ready(make_trainer):
    history = make_trainer().run()
    (stage,) = json.loads(json.dumps(history.stage_summaries(), allow_nan=False))
    assert stage["name"] == "train"
    assert stage["steps"] == 6 * stage["epochs"]
    assert stage["ended_by"] in ("max-epochs", "no-improvement")
    scores = [v for q, v in zip(history.epochs["quantity"], history.epochs["value"], strict=True) if q == "score"]
    assert stage["best_score"] == max(scores) == scores[stage["best_epoch"] - 1]
