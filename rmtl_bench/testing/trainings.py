"""Small trainings on simulated sessions, and how much of what can be learnt they learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.cell import Cell, Component, EpochRecord
from rmtl_bench.contracts.dataset import SessionTable
from rmtl_bench.contracts.schema import Schema
from rmtl_bench.contracts.weighting import Weighting
from rmtl_bench.data.rows import DeviceRows
from rmtl_bench.testing.checks import NotApplicable, broken
from rmtl_bench.testing.reference import EqualWeights, PlainBackbone
from rmtl_bench.testing.subjects import Subject
from rmtl_bench.training.checkpoint import Checkpoint
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench.training.streams import Streams
from rmtl_bench.training.trainer import Trainer

CPU = torch.device("cpu")
SETTINGS: Mapping[str, Any] = {"batch_size": 128, "learning_rate": 1e-2, "max_epochs": 3, "patience": 3}
LEAST_LEARNT, MOST_LEARNT = 0.4, 1.1
"""The reference band of :func:`share_learnt` after :data:`SETTINGS` on 6000 rows of simulated sessions.

The plain backbone under equal weights comes to .89 and .93 there; who is given the labels comes to more than 3.
"""


@dataclass(frozen=True)
class _Plain:
    """What stands for a part that is not under test."""

    make: Callable[..., Any]
    name: str

    @property
    def component(self) -> Component:
        return Component(self.name, self.name, 1, "rmtl-bench", "0")


PLAIN_BACKBONE, EQUAL_WEIGHTS = _Plain(PlainBackbone, "plain"), _Plain(EqualWeights, "equal")


def build_backbone(subject: Subject, schema: Schema, seed: int = 0, **more: Any) -> Backbone:
    """Return a subject's model of a schema, its weights drawn from a seed; the caller's random state stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made: Backbone = subject.load()(schema, **{**subject.parameters, **more})
    if not isinstance(made, Backbone):
        broken(f"{subject.info.target} makes a {type(made).__name__}", "let the class derive from Backbone")
    return made


def build_weighting(subject: Subject, schema: Schema) -> Weighting:
    """Return a subject's weighting of a schema's tasks."""
    made: Weighting = subject.load()(schema.tasks, **subject.parameters)
    if not isinstance(made, Weighting):
        base = "LossWeighting, GradientWeighting or StagedWeighting"
        broken(f"{subject.info.target} makes a {type(made).__name__}", f"let the class derive from {base}")
    return made


def make_trainer(
    table: SessionTable,
    *,
    backbone: Subject | None = None,
    weighting: Subject | None = None,
    seed: int = 0,
    observer: Callable[[EpochRecord], None] | None = None,
    checkpoint: Checkpoint | None = None,
    **settings: Any,
) -> Trainer:
    """Return a training on the CPU that has not begun; a part that is left out is the plainest there is.

    ``settings``: those of the trainer, beside :data:`SETTINGS`.
    """
    cell = Cell(
        Component("simulated-sessions", "simulated-sessions", 1, "rmtl-bench", "0", {"rows": len(table)}),
        "0" * 16,
        PLAIN_BACKBONE.component if backbone is None else backbone.component,
        EQUAL_WEIGHTS.component if weighting is None else weighting.component,
        {},
        (),
        seed,
    )
    streams, schema = Streams(cell), table.schema
    if backbone is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(streams.init())
            model: Backbone = PlainBackbone(schema)
    else:
        model = build_backbone(backbone, schema, streams.init())
    weights = EqualWeights(schema.tasks) if weighting is None else build_weighting(weighting, schema)
    train, valid = (DeviceRows(table, split, CPU) for split in ("train", "valid"))
    resolved = TrainerSettings.resolve({**SETTINGS, **settings})
    return Trainer(model, weights, train, valid, resolved, streams, observer, checkpoint=checkpoint)


def probabilities(trainer: Trainer, table: SessionTable) -> NDArray[np.float64]:
    """Return what a trained backbone predicts on the test split, float64 [N, K]."""
    logits = trainer.predict(DeviceRows(table, "test", CPU))
    return np.asarray(torch.sigmoid(logits.double()).numpy())


def share_learnt(table: SessionTable, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each task [K] how far the logloss has come from the base rate's (0) to the true probabilities' (1)."""
    test, train = table.split("test"), table.split("train")
    if table.optimum is None:
        raise NotApplicable("the true probabilities are not known")
    labels = table.labels[test].astype(np.float64)
    known = np.ones(labels.shape, bool) if table.label_mask is None else table.label_mask[test]
    base = np.broadcast_to(table.labels[train].mean(0, dtype=np.float64), labels.shape)
    constant, best, found = (
        _logloss(labels, scores, known) for scores in (base, table.optimum[test].astype(np.float64), predicted)
    )
    return (constant - found) / (constant - best)


def _logloss(labels: NDArray[np.float64], scores: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    scores = np.clip(scores, 1e-12, 1 - 1e-12)
    losses = -(labels * np.log(scores) + (1 - labels) * np.log1p(-scores))
    return np.asarray((losses * known).sum(0) / known.sum(0))


def check_learnt(table: SessionTable, trainer: Trainer, what: str) -> None:
    """Raise ``Broken`` where a trained model has learnt less than the reference band, or more than can be learnt."""
    shares = share_learnt(table, probabilities(trainer, table))
    said = ", ".join(f"{share:.0%}" for share in shares)
    epochs = SETTINGS["max_epochs"]
    if shares.min() < LEAST_LEARNT or not np.isfinite(shares).all():
        broken(
            f"after {epochs} epochs it has learnt {said} of what can be learnt of the tasks, under {LEAST_LEARNT:.0%}",
            what,
        )
    if shares.max() > MOST_LEARNT:
        broken(
            f"it has learnt {said} of what can be learnt of the tasks, which is better than the true probabilities",
            "the labels of the rows it predicts must not reach it",
        )
