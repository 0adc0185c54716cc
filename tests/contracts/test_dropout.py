from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from rmtl_bench.contracts import ParallelMLP, relu_dropout, replica_generators
from rmtl_bench.contracts.dropout import dropout, generators_of_replicas
from rmtl_bench.training.streams import RandomState

BOTH = pytest.mark.parametrize("function", [dropout, relu_dropout])
# More than is dropped at a time, and no multiple of the four elements that one random number serves.
MANY = 3 * (1 << 16) + 3


@pytest.fixture(autouse=True)
def _own_random_state():
    with torch.random.fork_rng(devices=[]):
        yield


def after(seed, function, *arguments):
    torch.manual_seed(seed)
    return function(*arguments)


def replicas_of(*seeds):
    return replica_generators([torch.Generator().manual_seed(seed) for seed in seeds])


@BOTH
@pytest.mark.parametrize("p", [0.01, 0.2, 0.5, 0.9])
def test_elements_are_dropped_at_the_rate_and_the_others_scaled(function, p):
    y = after(0, function, torch.ones(MANY), p, True)
    dropped = int((y == 0).sum())
    # A sum of independent draws is within five standard deviations of its mean but once in two million times.
    assert abs(dropped - MANY * p) < 5 * math.sqrt(MANY * p * (1 - p))
    assert y[y != 0].unique().item() == pytest.approx(1 / (1 - p), rel=2**-16 / (1 - p))
    assert y.mean().item() == pytest.approx(1, abs=5 * math.sqrt(p / (1 - p) / MANY))


@given(p=st.floats(0, 1, exclude_max=True))
def test_the_rate_is_rounded_to_16_bits_and_the_scale_belongs_to_the_rounded_rate(p):
    y = after(0, dropout, torch.ones(4096, dtype=torch.float64), p, True)
    for kept in y[y != 0].unique():
        rounded = 65536 * (1 - 1 / kept.item())
        assert rounded == pytest.approx(round(rounded), abs=1e-6)
        assert abs(rounded / 65536 - p) <= 2**-16


@BOTH
def test_masks_of_calls_seeds_and_neighbours_are_independent(function):
    torch.manual_seed(0)
    ones = torch.ones(MANY)
    masks = [(function(ones, 0.3, True) > 0).float() for _ in range(2)]
    other = (after(1, function, ones, 0.3, True) > 0).float()
    pairs = [(masks[0], masks[1]), (masks[0], other), (masks[0][1:], masks[0][:-1]), (masks[0][4:], masks[0][:-4])]
    for pair in pairs:
        assert abs(torch.corrcoef(torch.stack(pair))[0, 1]) < 5 / math.sqrt(MANY - 4)


@BOTH
def test_a_seed_fixes_the_mask_for_good(function):
    # Another mask for a seed makes other numbers of a run: it takes a new IDENTITY_FORMAT.
    y = after(0, function, torch.ones(24), 0.5, True)
    assert "".join(str(int(kept)) for kept in y > 0) == "100100001011110110010111"


def test_the_mask_is_made_of_the_documented_bits():
    torch.manual_seed(3)
    bits = np.random.SFC64(int(torch.randint(2**63 - 1, ()))).random_raw(25000).view(np.uint16)
    expected = torch.from_numpy(bits >= round(0.2 * 65536))
    assert torch.equal(after(3, dropout, torch.ones(10, 10000), 0.2, True) > 0, expected.view(10, 10000))


@BOTH
def test_a_restored_state_replays_the_mask(function):
    torch.manual_seed(0)
    state = RandomState.of(torch.device("cpu"))
    first, second = (function(torch.ones(100), 0.5, True) for _ in range(2))
    with state.replayed():
        assert torch.equal(function(torch.ones(100), 0.5, True), first)
        assert torch.equal(function(torch.ones(100), 0.5, True), second)
    assert not torch.equal(first, second)


@BOTH
def test_threads_and_memory_layout_change_nothing(function):
    x = torch.rand(500, 2, 400)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        expected = after(0, function, x, 0.2, True)
        torch.set_num_threads(2)
        assert torch.equal(after(0, function, x, 0.2, True), expected)
    finally:
        torch.set_num_threads(threads)
    strided = x.transpose(0, 1).contiguous().transpose(0, 1)
    assert torch.equal(after(0, function, strided, 0.2, True), expected)


@pytest.mark.parametrize(("p", "training"), [(0.5, False), (0.0, True), (1e-6, True)])
def test_where_nothing_is_dropped_nothing_is_drawn(p, training):
    x = torch.randn(50)
    state = torch.get_rng_state()
    assert dropout(x, p, training) is x
    assert torch.equal(relu_dropout(x, p, training), F.relu(x))
    assert torch.equal(torch.get_rng_state(), state)


@BOTH
@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_a_rate_that_is_none_is_an_error(function, p):
    with pytest.raises(ValueError, match=r"is not in \[0, 1\)"):
        function(torch.ones(1), p, True)


def test_the_fused_function_is_dropout_after_relu():
    x = torch.randn(7, 300)
    assert torch.equal(after(0, relu_dropout, x, 0.2, True), after(0, dropout, F.relu(x), 0.2, True))


@BOTH
def test_gradients_are_those_of_the_function(function):
    x = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def fixed(x):
        return after(5, function, x, 0.4, True)

    assert torch.autograd.gradcheck(fixed, x)
    assert torch.autograd.gradgradcheck(lambda x: fixed(x).square(), x)
    assert torch.autograd.gradcheck(fixed, x, check_batched_grad=True)


def test_an_element_that_is_zero_has_its_gradient():
    x = torch.zeros(1000, requires_grad=True)
    after(0, dropout, x, 0.25, True).sum().backward()
    assert torch.equal(x.grad, after(0, dropout, torch.ones(1000), 0.25, True))


def test_values_that_are_not_finite_become_nan_or_stay_without_a_warning():
    found = after(0, relu_dropout, torch.full((100,), math.inf), 0.5, True)
    assert (found.isnan() | found.isinf()).all()
    assert after(0, relu_dropout, torch.full((100,), math.nan), 0.5, True).isnan().all()


@BOTH
def test_a_tensor_without_elements(function):
    assert function(torch.ones(0, 3), 0.5, True).shape == (0, 3)


@BOTH
def test_types_that_numpy_lacks_have_torchs_masks(function):
    y = function(torch.ones(1000, dtype=torch.bfloat16), 0.5, True)
    assert y.dtype == torch.bfloat16
    assert set(y.tolist()) == {0.0, 2.0}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@BOTH
def test_a_gpu_has_torchs_masks(function):
    y = function(torch.ones(100_000, device="cuda"), 0.2, True)
    assert (y == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)


@pytest.fixture
def stacked():
    """Three perceptrons of dropout, their parameters stacked, and an input of each."""
    torch.manual_seed(7)
    modules = [ParallelMLP(2, 5, (7, 6), dropout=0.3, output=2) for _ in range(3)]
    parameters, _ = stack_module_state(modules)

    def together(x, **options):
        call = vmap(lambda own, x: functional_call(modules[0], own, (x,)), **{"randomness": "different", **options})
        return call(parameters, x)

    return modules, parameters, together, torch.randn(3, 9, 5)


def test_side_by_side_each_replica_has_the_mask_and_the_gradients_that_it_has_alone(stacked):
    modules, parameters, together, x = stacked
    with replicas_of(1, 2, 3):
        outputs = together(x)
    outputs.square().sum().backward()
    for place, module in enumerate(modules):
        own = after(place + 1, module, x[place])
        torch.testing.assert_close(outputs[place], own, rtol=0, atol=1e-6)
        own.square().sum().backward()
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(parameters[name].grad[place], parameter.grad, rtol=1e-5, atol=1e-6)


@BOTH
def test_side_by_side_the_zeros_are_the_same(function):
    x = torch.rand(3, 40, 50) + 1
    with replicas_of(1, 2, 3):
        y = vmap(lambda x: function(function(x, 0.2, True), 0.3, True), randomness="different")(x)
    for place in range(3):
        torch.manual_seed(place + 1)
        assert torch.equal(y[place], function(function(x[place], 0.2, True), 0.3, True))


@BOTH
def test_an_input_that_replicas_share_has_a_mask_for_each(function):
    x = torch.rand(40, 50) + 1
    with replicas_of(1, 2, 3):
        y = vmap(lambda _: function(x, 0.2, True), randomness="different")(torch.zeros(3))
    for place in range(3):
        assert torch.equal(y[place], after(place + 1, function, x, 0.2, True))


@BOTH
def test_a_mapped_axis_may_stand_anywhere(function):
    x = torch.rand(40, 3, 50) + 1
    with replicas_of(1, 2, 3):
        y = vmap(lambda x: function(x, 0.2, True), in_dims=1, out_dims=2, randomness="different")(x)
    for place in range(3):
        assert torch.equal(y[:, :, place], after(place + 1, function, x[:, place], 0.2, True))


@BOTH
@pytest.mark.parametrize("generators", [(), (1, 2)])
def test_without_generators_of_their_own_replicas_draw_from_the_default_one(function, generators):
    def masks():
        with replicas_of(*generators):
            return after(0, vmap(lambda x: function(x, 0.5, True), randomness="different"), torch.ones(3, 200))

    first = masks()
    assert torch.equal(masks(), first)
    assert not torch.equal(first[0], first[1])


@BOTH
def test_randomness_is_the_callers_choice(function):
    same = after(0, vmap(lambda x: function(x, 0.5, True), randomness="same"), torch.ones(3, 200))
    assert torch.equal(same, after(0, function, torch.ones(200), 0.5, True).expand(3, -1))
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(lambda x: function(x, 0.5, True))(torch.ones(3, 200))


@BOTH
def test_maps_within_a_replica_draw_what_they_would_draw_alone(function):
    def rows_apart(x):
        return vmap(lambda row: function(row, 0.5, True), randomness="different")(x)

    x = torch.rand(3, 4, 100) + 1
    with replicas_of(1, 2, 3):
        y = vmap(rows_apart, randomness="different")(x)
    for place in range(3):
        assert torch.equal(y[place], after(place + 1, rows_apart, x[place]))
    assert not torch.equal(y[0, 0] == 0, y[0, 1] == 0)


def test_gradients_may_be_taken_within_the_map():
    x = torch.rand(3, 100) + 1
    with replicas_of(1, 2, 3):
        found = vmap(torch.func.grad(lambda x: relu_dropout(x, 0.5, True).sum()), randomness="different")(x)
    for place in range(3):
        assert torch.equal(found[place] > 0, after(place + 1, relu_dropout, x[place], 0.5, True) > 0)


def test_generators_hold_within_their_context_and_advance_as_alone():
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    with replica_generators(generators):
        assert generators_of_replicas() == tuple(generators)
        with replica_generators([]):
            assert generators_of_replicas() == ()
        vmap(lambda x: dropout(x, 0.5, True), randomness="different")(torch.ones(2, 3))
    assert generators_of_replicas() == ()
    alone = torch.Generator().manual_seed(2)
    torch.randint(2**63 - 1, (), generator=alone)
    assert torch.equal(generators[1].get_state(), alone.get_state())
