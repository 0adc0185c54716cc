from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture
def rows(make_rows):
    """Seven rows with the given number of tasks."""
    return lambda tasks: make_rows([1] * 7, [[0.0] * tasks] * 7)


def whole(rows):
    return rows.batch(torch.arange(len(rows)))


@pytest.mark.parametrize("tasks", [1, 2, 4])
@pytest.mark.parametrize("sizes", [{}, {"bottom": ()}, {"tower": ()}, {"bottom": (8, 5), "tower": (6, 4)}])
def test_there_is_one_value_per_row_and_task_and_none_is_positive(tasks, sizes, rows, make_critics):
    rows = rows(tasks)
    values = make_critics(rows.schema, **sizes)(whole(rows), torch.randn(7, tasks))
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
def test_the_gradient_reaches_every_parameter(tasks, rows, make_critics):
    rows = rows(tasks)
    critics = make_critics(rows.schema)
    with torch.no_grad():
        for parameter in critics.parameters():
            parameter.abs_()  # no ReLU is dead
    critics(whole(rows), torch.rand(7, tasks)).sum().backward()
    for name, parameter in critics.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_the_gradient_has_no_dead_zone_at_a_value_near_zero(rows, make_critics):
    rows = rows(1)
    critics = make_critics(rows.schema)
    with torch.no_grad():
        critics.heads.biases[-1].fill_(-20.0)
    values = critics(whole(rows), torch.zeros(7, 1))
    assert (values > -1e-6).all()
    values.sum().backward()
    assert (critics.heads.biases[-1].grad != 0).all()


def test_a_value_depends_on_the_action_of_its_task_and_row_alone(rows, make_critics):
    rows = rows(2)
    critics = make_critics(rows.schema, bottom=(16,), tower=(16,)).eval()
    logits = torch.zeros(7, 2)
    before = critics(whole(rows), logits)
    logits[3, 1] = 2.0
    changed = critics(whole(rows), logits) != before
    assert changed.nonzero().tolist() == [[3, 1]]


def test_a_value_depends_on_the_state(rows, make_critics):
    rows = rows(2)
    critics = make_critics(rows.schema, bottom=(16,), tower=(16,)).eval()
    values = critics(whole(rows), torch.zeros(7, 2))
    assert len(values[:, 0].unique()) == 7
    assert len(values[:, 1].unique()) == 7


def test_tasks_share_the_bottom_and_nothing_behind_it(rows, make_critics):
    rows = rows(2)
    critics = make_critics(rows.schema, bottom=(16,), tower=(16,)).eval()
    first, second = critics(whole(rows), torch.zeros(7, 2)).sum(0)
    for weight, shared in ((critics.bottom.weights[0], True), (critics.heads.weights[0], False)):
        by_first, by_second = (torch.autograd.grad(value, weight, retain_graph=True)[0] for value in (first, second))
        assert by_first.any()
        assert by_second.any()
        assert bool((by_first * by_second).any()) == shared


def test_evaluation_repeats_itself_and_training_drops_units(rows, make_critics):
    rows = rows(2)
    critics = make_critics(rows.schema, dropout=0.5)
    assert not torch.equal(*(critics(whole(rows), torch.zeros(7, 2)) for _ in range(2)))
    critics.eval()
    assert torch.equal(*(critics(whole(rows), torch.zeros(7, 2)) for _ in range(2)))
