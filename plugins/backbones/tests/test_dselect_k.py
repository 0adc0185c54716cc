from __future__ import annotations

import numpy as np
import pytest
import torch

from rmtl_bench.contracts import UsageError
from rmtl_bench_backbones.dselect_k import smooth_step


def step_by_hand(t, gamma):
    if t <= -gamma / 2:
        return 0.0
    if t >= gamma / 2:
        return 1.0
    return -2 / gamma**3 * t**3 + 3 / (2 * gamma) * t + 0.5


def gate_by_hand(model, task, x):
    """The selectors' weights [k, n] and the expert weights [n] of a task, for one row x."""
    gates = model.gates
    seen = x if model.per_example else [1.0]
    codes, mixture = (
        sum(value * row for value, row in zip(seen, weight[task].detach().numpy(), strict=True))
        for weight in (gates.codes, gates.mixture)
    )
    selectors = np.ones((gates.selected, gates.experts))
    for selector, z in enumerate(codes.reshape(gates.selected, gates.bits)):
        for expert in range(gates.experts):
            for bit, digit in zip(z, f"{expert:0{gates.bits}b}" if gates.bits else "", strict=True):
                s = step_by_hand(bit, gates.gamma)
                selectors[selector, expert] *= s if digit == "1" else 1 - s
    scores = np.exp(mixture)
    return selectors, scores / scores.sum() @ selectors


CASES = [(1, 1, 1), (2, 2, 1), (3, 4, 2), (2, 5, 3), (2, 6, 2), (2, 8, 2)]


def build(make_schema, make_batch, make_model, tasks, experts, selected, per_example):
    schema = make_schema(tasks)
    parameters = {"experts": experts, "selected": selected, "gamma": 1.5, "entropy": 0.3}
    model = make_model("dselect-k", schema, per_example=per_example, **parameters).eval().double()
    # Some bits within the step, some beyond its ends.
    torch.nn.init.normal_(model.gates.codes, std=0.2 if per_example else 0.8)
    torch.nn.init.normal_(model.gates.mixture)
    return model, make_batch(schema, 6)


def test_the_smooth_step_is_the_papers_cubic_and_exactly_flat_beyond():
    for gamma in (0.5, 1.0, 2.0):
        points = torch.linspace(-1.5, 1.5, 61, dtype=torch.float64)
        expected = [step_by_hand(t, gamma) for t in points.tolist()]
        np.testing.assert_allclose(smooth_step(points, gamma), expected, atol=1e-12)
        ends = smooth_step(torch.tensor([-gamma / 2, gamma / 2, -9.0, 9.0]), gamma)
        assert ends.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(("tasks", "experts", "selected"), CASES)
@pytest.mark.parametrize("per_example", [False, True])
def test_it_is_an_explicit_loop_over_tasks_selectors_experts_and_bits(
    tasks, experts, selected, per_example, make_schema, make_batch, make_model, network_by_hand
):
    model, batch = build(make_schema, make_batch, make_model, tasks, experts, selected, per_example)
    logits = model(batch).detach().numpy()
    penalty = 0.0
    for row, x in enumerate(model.embedding(batch).detach().numpy()):
        outputs = [network_by_hand(model.experts, e, x) for e in range(experts)]
        for task in range(tasks):
            selectors, weights = gate_by_hand(model, task, x)
            h = sum(weight * output for weight, output in zip(weights, outputs, strict=True))
            (expected,) = network_by_hand(model.towers, task, h)
            np.testing.assert_allclose(logits[row, task], expected, rtol=1e-9, atol=1e-12)
            penalty -= 0.3 * (selectors * np.log(selectors + 1e-6)).sum() / len(logits)
            if experts in (5, 6):
                penalty += (1 / np.maximum(selectors.sum(1), 1e-6)).sum() / len(logits)
    assert model.penalty(model(batch), batch).item() == pytest.approx(penalty, rel=1e-9)


def test_two_bits_by_hand(make_schema, make_model):
    model = make_model("dselect-k", make_schema(1), experts=4, selected=1)
    with torch.no_grad():
        # S(1/4) = 27/32 and S(-1/2) = 0: the first bit is likely 1, the second is 0.
        model.gates.codes.copy_(torch.tensor([[[0.25, -0.5]]]))
    torch.testing.assert_close(model.gates(torch.ones(1, 1)), torch.tensor([[[5 / 32, 0, 27 / 32, 0]]]))


@pytest.mark.parametrize("experts", [2, 4, 8])
def test_weights_of_a_power_of_two_sum_to_one(experts, make_schema, make_batch, make_model):
    model, batch = build(make_schema, make_batch, make_model, 2, experts, 2, True)
    torch.testing.assert_close(model.gates(model.embedding(batch)).sum(2), torch.ones(2, 6, dtype=torch.float64))


@pytest.mark.parametrize(("per_example", "equal"), [(False, True), (True, False)])
def test_gates_look_at_the_row_only_if_told_to(per_example, equal, make_schema, make_batch, make_model):
    model, batch = build(make_schema, make_batch, make_model, 1, 4, 2, per_example)
    experts = model.experts(model.embedding(batch)).detach()
    model.experts.forward = lambda x: experts[:, :1].expand(-1, len(x), -1)
    logits = model(batch)
    assert torch.allclose(logits, logits[:1].expand_as(logits)) == equal


@pytest.mark.parametrize("experts", [8, 6])
def test_training_selects_at_most_k_experts_and_gives_the_others_exactly_nothing(
    experts, make_schema, make_batch, make_model
):
    schema = make_schema(2)
    model = make_model("dselect-k", schema, experts=experts, entropy=1.0, dropout=0.0)
    batch = make_batch(schema, 64)
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(60):
        optimizer.zero_grad()
        logits = model(batch)
        losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.labels)
        (losses + model.penalty(logits, batch)).backward()
        optimizer.step()
    weights = model.gates(torch.ones(1, 1)).squeeze(1)
    assert ((weights != 0).sum(1) <= 2).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(2))
    for task, logit in enumerate(model(batch).unbind(1)):
        (gradient,) = torch.autograd.grad(logit.sum(), model.experts.weights[0], retain_graph=True)
        assert not gradient[weights[task] == 0].any()


def test_selectors_keep_away_from_codes_that_name_no_expert(make_schema, make_batch, make_model):
    schema = make_schema(1)
    model, batch = make_model("dselect-k", schema, experts=3, selected=2, entropy=0.0), make_batch(schema)
    with torch.no_grad():
        # Of four codes, 11 names no expert, and nearly all the weight is there.
        model.gates.codes.fill_(0.4)
    before = model.gates(torch.ones(1, 1)).sum().item()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for _ in range(30):
        optimizer.zero_grad()
        model.penalty(model(batch), batch).backward()
        optimizer.step()
    assert before < 0.1
    assert model.gates(torch.ones(1, 1)).sum().item() > 0.9


def test_a_selector_lost_on_such_a_code_does_not_break_the_penalty(make_schema, make_batch, make_model):
    schema = make_schema(1)
    model, batch = make_model("dselect-k", schema, experts=3), make_batch(schema)
    torch.nn.init.constant_(model.gates.codes, 1.0)
    penalty = model.penalty(model(batch), batch)
    (gradient,) = torch.autograd.grad(penalty, model.gates.codes)
    assert penalty.isfinite()
    assert gradient.isfinite().all()


def test_nothing_to_penalise_is_no_penalty(make_schema, make_batch, make_model):
    schema = make_schema(2)
    model, batch = make_model("dselect-k", schema, experts=4, entropy=0.0), make_batch(schema)
    assert model.penalty(model(batch), batch) is None


def test_more_selected_than_there_are_is_refused(make_schema, make_model):
    with pytest.raises(UsageError, match="'selected' is 3; it takes at most 'experts', 2"):
        make_model("dselect-k", make_schema(), experts=2, selected=3)
