"""What becomes of a backbone side by side: its dropout, its statistics, its tensors; and which cannot be there."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rmtl_bench.contracts import Backbone, FieldEmbedding, LossWeighting, ParallelMLP, Weighted
from rmtl_bench.contracts.stack import NotStackableError
from rmtl_bench.training.seeds_side_by_side import SeedsSideBySide
from rmtl_bench.training.validation import predict


class _Dropping(Backbone):
    """Layers with the dropout of the contracts."""

    def __init__(self, schema):
        super().__init__(schema)
        self.embedding = FieldEmbedding(schema, 4)
        self.network = ParallelMLP(len(schema.tasks), self.embedding.width, (12,), dropout=0.4, output=1)

    def forward(self, batch):
        return self.network(self.embedding(batch)).squeeze(2).T


class _Again(LossWeighting):
    """Weighs each task by what the last step has left of its loss."""

    def __init__(self, tasks):
        super().__init__(tasks)
        self.register_buffer("left", torch.ones(len(self.tasks)))
        self.register_buffer("before", torch.ones(len(self.tasks)))

    def combine(self, losses, logits, batch):
        self.before = losses.mean().detach()
        return Weighted((losses.mean() * self.left).sum(), self.left)

    def look_again(self, losses):
        self.left = losses() / self.before


@pytest.mark.parametrize("backbone", [_Dropping, None], ids=["the contracts' dropout", "torch's dropout"])
def test_a_second_look_drops_the_units_of_the_step(backbone, both, wide):
    solo, _ = both(lambda seed: _Again(wide.schema.tasks), backbone=backbone)
    # A step along the gradient under the same masks makes the losses smaller.
    assert all(0.9 < mean < 1 for trainer in solo for mean in trainer.history.weights["mean"])


class _Loose(_Dropping):
    """Holds a tensor that is neither parameter nor buffer, another for each seed."""

    def __init__(self, schema):
        super().__init__(schema)
        self.noise = torch.rand(len(schema.tasks))

    def forward(self, batch):
        return super().forward(batch) + self.noise


class _Listed(_Loose):
    """Holds it where nobody looks."""

    def __init__(self, schema):
        super().__init__(schema)
        self.noises = [self.noise]
        del self.noise

    def forward(self, batch):
        return _Dropping.forward(self, batch) + self.noises[0]


class _Remembering(_Dropping):
    """Keeps a list of its parameters beside them, as torch's recurrent layers do."""

    def __init__(self, schema):
        super().__init__(schema)
        self.scale = nn.Parameter(torch.ones(self.embedding.width))
        self.flat = [self.scale]

    def forward(self, batch):
        return self.network(self.embedding(batch) * self.flat[0]).squeeze(2).T


class _Sliced(_Dropping):
    """Takes a slice of a list of parameters, which torch makes new parameters of."""

    def __init__(self, schema):
        super().__init__(schema)
        self.scales = nn.ParameterList(torch.ones(self.embedding.width) for _ in range(2))

    def forward(self, batch):
        (scale,) = self.scales[1:]
        return self.network(self.embedding(batch) * scale).squeeze(2).T


@pytest.mark.parametrize(
    ("backbone", "reason"),
    [
        (_Loose, "_Loose holds 'noise', no parameter and no buffer"),
        (_Listed, "side by side, the gradient of"),
        (_Remembering, "side by side, the gradient of scale is not what it is alone"),
        (_Sliced, "side by side, the gradient of scales.1 is not what it is alone"),
    ],
)
def test_a_backbone_that_would_train_on_wrong_numbers_runs_seed_by_seed(backbone, reason, both, toy, wide):
    _, joint = both(lambda seed: toy.Equal(wide.schema.tasks), exactly=True, backbone=backbone)
    for trainer in joint:
        (said,) = trainer.history.warnings
        assert said.startswith(f"stage 'train': the seeds trained one after another: {reason}")
        assert all(not value._is_view() for value in trainer.backbone.parameters())


class _Exchanging(_Dropping):
    """Gives a buffer a new tensor in each step of a training."""

    def __init__(self, schema):
        super().__init__(schema)
        self.register_buffer("level", torch.zeros(()))

    def forward(self, batch):
        logits = super().forward(batch)
        if self.training:
            self.level = 0.9 * self.level + 0.1 * logits.detach().mean()
        return logits - self.level


def test_a_backbone_that_exchanges_a_buffer_cannot_be_in_a_pass(seeds_of, toy, wide):
    trainers = seeds_of(lambda seed: toy.Equal(wide.schema.tasks), backbone=_Exchanging)
    with pytest.raises(NotStackableError, match="a forward pass exchanges the buffer level"):
        SeedsSideBySide(trainers).run()


class _Normalised(_Dropping):
    """Normalises a column over the batch, with running statistics and a count of the steps.

    The gradient of a bias before it would be nothing but rounding, which Adam makes whole steps of.
    """

    def __init__(self, schema):
        super().__init__(schema)
        self.norm = nn.BatchNorm1d(1)

    def forward(self, batch):
        return super().forward(batch) + self.norm(batch.numerical)


@pytest.mark.parametrize("settings", [{}, {"patience": 1, "max_epochs": 8, "learning_rate": 0.05}], ids=str)
def test_running_statistics_are_each_seeds_own(settings, both, toy, wide):
    solo, joint = both(lambda seed: toy.Equal(wide.schema.tasks), backbone=_Normalised, **settings)
    assert [trainer.history.warnings for trainer in joint] == [[]] * 4
    for one, other in zip(solo, joint, strict=True):
        assert other.backbone.norm.num_batches_tracked == one.backbone.norm.num_batches_tracked > 0
    means = torch.stack([trainer.backbone.norm.running_mean for trainer in joint])
    assert not torch.equal(means[0], means[1])


class _Convolved(Backbone):
    """Its shared representation is what a convolution returns, of which vmap returns a copy."""

    def __init__(self, schema):
        super().__init__(schema)
        self.embedding = FieldEmbedding(schema, 4)
        self.convolution = nn.Conv1d(1, 2, 3, bias=False)
        self.heads = nn.Linear(2 * (self.embedding.width - 2), len(schema.tasks))

    def forward(self, batch):
        return self.represent(batch)[0]

    def represent(self, batch):
        representation = self.convolution(self.embedding(batch).unsqueeze(1))
        return self.heads(torch.tanh(representation.flatten(1))), representation


def test_a_representation_that_is_a_copy_is_not_taken_for_one_without_gradient(both, seeds_of, toy, wide):
    both(lambda seed: toy.Equal(wide.schema.tasks), backbone=_Convolved)
    trainers = seeds_of(lambda seed: toy.MGDA(wide.schema.tasks, scope="representation"), backbone=_Convolved)
    with pytest.raises(NotStackableError, match="no loss depends on the representation that vmap returns"):
        SeedsSideBySide(trainers).run()


def test_frozen_parameters_stay_frozen(both, toy, wide):
    class Frozen(_Dropping):
        def __init__(self, schema):
            super().__init__(schema)
            self.start = {key: value.clone() for key, value in self.embedding.state_dict().items()}
            self.embedding.requires_grad_(False)

    _, joint = both(lambda seed: toy.Equal(wide.schema.tasks), backbone=Frozen)
    for trainer in joint:
        assert all(
            torch.equal(v, trainer.backbone.start[k]) for k, v in trainer.backbone.embedding.state_dict().items()
        )


def test_the_trained_backbones_own_their_tensors(seeds_of, toy, wide):
    trainers = seeds_of(lambda seed: toy.Equal(wide.schema.tasks))
    SeedsSideBySide(trainers).run()
    for trainer in trainers:
        for tensor in trainer.backbone.parameters():
            assert tensor.untyped_storage().nbytes() == tensor.nbytes
    before = predict(trainers[1].backbone, trainers[1].valid, 100)
    with torch.no_grad():
        for parameter in trainers[0].backbone.parameters():
            parameter.zero_()
    assert torch.equal(predict(trainers[1].backbone, trainers[1].valid, 100), before)
