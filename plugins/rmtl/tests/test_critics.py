from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

ARCHITECTURES = pytest.mark.parametrize(
    ("shared_bottom", "twin"), [(True, False), (True, True), (False, False), (False, True)]
)


@pytest.fixture
def rows(make_rows):
    """Seven rows with the given number of tasks."""
    return lambda tasks: make_rows([1] * 7, [[0.0] * tasks] * 7)


def whole(rows):
    return rows.batch(torch.arange(len(rows)))


def awake(critics):
    """Make every ReLU of the critics let through what it is given here."""
    with torch.no_grad():
        for parameter in critics.parameters():
            parameter.abs_()
    return critics


@pytest.mark.parametrize("tasks", [1, 2, 3, 4])
@pytest.mark.parametrize("sizes", [{}, {"bottom": ()}, {"tower": ()}, {"bottom": (8, 5), "tower": (6, 4)}])
@pytest.mark.parametrize("shared_bottom", [True, False])
def test_there_is_one_value_per_row_and_task_and_none_is_positive(tasks, sizes, shared_bottom, rows, make_critics):
    rows = rows(tasks)
    values = make_critics(rows.schema, shared_bottom=shared_bottom, **sizes)(whole(rows), torch.randn(7, tasks))
    assert values.shape == (7, tasks)
    assert values.dtype == torch.float32
    assert (values < 0).all()


@settings(deadline=None)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=7, max_size=7))
def test_no_action_has_a_positive_value(make_rows, make_critics, logits):
    rows = make_rows([1] * 7, [[0.0]] * 7)
    values = make_critics(rows.schema)(whole(rows), torch.tensor(logits).unsqueeze(1))
    assert values.isfinite().all()
    assert (values <= 0).all()


@pytest.mark.parametrize("tasks", [1, 2, 4])
@ARCHITECTURES
def test_the_gradient_reaches_every_parameter(tasks, shared_bottom, twin, rows, make_critics):
    rows = rows(tasks)
    critics = awake(make_critics(rows.schema, shared_bottom=shared_bottom, twin=twin))
    critics.all_values(critics.states(whole(rows)), torch.rand(7, tasks)).sum().backward()
    for name, parameter in critics.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("z", [-60.0, -20.0, 0.0, 20.0, 60.0])
def test_the_gradient_has_no_dead_zone_wherever_the_value_lies(z, rows, make_critics):
    rows = rows(2)
    critics = awake(make_critics(rows.schema))
    # With small inputs z is the bias of the last layer, and the value -softplus(z): from 0 downwards.
    last = critics.networks[0].heads.biases[-1]
    with torch.no_grad():
        last.fill_(z)
    values = critics(whole(rows), torch.zeros(7, 2))
    if abs(z) == 60:
        assert ((values > -1e-6) if z < 0 else (values < -59)).all()
    values.sum().backward()
    assert (last.grad != 0).all()
    assert critics.networks[0].embedding.table.grad.any(1).all()


def test_a_value_depends_on_the_action_of_its_task_and_row_alone(rows, make_critics):
    rows = rows(2)
    critics = make_critics(rows.schema, bottom=(16,), tower=(16,)).eval()
    logits = torch.zeros(7, 2)
    before = critics(whole(rows), logits)
    logits[3, 1] = 2.0
    changed = critics(whole(rows), logits) != before
    assert changed.nonzero().tolist() == [[3, 1]]


def test_an_action_is_seen_as_its_logit_and_both_log_probabilities(rows, make_critics):
    rows = rows(2)
    critics = make_critics(rows.schema).eval()
    seen = []
    critics.networks[0].action.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    a = torch.linspace(0.01, 0.99, 14).view(7, 2)
    critics(whole(rows), a.logit())
    expected = torch.stack([a.logit(), a.log(), (1 - a).log()], dim=2).transpose(0, 1)
    torch.testing.assert_close(seen[0], expected)


def test_a_value_depends_on_the_state(rows, make_critics):
    rows = rows(2)
    critics = make_critics(rows.schema, bottom=(16,), tower=(16,)).eval()
    values = critics(whole(rows), torch.zeros(7, 2))
    assert len(values[:, 0].unique()) == 7
    assert len(values[:, 1].unique()) == 7


@pytest.mark.parametrize("tasks", [1, 2, 3, 4])
@ARCHITECTURES
def test_values_are_permuted_with_the_rows(tasks, shared_bottom, twin, rows, make_critics):
    rows = rows(tasks)
    critics = make_critics(rows.schema, shared_bottom=shared_bottom, twin=twin).eval()
    logits, order = torch.randn(7, tasks), torch.tensor([3, 0, 6, 1, 5, 2, 4])
    for values in (critics, critics.pessimistic):
        torch.testing.assert_close(values(rows.batch(order), logits[order]), values(whole(rows), logits)[order])


def test_tasks_share_the_bottom_and_nothing_behind_it(rows, make_critics):
    rows = rows(2)
    critics = make_critics(rows.schema, bottom=(16,), tower=(16,)).eval()
    assert len(critics.networks) == 1
    network = critics.networks[0]
    first, second = critics(whole(rows), torch.zeros(7, 2)).sum(0)
    shared = [(network.embedding.table, True), (network.bottom.weights[0], True), (network.action.weight, True)]
    for weight, in_common in [*shared, (network.heads.weights[0], False)]:
        by_first, by_second = (torch.autograd.grad(value, weight, retain_graph=True)[0] for value in (first, second))
        assert by_first.any()
        assert by_second.any()
        assert bool((by_first * by_second).any()) == in_common


@pytest.mark.parametrize("twin", [False, True])
def test_without_a_shared_bottom_a_task_has_a_network_to_itself(twin, rows, make_critics):
    rows = rows(3)
    critics = awake(make_critics(rows.schema, shared_bottom=False, twin=twin).eval())
    assert len(critics.networks) == 3 * (1 + twin)
    values = critics.all_values(critics.states(whole(rows)), torch.zeros(7, 3))
    for number, network in enumerate(critics.networks):
        for place in range(values[:, 0].numel()):
            value = values[place // 3, :, place % 3].sum()
            found = torch.autograd.grad(value, list(network.parameters()), retain_graph=True, allow_unused=True)
            if place == number:
                assert all(gradient is not None and gradient.any() for gradient in found)
            else:
                assert all(gradient is None or not gradient.any() for gradient in found)


@pytest.mark.parametrize("shared_bottom", [True, False])
def test_twins_differ_and_a_target_takes_the_smaller_value(shared_bottom, rows, make_critics):
    rows = rows(2)
    # Nothing hidden: values near -log 2 with either twin the smaller somewhere.
    sizes = {"embedding_dim": 8, "bottom": (), "tower": ()}
    critics = make_critics(rows.schema, shared_bottom=shared_bottom, twin=True, **sizes).eval()
    logits = torch.linspace(-6, 6, 7).unsqueeze(1).expand(7, 2)
    first, second = critics.all_values(critics.states(whole(rows)), logits)
    assert (first != second).all()
    assert (first < second).any()
    assert (first > second).any()
    torch.testing.assert_close(critics.pessimistic(whole(rows), logits), torch.minimum(first, second))
    torch.testing.assert_close(critics(whole(rows), logits), first)


def test_without_a_twin_the_pessimistic_value_is_the_value(rows, make_critics):
    rows = rows(2)
    critics = make_critics(rows.schema).eval()
    logits = torch.randn(7, 2)
    assert torch.equal(critics.pessimistic(whole(rows), logits), critics(whole(rows), logits))


@ARCHITECTURES
def test_a_state_read_back_gives_the_same_values(shared_bottom, twin, rows, make_critics):
    rows = rows(2)
    one, other = (make_critics(rows.schema, seed=s, shared_bottom=shared_bottom, twin=twin).eval() for s in (1, 2))
    logits = torch.randn(7, 2)
    assert not torch.equal(one(whole(rows), logits), other(whole(rows), logits))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(whole(rows), logits), other(whole(rows), logits))
    assert torch.equal(one.pessimistic(whole(rows), logits), other.pessimistic(whole(rows), logits))


def test_evaluation_repeats_itself_and_training_drops_units(rows, make_critics):
    rows = rows(2)
    critics = make_critics(rows.schema, dropout=0.5)
    assert not torch.equal(*(critics(whole(rows), torch.zeros(7, 2)) for _ in range(2)))
    critics.eval()
    assert torch.equal(*(critics(whole(rows), torch.zeros(7, 2)) for _ in range(2)))
