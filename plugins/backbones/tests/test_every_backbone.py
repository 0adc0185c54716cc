from __future__ import annotations

import copy
import inspect
from importlib import import_module

import pytest
import torch
from torch.nn import functional as F

from rmtl_bench.contracts import UsageError
from rmtl_bench_backbones.plugin import rmtl_backbones


def task_gradients(model, batch):
    """For each task, the gradient of its loss on each parameter, by name; zeros where there is none."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    losses = F.binary_cross_entropy_with_logits(model(batch), batch.labels, reduction="none").mean(0)
    return [
        dict(zip(names, torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True), strict=True))
        for loss in losses
    ]


def description(name):
    (info,) = [info for info in rmtl_backbones() if info.name == name]
    return info


@pytest.mark.parametrize("info", rmtl_backbones(), ids=lambda info: info.name)
def test_described_parameters_and_defaults_are_those_of_the_constructor(info):
    module, _, target = info.target.partition(":")
    signature = inspect.signature(getattr(import_module(module), target).__init__)
    defaults = {n: p.default for n, p in signature.parameters.items() if n not in ("self", "schema")}
    assert defaults == {n: parameter.default for n, parameter in info.parameters.items()}
    assert all(parameter.help for parameter in info.parameters.values())


@pytest.mark.parametrize("tasks", [1, 2, 3, 4, 5])
def test_any_number_of_tasks_and_rows_gives_one_finite_logit_each(variant, tasks, make_schema, make_batch, make_model):
    name, parameters = variant
    schema = make_schema(tasks, numerical=("price",))
    model = make_model(name, schema, **parameters)
    for rows in (1, 9):
        logits = model(make_batch(schema, rows))
        assert logits.shape == (rows, tasks)
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()


@pytest.mark.parametrize("columns", [{"numerical": ("a", "b")}, {"sizes": (), "numerical": ("a", "b")}])
def test_numerical_columns_alone_or_beside_fields_are_used(variant, columns, make_schema, make_batch, make_model):
    name, parameters = variant
    schema = make_schema(**columns)
    model = make_model(name, schema, **parameters).eval()
    one, other = make_batch(schema), make_batch(schema)
    other.numerical.add_(1)
    assert not torch.allclose(model(one), model(other))


def test_rows_do_not_influence_each_other(variant, make_schema, make_batch, make_model):
    name, parameters = variant
    schema = make_schema(3)
    model, batch = make_model(name, schema, **parameters).eval(), make_batch(schema, 6)
    whole = model(batch)
    batch.categorical[1:] = 0
    torch.testing.assert_close(model(batch)[0], whole[0])


@pytest.mark.parametrize("tasks", [1, 3])
@pytest.mark.parametrize("bottom", [(6,), (6, 5), (6, 5, 4)], ids=len)
def test_gradients_reach_every_parameter(variant, tasks, bottom, make_schema, make_batch, make_model):
    name, parameters = variant
    schema = make_schema(tasks, numerical=("price",))
    model = make_model(name, schema, alive=True, bottom=bottom, dropout=0.0, **parameters)
    F.binary_cross_entropy_with_logits(model(make_batch(schema, 64)), torch.zeros(64, tasks)).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("bottom", [(6,), (6, 5), (6, 5, 4), (6, 5, 4, 3)], ids=len)
def test_shared_parameters_are_exactly_those_of_every_task(variant, bottom, make_schema, make_batch, make_model):
    name, parameters = variant
    schema = make_schema([None, None, None])
    model = make_model(name, schema, alive=True, bottom=bottom, dropout=0.0, **parameters)
    gradients = task_gradients(model, make_batch(schema, 64))
    embeddings = {id(p) for p in model.embedding_parameters()}
    shared = {id(p) for p in model.shared_parameters()}
    assert len(shared) == len(model.shared_parameters())
    assert not shared & embeddings
    # Cross layers are shared, also where nothing else is; the catalogue speaks of the plain model.
    if parameters.get("interaction") != "dcn-v2":
        assert bool(shared) == ("shared-parameters" in description(name).provides)
    for parameter_name, parameter in model.named_parameters():
        by_task = [gradient[parameter_name] for gradient in gradients]
        if id(parameter) in shared:
            for gradient in by_task:
                assert of_each(gradient, len(gradient)).all(), f"{parameter_name} does not move with every task"
        elif id(parameter) not in embeddings:
            moves = torch.stack([of_each(gradient, 3) for gradient in by_task])
            assert torch.equal(moves, torch.eye(3, dtype=torch.bool)), f"{parameter_name} is not each task's own"


def of_each(gradient, parts):
    """Whether each part moves: a dense parameter is a stack of networks, task by task where it is not shared."""
    return gradient.reshape(parts, -1).any(1)


def test_the_shared_representation_moves_every_task_and_makes_the_logits(variant, make_schema, make_batch, make_model):
    name, parameters = variant
    schema = make_schema(3, numerical=("price",))
    model = make_model(name, schema, alive=True, dropout=0.0, **parameters)
    batch = make_batch(schema)
    logits, representation = model.represent(batch)
    assert torch.equal(logits, model(batch))
    assert (representation is not None) == ("shared-representation" in description(name).provides)
    if representation is not None:
        for logit in logits.unbind(1):
            (gradient,) = torch.autograd.grad(logit.sum(), representation, retain_graph=True)
            assert gradient.any()


def test_representing_draws_the_same_random_numbers_as_predicting(variant, make_schema, make_batch, make_model):
    name, parameters = variant
    schema = make_schema()
    model, batch = make_model(name, schema, dropout=0.5, **parameters), make_batch(schema)
    torch.manual_seed(1)
    predicted = model(batch)
    torch.manual_seed(1)
    assert torch.equal(model.represent(batch)[0], predicted)


def test_a_penalty_is_a_finite_scalar_of_its_arguments_alone(variant, make_schema, make_batch, make_model):
    name, parameters = variant
    schema = make_schema(3)
    model, batch = make_model(name, schema, **parameters), make_batch(schema)
    logits = model(batch)
    model(make_batch(schema, seed=1))
    state = torch.get_rng_state()
    penalties = [model.penalty(logits, batch) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert (penalties[0] is None) == (penalties[1] is None)
    if penalties[0] is not None:
        assert penalties[0].shape == ()
        assert penalties[0].isfinite()
        assert penalties[0].requires_grad
        assert torch.equal(*penalties)


def test_tasks_of_separate_networks_share_no_embedding(make_schema, make_batch, make_model):
    schema = make_schema(2, numerical=("price",))
    model = make_model("single-task", schema)
    first, second = task_gradients(model, make_batch(schema, 64))
    for parameter_name in first:
        assert not ((first[parameter_name] != 0) & (second[parameter_name] != 0)).any(), parameter_name


def test_one_seed_gives_the_same_bits_and_another_seed_others(name, make_schema, make_batch, make_model):
    schema = make_schema()
    batch = make_batch(schema)

    def output(seed):
        model = make_model(name, schema, seed)
        return model(batch)

    assert torch.equal(output(1), output(1))
    assert not torch.equal(output(1), output(2))


def test_evaluation_draws_no_random_numbers_and_repeats_itself(name, make_schema, make_batch, make_model):
    schema = make_schema()
    model, batch = make_model(name, schema).eval(), make_batch(schema)
    before = torch.get_rng_state()
    assert torch.equal(model(batch), model(batch))
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_is_active_in_training(name, make_schema, make_batch, make_model):
    schema = make_schema()
    model, batch = make_model(name, schema, dropout=0.5), make_batch(schema)
    assert not torch.equal(model(batch), model(batch))


def test_a_saved_state_gives_the_same_predictions(variant, make_schema, make_batch, make_model):
    name, parameters = variant
    schema = make_schema(3, numerical=("price",))
    batch = make_batch(schema)
    saved, loaded = (make_model(name, schema, seed, **parameters).eval() for seed in (1, 2))
    loaded.load_state_dict(copy.deepcopy(saved.state_dict()))
    assert torch.equal(saved(batch), loaded(batch))


# Two tasks, 26 fields: a network of widths (512, 256) has 1,835,776 parameters, a tower (128, 64, 1) has 41,217.
@pytest.mark.parametrize(
    ("backbone", "dense"),
    [
        ("single-task", 3_753_986),
        ("shared-bottom", 1_918_210),
        ("esmm", 3_753_986),
        ("escm2", 3_753_986),
        ("omoe", 14_795_266),
        ("mmoe", 14_821_890),
        ("cgc", 12 * 1_835_776 + 2 * 41_217 + 2 * 3_328 * 8),
        ("ple", 22_213_122),
        ("dselect-k", 8 * 1_835_776 + 2 * 41_217 + 2 * (2 * 3 + 2)),
    ],
)
def test_number_of_dense_parameters_at_default_sizes(backbone, dense, make_schema):
    model = at_default_sizes(backbone, make_schema(2, sizes=(2,) * 26))
    embeddings = sum(p.numel() for p in model.embedding_parameters())
    assert embeddings == 26 * 2 * 128 * (2 if backbone == "single-task" else 1)
    assert sum(p.numel() for p in model.parameters()) - embeddings == dense


@pytest.mark.parametrize(
    ("interaction", "dense", "embeddings"), [("dcn-v2", 2 * (3328**2 + 3328), 0), ("deepfm", 2 * 128, 26 * 2 * 2)]
)
def test_number_of_parameters_an_interaction_adds(interaction, dense, embeddings, make_schema):
    schema = make_schema(2, sizes=(2,) * 26)
    counts = []
    for model in (at_default_sizes("mmoe", schema), at_default_sizes("mmoe", schema, interaction=interaction)):
        tables = sum(p.numel() for p in model.embedding_parameters())
        counts.append((sum(p.numel() for p in model.parameters()) - tables, tables))
    (plain, plain_tables), (with_it, its_tables) = counts
    assert (with_it - plain, its_tables - plain_tables) == (dense, embeddings)


def at_default_sizes(name, schema, **parameters):
    module, _, target = description(name).target.partition(":")
    # No memory is needed to count.
    with torch.device("meta"):
        return getattr(import_module(module), target)(schema, **parameters)


def test_a_separable_funnel_is_learned(name, make_schema, make_batch, make_model):
    schema = make_schema(2, sizes=(8,))
    batch = make_batch(schema, 64)
    item = batch.categorical[:, 0]
    labels = torch.stack(((item < 4).float(), (item < 2).float()), 1)
    model = make_model(name, schema, dropout=0.0, bottom=(16, 8), tower=(8,))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(120):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(batch), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


@pytest.mark.parametrize("backbone", ["shared-bottom", "omoe", "mmoe", "cgc", "ple", "dselect-k"])
def test_a_shared_network_without_layers_is_refused(backbone, make_schema, make_model):
    with pytest.raises(UsageError, match=f"'{backbone}': parameter 'bottom' is empty"):
        make_model(backbone, make_schema(), bottom=())


def test_a_tower_without_hidden_layers_is_linear(name, make_schema, make_batch, make_model):
    schema = make_schema()
    assert make_model(name, schema, tower=())(make_batch(schema)).shape == (11, 2)
