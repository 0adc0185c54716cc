"""What every weighting keeps to, whatever its form: looked at in short trainings of a plain backbone."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from rmtl_bench.contracts.catalogue import WeightingInfo
from rmtl_bench.contracts.cell import EpochRecord
from rmtl_bench.contracts.errors import DivergedError
from rmtl_bench.contracts.weighting import GradientWeighting, LossWeighting, StagedWeighting, Weighting
from rmtl_bench.testing.checks import NotApplicable, broken, check
from rmtl_bench.testing.generators import seeded_generators
from rmtl_bench.testing.sessions import simulated_sessions
from rmtl_bench.testing.subjects import Subject
from rmtl_bench.testing.trainings import build_weighting, check_learnt, make_trainer, probabilities, share_learnt
from rmtl_bench.testing.weighting_steps import (
    Recorded,
    columns_changed,
    new_weighting,
    parents_of,
    recorded_steps,
    short_training,
    small_table,
    some_steps,
    wants_parents,
)
from rmtl_bench.training.checkpoint import Checkpoint
from rmtl_bench.training.checkpoint_file import CheckpointError
from rmtl_bench.training.trainer import Trainer

_BASES: dict[str, type[Weighting]] = {"loss": LossWeighting, "gradient": GradientWeighting, "staged": StagedWeighting}
_MOST_TASKS = 5
_FEW_ROWS = 160
_MOST_BREAKS = 8
_LEAST_BESIDE = 0.3
_OWN_STATE = "keep what it carries from step to step in parameters, in buffers (register_buffer) or in get_extra_state"
_OWN_GENERATOR = "draw from self.generator alone (generator=self.generator), which the trainer seeds"
_UNKNOWN = (
    "leave a task without a known label in the batch out of the balance (losses.known(), losses.mask): its loss is 0"
)


@check
def form_is_that_of_the_base_class(subject: Subject) -> None:
    """The class derives from LossWeighting, GradientWeighting or StagedWeighting, and the description says which."""
    made = build_weighting(subject, small_table(subject).schema)
    found = next((form for form, base in _BASES.items() if isinstance(made, base)), "")
    declared = subject.info.form if isinstance(subject.info, WeightingInfo) else ""
    if not found:
        broken(
            f"{type(made).__name__} derives from Weighting alone",
            "derive from LossWeighting, GradientWeighting or StagedWeighting",
        )
    if declared != found:
        broken(
            f"{type(made).__name__} is a {_BASES[found].__name__}, and its description has form = {declared!r}",
            f"state form = {found!r}",
        )


@check
def any_number_of_tasks(subject: Subject) -> None:
    """It trains with one task and with five, and reports finite weights [K] or [B, K] without gradient."""
    for tasks in range(2 if wants_parents(subject) else 1, _MOST_TASKS + 1):
        trainer = short_training(subject, small_table(subject, tasks, rows=_FEW_ROWS))
        for step in recorded_steps(trainer):
            _look_at_report(step, tasks)


def _look_at_report(step: Recorded, tasks: int) -> None:
    losses, weights = step.report.losses, step.report.weights
    where = f"stage {step.stage!r}, {tasks} {'task' if tasks == 1 else 'tasks'}"
    if tuple(losses.shape) != (tasks,) or losses.requires_grad:
        broken(
            f"a step reports losses of shape {tuple(losses.shape)} ({where})", f"report them detached, {(tasks,)} long"
        )
    if weights is None:
        return
    rows = len(step.batch)
    if not isinstance(weights, Tensor) or tuple(weights.shape) not in ((tasks,), (rows, tasks)):
        seen = tuple(weights.shape) if isinstance(weights, Tensor) else type(weights).__name__
        broken(
            f"the weights of a step are {seen} ({where})",
            f"return a tensor of shape {(tasks,)}, or {(rows, tasks)} where every row has its own",
        )
    if weights.requires_grad:
        broken(f"the weights that a step reports carry a gradient ({where})", "return weights.detach()")
    if not weights.isfinite().all():
        broken(
            f"a step reports weights {_said(weights)} ({where})", "look at divisions, logarithms and roots of numbers"
        )


@check
def one_task_alone_is_plain_training(subject: Subject) -> None:
    """With one task there is nothing to balance: the backbone learns what it learns under equal weights."""
    if wants_parents(subject):
        raise NotApplicable("it requires a parent task")
    if isinstance(new_weighting(subject), StagedWeighting):
        raise NotApplicable("it makes stages of its own")
    table = small_table(subject, 1)
    plain, alone = make_trainer(table, batch_size=64), short_training(subject, table, max_epochs=3)
    plain.run()
    alone.run()
    for name, value in alone.backbone.state_dict().items():
        if not torch.allclose(value, plain.backbone.state_dict()[name], rtol=1e-4, atol=1e-6):
            broken(
                f"with one task, {name!r} differs after training from what equal weights lead to",
                "give a single task the weight 1",
            )


@check
def same_seed_gives_the_same_numbers(subject: Subject) -> None:
    """Two trainings of one seed end in the same bits, backbone and weights."""
    table = small_table(subject, 3)
    found = []
    for _ in range(2):
        with seeded_generators(0):
            found.append(_trained(short_training(subject, table, max_epochs=2)))
    if difference := _difference(*found):
        broken(
            f"two trainings of one seed differ in {difference}",
            "let nothing depend on the clock, on addresses or on what an earlier training has left behind",
        )


@check
def draws_come_from_its_own_generator(subject: Subject) -> None:
    """Nothing is drawn from the global generators of Python, NumPy or torch, and nothing depends on them."""
    table = small_table(subject, 3)
    found = []
    for seed in (1, 2):
        with seeded_generators(seed) as moved:
            found.append(_trained(short_training(subject, table, max_epochs=2)))
            if names := moved():
                broken(f"a training draws from the global generator of {' and '.join(names)}", _OWN_GENERATOR)
    if difference := _difference(*found):
        broken(f"another state of the global generators changes {difference}", _OWN_GENERATOR)
    weighting = new_weighting(subject)
    if isinstance(weighting, (LossWeighting, GradientWeighting)):
        with seeded_generators(0) as moved:
            for _ in some_steps(weighting):
                pass
            names = moved()
        if "torch" in names:
            broken("a step draws from torch's global generator, which dropout is drawn from", _OWN_GENERATOR)


@check
def broken_off_and_gone_on_it_is_the_same(subject: Subject) -> None:
    """A training that is broken off after every epoch, and goes on from its checkpoint, ends in the same bits."""
    table, settings = small_table(subject, 3), {"max_epochs": 4, "batch_size": 48}
    whole = _trained(short_training(subject, table, **settings))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        for attempt in range(_MOST_BREAKS + 1):
            observer = _Breaking(most=2 if attempt < _MOST_BREAKS else None)
            checkpoint = Checkpoint(path, "run", interval=0)
            trainer = short_training(subject, table, observer=observer, checkpoint=checkpoint, **settings)
            try:
                found = _trained(trainer)
            except CheckpointError as error:
                broken(f"its checkpoint is of no use: {error}", _OWN_STATE)
            except _BrokenOffError:
                found = {}
            if attempt and len(checkpoint.resumed) != attempt:
                why = "; ".join(trainer.history.warnings) or "nothing was saved"
                broken(f"it does not go on from its checkpoint: {why}", _OWN_STATE)
            if found:
                break
    if difference := _difference(whole, found):
        broken(f"broken off after an epoch and gone on from the checkpoint, it differs in {difference}", _OWN_STATE)


class _BrokenOffError(Exception):
    """A training is broken off from within."""


class _Breaking:
    """Breaks a training off in the epoch whose number is ``most``, before its checkpoint is written."""

    def __init__(self, most: int | None) -> None:
        self.most = most
        self.epochs = 0

    def __call__(self, record: EpochRecord) -> None:
        self.epochs += 1
        if self.epochs == self.most:
            raise _BrokenOffError


@check
def state_is_made_of_tensors_and_numbers(subject: Subject) -> None:
    """Its state_dict can be saved, loaded without running code, and given to another."""
    trainer = short_training(subject, small_table(subject, 3))
    trainer.run()
    file = io.BytesIO()
    try:
        torch.save(trainer.weighting.state_dict(), file)
        file.seek(0)
        state = torch.load(file, weights_only=True)
    except Exception as error:
        line = (str(error).splitlines() or [""])[0]
        broken(f"its state_dict cannot be saved and loaded: {line}", "keep tensors, numbers and texts in it")
    try:
        build_weighting(subject, trainer.schema).load_state_dict(state)
    except RuntimeError as error:
        line = " ".join(str(error).split())[:200]
        broken(
            f"another cannot be given its state_dict: {line}",
            "register every buffer and parameter in the constructor, or keep it in get_extra_state",
        )


@check
def batches_are_left_as_they_were(subject: Subject) -> None:
    """A step changes nothing in the batch."""
    for step in recorded_steps(short_training(subject, small_table(subject, missing=(0.2, 0.2)))):
        if changed := columns_changed(step.batch, step.before):
            broken(
                f"a step of stage {step.stage!r} changes batch.{changed[0]} in place",
                "work on a copy: other parts of the step read it, too",
            )


@check
def reported_weights_stay_as_they_were(subject: Subject) -> None:
    """Weights that a step has reported are not changed by later ones."""
    for step in recorded_steps(short_training(subject, small_table(subject, 3), max_epochs=2)):
        if step.weights is not None and not torch.equal(step.report.weights, step.weights):  # type: ignore[arg-type]
            broken(
                f"weights reported as {_said(step.weights)} are changed afterwards, before they are stored",
                "return a copy (weights.clone()), or do not change them in place",
            )


@check
def backbone_is_left_to_the_stages(subject: Subject) -> None:
    """The backbone is no part of the weighting, and what is trained of it stays so."""
    trainer = short_training(subject)
    of_backbone = {id(value): name for name, value in trainer.backbone.named_parameters()}
    before = {name: value.requires_grad for name, value in trainer.backbone.named_parameters()}
    with trainer.at_work():
        for stage in trainer.stages():
            for name, value in trainer.weighting.named_parameters():
                if id(value) in of_backbone:
                    broken(
                        f"parameter {name!r} of the weighting is the backbone's {of_backbone[id(value)]!r}",
                        "keep no backbone in an attribute (in a tuple it is no submodule): it is saved twice there",
                    )
            trainer.run_stage(stage)
    for name, value in trainer.backbone.named_parameters():
        if value.requires_grad != before[name]:
            broken(f"requires_grad of the backbone's {name!r} is another after the training", "set it back")


@check
def missing_labels_harm_no_other_task(subject: Subject) -> None:
    """Where a task has no label at all, the training goes on and the others learn."""
    table = small_table(subject, 2, rows=1000, missing=(0.3, 1.0))
    trainer = make_trainer(table, weighting=subject, batch_size=64)
    try:
        steps = recorded_steps(trainer)
    except DivergedError as error:
        broken(f"with a task that has no label, the training diverges: {error}", _UNKNOWN)
    for step in steps:
        if step.weights is not None and not step.weights.isfinite().all():
            broken(
                f"with a task that has no label, a step reports weights {_said(step.weights)}",
                _UNKNOWN,
            )
    # Of a task without labels, nothing can be said.
    with np.errstate(invalid="ignore"):
        learnt = float(share_learnt(table, probabilities(trainer, table))[0])
    if not learnt > _LEAST_BESIDE:
        broken(
            f"beside a task without any label, the other has learnt {learnt:.0%} of what can be learnt, under "
            f"{_LEAST_BESIDE:.0%}",
            _UNKNOWN,
        )


@check
def learns_within_the_reference_band(subject: Subject) -> None:
    """On simulated sessions a plain model learns under it as much as it should, and no more than can be learnt."""
    table = simulated_sessions(tasks=parents_of(subject, 2))
    trainer = make_trainer(table, weighting=subject)
    trainer.run()
    check_learnt(table, trainer, "look at the sign and size of the weights, and at what is detached")


def _said(weights: Tensor) -> str:
    row = weights.reshape(-1, weights.shape[-1])[0]
    return "[" + ", ".join(f"{value:.4g}" for value in row.tolist()) + "]"


def _trained(trainer: Trainer) -> dict[str, object]:
    """Run a training; return what must be the same in another, by name."""
    trainer.run()
    columns = trainer.history.weights
    found: dict[str, object] = {f"the backbone's {name!r}": v for name, v in trainer.backbone.state_dict().items()}
    found["the weights that were reported"] = repr(columns)
    return found


def _difference(one: dict[str, object], other: dict[str, object]) -> str:
    """Return the name of the first thing in which two trainings differ; the weights come first."""
    for name in reversed(one):
        first, second = one[name], other[name]
        same = torch.equal(first, second) if isinstance(first, Tensor) and isinstance(second, Tensor) else None
        if not (first == second if same is None else same):
            return name
    return ""
