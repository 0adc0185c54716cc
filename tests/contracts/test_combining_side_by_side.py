from __future__ import annotations

import torch

from rmtl_bench.contracts import LossWeighting, Task, TaskLosses, Weighted


class First(LossWeighting):
    """The first task's loss, by itself and for several seeds."""

    def combine(self, losses, logits, batch):
        return Weighted(losses.mean()[0], torch.tensor([1.0, 0.0]))

    @classmethod
    def combine_side_by_side(cls, weightings, losses, logits, batch):
        return losses.mean()[:, 0], torch.tensor([[1.0, 0.0]] * len(weightings))


class Second(First):
    """Another rule for one seed, and nothing said of several."""

    def combine(self, losses, logits, batch):
        return Weighted(losses.mean()[1], torch.tensor([0.0, 1.0]))


class Renamed(First):
    """The same rule."""


class Rows:
    """What a rule that looks at losses alone needs of a batch."""

    def replica(self, place):
        return None


def combined(kind):
    losses = TaskLosses(torch.arange(12.0).view(2, 3, 2), None)
    weightings = [kind((Task("a"), Task("b"))) for _ in range(2)]
    return kind.combine_side_by_side(weightings, losses, torch.zeros(2, 3, 2), Rows())


def test_a_rule_that_is_overridden_for_one_seed_is_overridden_for_several():
    scalars, weights = combined(Second)
    assert scalars.tolist() == [3.0, 9.0]
    assert weights.tolist() == [[0.0, 1.0]] * 2


def test_a_class_that_overrides_nothing_keeps_its_parents_way():
    assert "combine_side_by_side" not in vars(Renamed)
    assert combined(Renamed)[0].tolist() == combined(First)[0].tolist() == [2.0, 8.0]
