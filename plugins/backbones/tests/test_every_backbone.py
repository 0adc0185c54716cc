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


@pytest.mark.parametrize("info", rmtl_backbones(), ids=lambda info: info.name)
def test_described_parameters_and_defaults_are_those_of_the_constructor(info):
    module, _, target = info.target.partition(":")
    signature = inspect.signature(getattr(import_module(module), target).__init__)
    defaults = {n: p.default for n, p in signature.parameters.items() if n not in ("self", "schema")}
    assert defaults == info.resolve({})
    assert all(parameter.help for parameter in info.parameters.values())


@pytest.mark.parametrize("tasks", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("rows", [1, 9])
def test_any_number_of_tasks_and_rows_gives_one_finite_logit_each(
    name, tasks, rows, make_schema, make_batch, make_model
):
    schema = make_schema(tasks, numerical=("price",))
    logits = make_model(name, schema)(make_batch(schema, rows))
    assert logits.shape == (rows, tasks)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize("columns", [{"numerical": ("a", "b")}, {"sizes": (), "numerical": ("a", "b")}])
def test_numerical_columns_alone_or_beside_fields_are_used(name, columns, make_schema, make_batch, make_model):
    schema = make_schema(**columns)
    model = make_model(name, schema).eval()
    one, other = make_batch(schema), make_batch(schema)
    other.numerical.add_(1)
    assert not torch.allclose(model(one), model(other))


def test_rows_do_not_influence_each_other(name, make_schema, make_batch, make_model):
    schema = make_schema(3)
    model, batch = make_model(name, schema).eval(), make_batch(schema, 6)
    whole = model(batch)
    batch.categorical[1:] = 0
    torch.testing.assert_close(model(batch)[0], whole[0])


@pytest.mark.parametrize("tasks", [1, 2, 3])
@pytest.mark.parametrize("bottom", [(6,), (6, 5), (6, 5, 4)], ids=len)
def test_gradients_reach_every_parameter(name, tasks, bottom, make_schema, make_batch, make_model):
    schema = make_schema(tasks, numerical=("price",))
    model = make_model(name, schema, alive=True, bottom=bottom, dropout=0.0)
    F.binary_cross_entropy_with_logits(model(make_batch(schema, 64)), torch.zeros(64, tasks)).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("bottom", [(6,), (6, 5), (6, 5, 4), (6, 5, 4, 3)], ids=len)
def test_shared_parameters_are_exactly_those_of_every_task(name, bottom, make_schema, make_batch, make_model):
    schema = make_schema([None, None, None])
    model = make_model(name, schema, alive=True, bottom=bottom, dropout=0.0)
    gradients = task_gradients(model, make_batch(schema, 64))
    embeddings = {id(p) for p in model.embedding_parameters()}
    shared = {id(p) for p in model.shared_parameters()}
    assert len(shared) == len(model.shared_parameters())
    assert not shared & embeddings
    (info,) = [info for info in rmtl_backbones() if info.name == name]
    assert bool(shared) == ("shared-parameters" in info.provides)
    for parameter_name, parameter in model.named_parameters():
        # Every dense parameter is a stack of networks or gates, of one per task where it is not shared.
        by_task = [gradient[parameter_name] for gradient in gradients]
        if id(parameter) in shared:
            for gradient in by_task:
                assert gradient.flatten(1).any(1).all(), f"{parameter_name} does not move with every task"
        elif id(parameter) not in embeddings:
            for task, gradient in enumerate(by_task):
                others = [k for k in range(3) if k != task]
                assert gradient[task].any(), f"{parameter_name} of task {task} does not move with it"
                assert not gradient[others].any(), f"{parameter_name} of other tasks moves with task {task}"


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


def test_a_saved_state_gives_the_same_predictions(name, make_schema, make_batch, make_model):
    schema = make_schema(3, numerical=("price",))
    batch = make_batch(schema)
    saved, loaded = make_model(name, schema, 1).eval(), make_model(name, schema, 2).eval()
    loaded.load_state_dict(copy.deepcopy(saved.state_dict()))
    assert torch.equal(saved(batch), loaded(batch))


@pytest.mark.parametrize(
    ("backbone", "dense"),
    [
        ("single-task", 3_753_986),
        ("shared-bottom", 1_918_210),
        ("esmm", 3_753_986),
        ("mmoe", 14_821_890),
        ("ple", 22_213_122),
    ],
)
def test_number_of_dense_parameters_at_default_sizes(backbone, dense, make_schema):
    (info,) = [info for info in rmtl_backbones() if info.name == backbone]
    module, _, target = info.target.partition(":")
    # Two tasks, 26 fields. No memory is needed to count.
    with torch.device("meta"):
        model = getattr(import_module(module), target)(make_schema(2, sizes=(2,) * 26))
    embeddings = sum(p.numel() for p in model.embedding_parameters())
    assert embeddings == 26 * 2 * 128 * (2 if backbone == "single-task" else 1)
    assert sum(p.numel() for p in model.parameters()) - embeddings == dense


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


@pytest.mark.parametrize("backbone", ["shared-bottom", "mmoe", "ple"])
def test_a_shared_network_without_layers_is_refused(backbone, make_schema, make_model):
    with pytest.raises(UsageError, match=f"'{backbone}': parameter 'bottom' is empty"):
        make_model(backbone, make_schema(), bottom=())


def test_a_tower_without_hidden_layers_is_linear(name, make_schema, make_batch, make_model):
    schema = make_schema()
    assert make_model(name, schema, tower=())(make_batch(schema)).shape == (11, 2)
