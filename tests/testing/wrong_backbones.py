"""A backbone that is right, and for each check one that is wrong in a single way."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from rmtl_bench import BackboneInfo, Parameter, hookimpl
from rmtl_bench.contracts import Backbone, FieldEmbedding


class Right(Backbone):
    """A shared layer and one head a task."""

    def __init__(self, schema, width=8):
        super().__init__(schema)
        self.embedding = FieldEmbedding(schema, width)
        self.shared = nn.Linear(self.embedding.width, width)
        self.heads = nn.Linear(width, len(schema.tasks))

    def forward(self, batch):
        return self.represent(batch)[0]

    def represent(self, batch):
        hidden = torch.relu(self.shared(self.embedding(batch)))
        return self.heads(nn.functional.dropout(hidden, 0.1, self.training)), hidden

    def shared_parameters(self):
        return list(self.shared.parameters())


class TwoTasks(Right):
    def __init__(self, schema, width=8):
        super().__init__(schema, width)
        self.heads = nn.Linear(width, 2)


class NoChildren(Right):
    def __init__(self, schema, width=8):
        super().__init__(schema, width)
        if any(task.parent for task in schema.tasks):
            raise NotImplementedError("no task may have a parent")


class DeafToNumbers(Right):
    def represent(self, batch):
        quiet = type(batch)(
            batch.categorical, torch.zeros_like(batch.numerical), *(getattr(batch, name) for name in _REST)
        )
        return super().represent(quiet)


_REST = ("labels", "label_mask", "session", "user", "rows")


class Peeking(Right):
    def represent(self, batch):
        logits, hidden = super().represent(batch)
        return logits + batch.labels - 0.5, hidden


class CentredByBatch(Right):
    def represent(self, batch):
        logits, hidden = super().represent(batch)
        return logits - logits.mean(0), hidden


class Scribbling(Right):
    def represent(self, batch):
        found = super().represent(batch)
        batch.numerical.zero_()
        return found


class WithSpare(Right):
    def __init__(self, schema, width=8):
        super().__init__(schema, width)
        self.spare = nn.Linear(width, width)


class SeedsItself(Right):
    def __init__(self, schema, width=8):
        torch.manual_seed(7)
        super().__init__(schema, width)


class OfNumPy(Right):
    def __init__(self, schema, width=8):
        super().__init__(schema, width)
        with torch.no_grad():
            self.shared.bias += float(np.random.normal())


class AlwaysDropsOut(Right):
    def represent(self, batch):
        logits, hidden = super().represent(batch)
        return logits + 0 * torch.rand(()), hidden


class Forgetful(Right):
    def __init__(self, schema, width=8):
        super().__init__(schema, width)
        self.scale = torch.rand(())

    def represent(self, batch):
        logits, hidden = super().represent(batch)
        return logits * (1 + self.scale), hidden


class SharesTooMuch(Right):
    def shared_parameters(self):
        return [*self.shared.parameters(), *self.embedding.parameters()]


class SharesAHead(Right):
    def __init__(self, schema, width=8):
        super().__init__(schema, width)
        self.heads = nn.ModuleList(nn.Linear(width, 1) for _ in schema.tasks)

    def represent(self, batch):
        hidden = torch.relu(self.shared(self.embedding(batch)))
        return torch.cat([head(hidden) for head in self.heads], 1), hidden

    def shared_parameters(self):
        return [*self.shared.parameters(), *self.heads[0].parameters()]


class AnotherRepresentation(Right):
    def represent(self, batch):
        logits, hidden = super().represent(batch)
        return logits, hidden.clone()


class UpsetByMasks(Right):
    def represent(self, batch):
        if batch.label_mask is not None and not batch.label_mask.all():
            raise RuntimeError("a label is missing")
        return super().represent(batch)


class Lazy(Right):
    """Learns next to nothing."""

    def represent(self, batch):
        logits, hidden = super().represent(batch)
        return logits * 1e-3, hidden


class NoBackbone(nn.Module):
    def __init__(self, schema):
        super().__init__()


WRONG = {
    "right": Right,
    "no-backbone": NoBackbone,
    "two-tasks": TwoTasks,
    "no-children": NoChildren,
    "deaf-to-numbers": DeafToNumbers,
    "peeking": Peeking,
    "centred-by-batch": CentredByBatch,
    "scribbling": Scribbling,
    "with-spare": WithSpare,
    "seeds-itself": SeedsItself,
    "of-numpy": OfNumPy,
    "always-drops-out": AlwaysDropsOut,
    "forgetful": Forgetful,
    "shares-too-much": SharesTooMuch,
    "shares-a-head": SharesAHead,
    "another-representation": AnotherRepresentation,
    "upset-by-masks": UpsetByMasks,
    "lazy": Lazy,
}
_SHARES = frozenset({"shared-parameters", "shared-representation"})
_WIDTH = {"width": Parameter(8, "width of each layer", minimum=1)}


def describe(name, target, **changed):
    given = {"summary": "for a test", "parameters": _WIDTH, "provides": _SHARES, **changed}
    return BackboneInfo(name=name, target=f"{__name__}:{target}", **given)


@hookimpl
def rmtl_backbones():
    return [
        *(describe(name, made.__name__) for name, made in WRONG.items() if name != "no-backbone"),
        describe("no-backbone", "NoBackbone", parameters={}),
        describe("shares-in-secret", "Right", provides=frozenset()),
        describe("Shouting_Name", "Right"),
        describe("says-nothing", "Right", summary=""),
        describe("no-help", "Right", parameters={"width": Parameter(8, "")}),
        describe("no-target", "Missing"),
        describe("another-default", "Right", parameters={"width": Parameter(16, "width of each layer")}),
        describe("unknown-parameter", "Right", parameters={**_WIDTH, "depth": Parameter(2, "how many layers")}),
        describe("impossible-default", "Right", parameters={"width": Parameter(8, "width", choices=(4, 16))}),
        describe("twice", "Right"),
        describe("twice", "Right"),
    ]
