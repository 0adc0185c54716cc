"""What every backbone keeps to."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rmtl_bench.contracts.backbone import Backbone
from rmtl_bench.contracts.batch import Batch
from rmtl_bench.contracts.schema import CategoricalField, Schema, Task
from rmtl_bench.testing.checks import NotApplicable, broken, check
from rmtl_bench.testing.generators import seeded_generators
from rmtl_bench.testing.sessions import simulated_sessions
from rmtl_bench.testing.subjects import Subject
from rmtl_bench.testing.trainings import build_backbone, check_learnt, make_trainer

_ROWS = 9
_MOST_TASKS = 5
_OWN_GENERATOR = "draw from torch's default generator alone, which the trainer seeds"


def schema_of(tasks: int, *, chain: bool, sizes: Sequence[int] = (7, 5, 3), numbers: Sequence[str] = ("x",)) -> Schema:
    """Return a schema of small fields. ``chain``: every task is the child of the one before."""
    return Schema(
        tuple(CategoricalField(f"field-{place}", size) for place, size in enumerate(sizes)),
        tuple(numbers),
        tuple(Task(f"task-{k}", f"task-{k - 1}" if chain and k else None) for k in range(tasks)),
    )


def random_batch(schema: Schema, rows: int = _ROWS, seed: int = 0) -> Batch:
    """Return a batch of random ids, numbers and labels, none of them missing."""
    generator = torch.Generator().manual_seed(seed)
    ids = [torch.randint(f.size, (rows,), generator=generator, dtype=torch.int32) for f in schema.categorical]
    zeros = torch.zeros(rows, dtype=torch.int32)
    return Batch(
        categorical=torch.stack(ids, 1) if ids else torch.empty(rows, 0, dtype=torch.int32),
        numerical=torch.randn(rows, len(schema.numerical), generator=generator),
        labels=torch.randint(2, (rows, len(schema.tasks)), generator=generator).float(),
        label_mask=None,
        session=zeros,
        user=zeros,
        rows=torch.arange(rows),
    )


def _chain(subject: Subject) -> bool:
    return "parent-task" in subject.info.required(subject.parameters)


def _built(subject: Subject, tasks: int = 3, **columns: Any) -> tuple[Backbone, Schema]:
    schema = schema_of(tasks, chain=_chain(subject), **columns)
    return build_backbone(subject, schema), schema


def _draw(model: Backbone, batch: Batch, seed: int = 1) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        logits: Tensor = model(batch)
    return logits


@check
def any_number_of_tasks_and_rows(subject: Subject) -> None:
    """One finite float32 logit a row and task, for one task and for five, for one row and for several."""
    least = 2 if _chain(subject) else 1
    for tasks in (least, 2, 3, _MOST_TASKS):
        model, schema = _built(subject, tasks)
        for rows in (1, _ROWS):
            logits = model(random_batch(schema, rows))
            if not isinstance(logits, Tensor) or logits.shape != (rows, tasks):
                seen = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
                broken(
                    f"forward returns {seen} for {rows} rows and {tasks} tasks",
                    f"return one logit a row and task, shape {(rows, tasks)}, in the order of schema.tasks",
                )
            if logits.dtype != torch.float32:
                broken(f"forward returns {logits.dtype}", "return float32 logits")
            if not logits.isfinite().all():
                broken(f"forward returns {logits.flatten().tolist()[:4]} for {rows} rows", "return finite logits")


@check
def tasks_without_parents_and_with(subject: Subject) -> None:
    """It takes tasks that are independent and tasks that are each other's children."""
    if _chain(subject):
        raise NotApplicable("it requires a parent task")
    for chain in (False, True):
        schema = schema_of(3, chain=chain)
        shape = build_backbone(subject, schema)(random_batch(schema)).shape
        if shape != (_ROWS, 3):
            broken(f"forward returns {tuple(shape)} for three tasks", f"return logits of shape {(_ROWS, 3)}")


@check
def fields_and_numbers_are_used(subject: Subject) -> None:
    """Every field and every number reaches the logits, also where a data set has but one of the two."""
    for columns in ({}, {"numbers": ()}, {"sizes": (), "numbers": ("x", "y")}):
        model, schema = _built(subject, 2, **columns)
        model.eval()
        batch = random_batch(schema)
        before = model(batch)
        for what, change in _changes(batch, schema):
            if torch.equal(model(change), before):
                broken(f"the logits are the same whatever {what} is", "use every column of the schema")


def _changes(batch: Batch, schema: Schema) -> Iterator[tuple[str, Batch]]:
    for place, described in enumerate(schema.categorical):
        other = copy.deepcopy(batch)
        other.categorical[:, place] = (other.categorical[:, place] + 1) % described.size
        yield f"field {described.name!r}", other
    for place, name in enumerate(schema.numerical):
        other = copy.deepcopy(batch)
        other.numerical[:, place] += 1
        yield f"number {name!r}", other


@check
def labels_do_not_reach_the_logits(subject: Subject) -> None:
    """The logits do not depend on labels, sessions, users or the places of rows."""
    model, schema = _built(subject)
    model.eval()
    batch = random_batch(schema)
    before = model(batch)
    for name, value in (
        ("labels", 1 - batch.labels),
        ("label_mask", torch.zeros_like(batch.labels, dtype=torch.bool)),
        ("session", batch.session + 3),
        ("user", batch.user + 3),
        ("rows", batch.rows.flip(0)),
    ):
        changed = {each.name: getattr(batch, each.name) for each in fields(batch)} | {name: value}
        if not torch.equal(model(Batch(**changed)), before):
            broken(f"the logits change with batch.{name}", "use batch.categorical and batch.numerical alone")


@check
def rows_do_not_influence_each_other(subject: Subject) -> None:
    """In evaluation the logits of a row do not depend on the other rows of the batch."""
    model, schema = _built(subject)
    model.eval()
    batch = random_batch(schema)
    whole = model(batch)
    batch.categorical[1:] = 0
    batch.numerical[1:] = 0
    if not torch.allclose(model(batch)[0], whole[0], rtol=1e-4, atol=1e-6):
        broken(
            "the logits of the first row change with the others",
            "normalise by statistics that were learnt in training, not by those of the batch",
        )


@check
def batch_is_not_changed(subject: Subject) -> None:
    """A forward pass leaves the batch as it was."""
    model, schema = _built(subject)
    batch, untouched = random_batch(schema), random_batch(schema)
    model(batch)
    for name in ("categorical", "numerical", "labels"):
        if not torch.equal(getattr(batch, name), getattr(untouched, name)):
            broken(f"a forward pass changes batch.{name}", "work on a copy, not in place")


@check
def gradients_reach_every_parameter(subject: Subject) -> None:
    """The sum of the losses has a gradient on every parameter."""
    model, schema = _built(subject)
    _enliven(model)
    batch = random_batch(schema, 64)
    F.binary_cross_entropy_with_logits(model(batch), torch.zeros_like(batch.labels)).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any()):
            broken(f"no gradient reaches parameter {name!r}", "use it in forward, do not detach it, or remove it")


def _enliven(model: Backbone) -> None:
    """Let no unit of a ReLU be dead, no gate closed and nothing dropped out: a gradient that is 0 is none."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.abs().clamp(min=1e-3))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


@check
def same_seed_gives_the_same_model(subject: Subject) -> None:
    """The same seed gives the same weights and, in training, the same logits, bit for bit; another gives others."""
    schema = schema_of(3, chain=_chain(subject))
    one, same, other = (build_backbone(subject, schema, seed) for seed in (0, 0, 1))
    states = [model.state_dict() for model in (one, same, other)]
    for name, value in states[0].items():
        if not torch.equal(value, states[1][name]):
            broken(f"two models of one seed differ in {name!r}", _OWN_GENERATOR)
    if all(torch.equal(value, states[2][name]) for name, value in states[0].items()):
        broken("models of two seeds have the same weights", "do not seed anything: the trainer does")
    batch = random_batch(schema)
    if not torch.equal(_draw(one, batch), _draw(same, batch)):
        broken("two models of one seed give different logits in training", _OWN_GENERATOR)


@check
def no_other_randomness(subject: Subject) -> None:
    """Nothing is drawn but from torch's default generator, and in evaluation nothing at all."""
    schema = schema_of(3, chain=_chain(subject))

    def trained() -> Tensor:
        model = build_backbone(subject, schema)
        _draw(model, random_batch(schema)).sum().backward()
        return _draw(model, random_batch(schema))

    found = []
    for seed in (1, 2):
        with seeded_generators(seed) as moved:
            found.append(trained())
            if others := [name for name in moved() if name != "torch"]:
                broken(f"building and training it moves the global generator of {others[0]}", _OWN_GENERATOR)
    if not torch.equal(*found):
        broken("building and training it differs with the global generators of Python or NumPy", _OWN_GENERATOR)
    model = build_backbone(subject, schema).eval()
    before = torch.get_rng_state()
    model(random_batch(schema))
    if not torch.equal(torch.get_rng_state(), before):
        broken("a forward pass draws random numbers in evaluation", "draw only while self.training")


@check
def saved_and_loaded_it_is_the_same(subject: Subject) -> None:
    """The state_dict, saved and loaded without running code, makes another model the same."""
    schema = schema_of(3, chain=_chain(subject))
    one, other = build_backbone(subject, schema, 0).eval(), build_backbone(subject, schema, 1).eval()
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    file.seek(0)
    try:
        state = torch.load(file, weights_only=True)
    except Exception as error:
        broken(f"its state_dict cannot be loaded: {error}".splitlines()[0], "keep tensors in it, and nothing else")
    other.load_state_dict(state)
    batch = random_batch(schema)
    if not torch.equal(one(batch), other(batch)):
        broken(
            "a model that was given its state_dict gives other logits",
            "keep what it has learnt or drawn in parameters and buffers",
        )


@check
def shared_parameters_are_shared(subject: Subject) -> None:
    """shared_parameters() are parameters that every task's loss depends on, none of them an embedding."""
    model, schema = _built(subject)
    _enliven(model)
    shared, own = model.shared_parameters(), {id(p): name for name, p in model.named_parameters()}
    declared = "shared-parameters" in subject.info.provides
    if declared != bool(shared):
        does = "provides" if declared else "does not provide"
        broken(
            f"shared_parameters() are {len(shared)}, and the description {does} 'shared-parameters'",
            "let the two agree",
        )
    if strange := [p for p in shared if id(p) not in own]:
        broken(f"{len(strange)} of shared_parameters() are no parameters of the model", "return those it has")
    tables = {id(parameter) for parameter in model.embedding_parameters()}
    losses = F.binary_cross_entropy_with_logits(model(random_batch(schema, 64)), torch.zeros(64, 3), reduction="none")
    for parameter in shared:
        if id(parameter) in tables:
            broken(f"{own[id(parameter)]!r} is an embedding table", "leave embeddings out of shared_parameters()")
        for task, loss in zip(schema.task_names, losses.mean(0), strict=True):
            (gradient,) = torch.autograd.grad(loss, parameter, retain_graph=True, allow_unused=True)
            if gradient is None or not gradient.any():
                broken(
                    f"the loss of {task!r} does not depend on {own[id(parameter)]!r}",
                    "leave it out of shared_parameters()",
                )


@check
def shared_representation_is_shared(subject: Subject) -> None:
    """represent() returns the logits of forward() and, where declared, what every task's logit was made from."""
    model, schema = _built(subject)
    _enliven(model)
    model.eval()
    batch = random_batch(schema)
    logits, representation = model.represent(batch)
    if not torch.equal(logits, model(batch)):
        broken("represent() and forward() return different logits", "let forward() return represent(batch)[0]")
    declared = "shared-representation" in subject.info.provides
    if declared != (representation is not None):
        does = "provides" if declared else "does not provide"
        what = "none" if representation is None else "one"
        broken(f"represent() returns {what}, and the description {does} 'shared-representation'", "let the two agree")
    if representation is None:
        raise NotApplicable("it has no shared representation")
    for task, logit in zip(schema.task_names, logits.unbind(1), strict=True):
        (gradient,) = torch.autograd.grad(logit.sum(), representation, retain_graph=True, allow_unused=True)
        if gradient is None or not gradient.any():
            broken(
                f"the logit of {task!r} was not made from the representation", "return the one that it was made from"
            )


@check
def missing_labels_harm_no_other_task(subject: Subject) -> None:
    """Where a task has no label at all, the training goes on and the others learn."""
    table = simulated_sessions(1500, _parents(subject), missing=(0.3, 1.0))
    trainer = make_trainer(table, backbone=subject, max_epochs=2)
    history = trainer.run()
    epochs = history.epochs
    losses = [
        value
        for task, quantity, value in zip(epochs["task"], epochs["quantity"], epochs["value"], strict=True)
        if (task, quantity) == (table.schema.task_names[0], "train-loss")
    ]
    if not losses[-1] < losses[0]:
        broken(f"the other task's loss went from {losses[0]:.4f} to {losses[-1]:.4f}", "let it learn by itself")


@check
def learns_within_the_reference_band(subject: Subject) -> None:
    """On simulated sessions it learns as much as a plain model does, and no more than can be learnt."""
    table = simulated_sessions(tasks=_parents(subject))
    trainer = make_trainer(table, backbone=subject)
    trainer.run()
    check_learnt(table, trainer, "look at the initialisation, and at what is detached, scaled or left out of forward")


def _parents(subject: Subject) -> list[int | None]:
    return [None, 0 if _chain(subject) else None]
