"""Whether backbones side by side compute what each computes alone, found out before they train.

``vmap`` and ``functional_call`` exchange a module's registered tensors. They know nothing of copies that it has made of
them (the flat weights of ``nn.LSTM``, a slice of an ``nn.ParameterList``), of what else a module holds and is another
for each seed, or of numbers that it draws elsewhere than from torch. Such a model would train on wrong numbers without
any error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.batch import Batch, SplitRows
from rmtl_bench.contracts.stack import ModuleStack, NotStackableError, map_stacked
from rmtl_bench.training.precision import Precision

ROWS = 64
"""Rows on which they are tried."""
TOLERANCE = 0.05
"""Share of a gradient's length by which it may differ: far above rounding, far below what a wrong tensor does."""
NEGLIGIBLE = 1e-5
"""Share of the length of all gradients together that a difference must exceed, too."""


def refuse_disagreement(backbones: ModuleStack, rows: SplitRows) -> None:
    """Raise :class:`NotStackableError`, naming a parameter, where a seed's gradient is not the one it has alone.

    All are tried in evaluation mode, in full float32, on the first rows of a split. Nothing of the modules changes.
    """
    device = rows.device
    batch = rows.batch(torch.arange(min(ROWS, len(rows)), device=device))
    modes = [module.training for module in backbones.modules]
    backbones.train(False)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), Precision().products(device):
            _compare(backbones, batch)
    finally:
        for module, training in zip(backbones.modules, modes, strict=True):
            module.train(training)


def _compare(backbones: ModuleStack, batch: Batch) -> None:
    names = [name for name, leaf in backbones.parameters.items() if leaf.requires_grad]
    leaves = [backbones.parameters[name] for name in names]
    together = _gradients(map_stacked(_objective, [backbones], batch, shared=1).sum(), leaves)
    for place, module in enumerate(backbones.modules):
        parameters = dict(module.named_parameters())
        alone = _gradients(_objective(cast("Backbone", module), batch), [parameters[name] for name in names])
        lengths = _lengths(alone)
        differences = _lengths([mine[place] - own for mine, own in zip(together, alone, strict=True)])
        # Without a gradient at all, however short the other is: what was differentiated is not what is stacked.
        agrees = differences <= TOLERANCE * lengths + NEGLIGIBLE * lengths.norm() * (_lengths(together) > 0)
        if not bool(agrees.all()):
            name = names[int(agrees.int().argmin())]
            raise NotStackableError(f"side by side, the gradient of {name} is not what it is alone")


def _objective(backbone: Backbone, batch: Batch) -> Tensor:
    logits, _ = backbone.represent(batch)
    loss = F.binary_cross_entropy_with_logits(logits, batch.labels)
    penalty = backbone.penalty(logits, batch)
    return loss if penalty is None else loss + penalty


def _gradients(objective: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(objective, parameters, allow_unused=True, materialize_grads=True))


def _lengths(gradients: Sequence[Tensor]) -> Tensor:
    return torch.stack([gradient.norm() for gradient in gradients])
