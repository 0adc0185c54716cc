"""Modules as one: what they share, what stays their own, and what cannot be stacked."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rmtl_bench.contracts import Batch, ModuleStack, NotStackableError, map_stacked
from rmtl_bench.training.course import state_of

S = 3


class _Net(nn.Module):
    """Two layers, a buffer of numbers, a buffer of positions, and a parameter that is frozen."""

    def __init__(self, seed=0, width=4):
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(2, width)
        self.second = nn.Linear(width, 1)
        self.frozen = nn.Parameter(torch.randn(1), requires_grad=False)
        self.register_buffer("level", torch.randn(1))
        self.register_buffer("order", torch.tensor([1, 0]), persistent=False)
        self.register_buffer("nothing", None)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x[:, self.order]))) * self.level + self.frozen


@pytest.fixture
def nets():
    return [_Net(seed) for seed in range(S)]


def _values(module):
    return {key: value.clone() for key, value in [*module.named_parameters(), *module.named_buffers()]}


def _same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def _owns_its_tensors(module):
    tensors = [*module.parameters(), *module.buffers()]
    return all(tensor.untyped_storage().nbytes() == tensor.nbytes for tensor in tensors)


def test_stacking_changes_no_value_and_makes_one_leaf_a_parameter(nets):
    before = [_values(net) for net in nets]
    stack = ModuleStack(nets)
    assert len(stack) == S
    assert all(_same(_values(net), values) for net, values in zip(nets, before, strict=True))
    assert {name: leaf.shape for name, leaf in stack.parameters.items()} == {
        name: (S, *own.shape) for name, own in nets[0].named_parameters()
    }
    for name, leaf in stack.parameters.items():
        assert torch.equal(leaf, torch.stack([values[name] for values in before]))
        assert leaf.is_leaf
        assert leaf.requires_grad == (name != "frozen")


def test_a_module_sees_what_is_done_to_the_stack_and_the_stack_what_is_done_to_it(nets):
    stack = ModuleStack(nets)
    with torch.no_grad():
        stack.parameters["first.weight"][1].fill_(7.0)
        nets[2].second.bias.fill_(5.0)
    stack.buffers["level"][0] = 9.0
    assert (nets[1].first.weight == 7).all()
    assert stack.parameters["second.bias"][2].item() == 5
    assert nets[0].level.item() == 9
    assert not (nets[0].first.weight == 7).any()


def test_an_optimiser_of_the_stack_moves_every_module_as_its_own_would(nets):
    alone = [_Net(seed) for seed in range(S)]
    stack = ModuleStack(nets)
    x = torch.randn(S, 8, 2)
    adam = torch.optim.Adam([leaf for leaf in stack.parameters.values() if leaf.requires_grad], 0.1)
    map_stacked(lambda net, own: net(own).square().sum(), [stack], x).sum().backward()
    adam.step()
    for place, net in enumerate(alone):
        own = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], 0.1)
        net(x[place]).square().sum().backward()
        own.step()
        for (name, expected), found in zip(net.named_parameters(), nets[place].parameters(), strict=True):
            torch.testing.assert_close(found, expected, msg=name)
    assert all(torch.equal(net.frozen, _Net(seed).frozen) for seed, net in enumerate(nets))


def test_leaves_are_paired_with_the_first_modules_own(nets):
    stack = ModuleStack(nets)
    pairs = {id(own): leaf for own, leaf in stack.leaves()}
    assert pairs[id(nets[0].first.weight)] is stack.parameters["first.weight"]
    assert len(pairs) == len(stack.parameters)
    stack.keep([1, 2])
    assert {id(own) for own, _ in stack.leaves()} == {id(own) for own in nets[1].parameters()}


@pytest.mark.parametrize("places", [[0], [2], [0, 2], [1, 2]])
def test_those_that_are_kept_go_on_and_the_others_own_their_tensors(places, nets):
    stack = ModuleStack(nets)
    before = [_values(net) for net in nets]
    stack.keep(places)
    assert stack.modules == [nets[place] for place in places]
    assert all(_same(_values(net), values) for net, values in zip(nets, before, strict=True))
    with torch.no_grad():
        for leaf in stack.parameters.values():
            leaf.zero_()
    for place, net in enumerate(nets):
        if place in places:
            assert all((own == 0).all() for own in net.parameters())
        else:
            assert _same(_values(net), before[place])
            assert _owns_its_tensors(net)
    assert not stack.parameters["frozen"].requires_grad


def test_dissolved_modules_own_their_tensors(nets):
    before = [_values(net) for net in nets]
    parameters = [list(net.parameters()) for net in nets]
    ModuleStack(nets).dissolve()
    for net, values, own in zip(nets, before, parameters, strict=True):
        assert _same(_values(net), values)
        assert _owns_its_tensors(net)
        # An optimiser that was made before still moves them.
        assert all(one is other for one, other in zip(net.parameters(), own, strict=True))


def test_a_modules_state_is_a_copy_of_its_own_numbers_alone(nets):
    ModuleStack(nets)
    state = state_of(nets[1])
    for value in state.values():
        assert value.untyped_storage().nbytes() == value.nbytes
    with torch.no_grad():
        nets[1].first.weight.zero_()
    assert not (state["first.weight"] == 0).any()
    nets[1].load_state_dict(state)
    assert torch.equal(nets[1].first.weight, _Net(1).first.weight)


class _Tied(nn.Module):
    """A weight that two layers have, one that has two names, and a layer in two places."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.there = nn.Linear(3, 3, bias=False)
        self.back = nn.Linear(3, 3)
        self.back.weight = self.there.weight
        self.layers = nn.ModuleList([self.back, self.back])
        self.left = nn.Parameter(torch.randn(3))
        self.right = self.left

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.there(x * self.left) + self.right


def test_a_parameter_under_two_names_is_one_leaf():
    tied = [_Tied(seed) for seed in range(S)]
    stack = ModuleStack(tied)
    assert list(stack.parameters) == ["left", "there.weight", "back.bias"]
    x = torch.randn(S, 5, 3)
    found = map_stacked(lambda net, own: net(own), [stack], x)
    leaves = [stack.parameters[name] for name in ("there.weight", "left")]
    gradients = torch.autograd.grad(found.square().sum(), leaves)
    for place in range(S):
        net = _Tied(place)
        expected = net(x[place])
        torch.testing.assert_close(found[place], expected)
        expected.square().sum().backward()
        torch.testing.assert_close(gradients[0][place], net.there.weight.grad)
        torch.testing.assert_close(gradients[1][place], net.left.grad)
    stack.keep([1])
    assert all(net.back.weight is net.there.weight and net.right is net.left for net in tied)


def test_equal_buffers_of_whole_numbers_are_shared_and_others_stacked(nets):
    nets[1].order, nets[1].level = torch.tensor([1, 0]), nets[0].level.clone()
    stack = ModuleStack(nets)
    assert set(stack.shared_buffers) == {"order"}
    # What an epoch of one seed may change is never shared, however equal.
    assert stack.buffers["level"].shape == (S, 1)
    nets = [_Net(seed) for seed in range(S)]
    nets[2].order = torch.tensor([0, 1])
    stack = ModuleStack(nets)
    assert stack.shared_buffers == {}
    x = torch.randn(4, 2)
    found = map_stacked(lambda net, rows: net(rows), [stack], x, shared=1)
    assert torch.equal(nets[2].order, torch.tensor([0, 1]))
    for place, net in enumerate(nets):
        torch.testing.assert_close(found[place], net(x))


def test_what_is_written_into_a_shared_buffer_every_module_has(nets):
    counting = [nn.BatchNorm1d(2) for _ in range(S)]
    stack = ModuleStack(counting)
    assert set(stack.shared_buffers) == {"num_batches_tracked"}
    x = torch.randn(S, 6, 2)
    for left in ([0, 1, 2], [1, 2], [1]):
        if len(left) < len(stack):
            stack.keep([place for place, net in enumerate(stack.modules) if net in [counting[n] for n in left]])
        map_stacked(lambda net, own: net(own), [stack], x[left])
    assert [net.num_batches_tracked.item() for net in counting] == [1, 3, 2]
    alone = nn.BatchNorm1d(2)
    for _ in range(3):
        alone(x[1])
    torch.testing.assert_close(counting[1].running_mean, alone.running_mean)
    torch.testing.assert_close(counting[1].running_var, alone.running_var)


def test_a_buffer_that_is_exchanged_for_another_is_refused():
    class Average(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("level", torch.zeros(()))

        def forward(self, x):
            self.level = 0.9 * self.level + 0.1 * x.mean()
            return x - self.level

    stack = ModuleStack([nn.Sequential(Average()) for _ in range(S)])
    with pytest.raises(NotStackableError, match=r"a forward pass exchanges the buffer 0\.level"):
        map_stacked(lambda net, own: net(own), [stack], torch.randn(S, 4))


class _Loose(_Net):
    def __init__(self, seed=0):
        super().__init__(seed)
        self.first.noise = torch.zeros(1)


@pytest.mark.parametrize(
    ("modules", "reason"),
    [
        (lambda: [_Loose(), _Loose()], r"first holds 'noise', no parameter and no buffer"),
        (lambda: [_Net(), _Net(width=5)], r"first\.weight has the shapes \[4, 2\] and \[5, 2\] or different types"),
        (lambda: [_Net(), _Net().double()], "has the shapes .* or different types"),
        (lambda: [nn.Linear(2, 1), nn.Linear(2, 1, bias=False)], "they differ in what they hold: bias"),
        (lambda: [nn.BatchNorm1d(2), nn.BatchNorm1d(2, track_running_stats=False)], "they differ in what they hold"),
    ],
)
def test_modules_that_differ_in_more_than_their_numbers_are_refused_as_they_are(modules, reason):
    refused = modules()
    before = [_values(module) for module in refused]
    with pytest.raises(NotStackableError, match=reason):
        ModuleStack(refused)
    assert all(_same(_values(module), values) for module, values in zip(refused, before, strict=True))
    assert all(_owns_its_tensors(module) for module in refused)


def test_the_mode_of_all_is_set_together(nets):
    stack = ModuleStack(nets)
    stack.train(False)
    assert not any(part.training for net in nets for part in net.modules())
    stack.train()
    assert all(part.training for net in nets for part in net.modules())


def _batch(rows, tasks=2, mask=None):
    ids = torch.arange(rows, dtype=torch.int32)
    return Batch(ids[:, None], torch.randn(rows, 2), torch.rand(rows, tasks), mask, ids, ids, torch.arange(rows))


def _stacked(batches):
    return Batch(
        **{
            name: None if getattr(batches[0], name) is None else torch.stack([getattr(b, name) for b in batches])
            for name in Batch.__dataclass_fields__
        }
    )


@pytest.mark.parametrize("masked", [False, True])
def test_a_batch_is_one_of_each_modules_or_the_same_for_all(masked, nets):
    stack = ModuleStack(nets)

    def score(net, batch):
        known = 1.0 if batch.label_mask is None else batch.label_mask
        return (net(batch.numerical) * batch.labels * known).sum(0), batch.rows

    batches = [_batch(5, mask=torch.rand(5, 2) < 0.5 if masked else None) for _ in range(S)]
    found, rows = map_stacked(score, [stack], _stacked(batches))
    same, _ = map_stacked(score, [stack], batches[0], shared=1)
    assert torch.equal(rows, torch.arange(5).expand(S, 5))
    for place, net in enumerate(nets):
        torch.testing.assert_close(found[place], score(net, batches[place])[0])
        torch.testing.assert_close(same[place], score(net, batches[0])[0])


def test_several_stacks_and_arguments_go_in_together(nets):
    others = [nn.Linear(1, 2) for _ in range(S)]
    stacks = [ModuleStack(nets), ModuleStack(others)]
    x, scale = torch.randn(4, 2), torch.rand(S)

    def both(net, other, rows, factor):
        return other(net(rows)) * factor

    found = map_stacked(both, stacks, x, scale, shared=1)
    for place in range(S):
        torch.testing.assert_close(found[place], both(nets[place], others[place], x, scale[place]))
    gradient = torch.autograd.grad(found[1].sum(), stacks[1].parameters["weight"])[0]
    assert (gradient[1] != 0).any()
    assert (gradient[[0, 2]] == 0).all()


def test_random_numbers_differ_between_modules(nets):
    stack = ModuleStack(nets)
    drawn = map_stacked(lambda net, rows: torch.rand_like(rows), [stack], torch.zeros(4, 2), shared=1)
    assert len({tuple(own.flatten().tolist()) for own in drawn}) == S
