from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmtl_bench.contracts.cell import Component
from rmtl_bench.training.streams import Streams


def _seeds(cell):
    streams = Streams(cell)
    return {
        "init": streams.init(),
        "order": streams.order("train", 1),
        "dropout": streams.dropout("train", 1),
        "paired": streams.paired("weighting"),
        "weighting": streams.weighting("weighting"),
    }


@pytest.mark.parametrize(
    ("change", "shared"),
    [
        ({"weighting": "other"}, {"init", "order", "dropout", "paired"}),
        ({"backbone": "other"}, {"order"}),
        ({"fingerprint": "other"}, set()),
        ({"seed": 1}, set()),
    ],
)
def test_each_stream_depends_on_what_it_should_and_on_nothing_else(make_cell, change, shared):
    one, other = _seeds(make_cell()), _seeds(make_cell(**change))
    assert {name for name in one if one[name] == other[name]} == shared


def test_a_run_that_builds_on_another_has_draws_of_its_own_and_shares_the_rest(make_cell):
    one, other = _seeds(make_cell()), _seeds(dataclasses.replace(make_cell(), source="0" * 16))
    assert {name for name in one if one[name] != other[name]} == {"weighting"}


@pytest.mark.parametrize("name", ["", "init", "order", "dropout", "weighting", "train", "critics"])
def test_no_stream_is_another_even_under_its_name(make_cell, name):
    streams = Streams(make_cell())
    seeds = [streams.init(), streams.order(name, 1), streams.dropout(name, 1), streams.paired(name)]
    assert len({*seeds, streams.weighting(name)}) == 5


def test_paired_streams_differ_by_name(make_cell):
    streams = Streams(make_cell())
    assert streams.paired("critics") == Streams(make_cell(weighting="other")).paired("critics")
    assert streams.paired("critics") != streams.paired("actions")


def test_what_a_suite_calls_things_changes_no_stream(make_cell):
    cell = make_cell()
    renamed = dataclasses.replace(cell, dataset=dataclasses.replace(cell.dataset, label="another"))
    assert _seeds(renamed) == _seeds(cell)


def test_parameters_of_the_backbone_change_its_initialisation_and_keep_the_order(make_cell):
    cell = make_cell()
    wide = dataclasses.replace(cell, backbone=Component("logistic", "logistic", 1, "toy", "1", {"width": 8}))
    assert _seeds(wide)["init"] != _seeds(cell)["init"]
    assert _seeds(wide)["paired"] != _seeds(cell)["paired"]
    assert _seeds(wide)["order"] == _seeds(cell)["order"]


def test_epochs_and_stages_shuffle_and_drop_out_each_in_their_own_way(make_cell):
    streams = Streams(make_cell())
    for stream in (streams.order, streams.dropout):
        assert len({stream("train", 1), stream("train", 2), stream("tune", 1), stream("tune", 2)}) == 4


def test_seeds_are_those_of_earlier_versions(make_cell):
    # A change here changes every published number.
    assert _seeds(make_cell()) == {
        "init": 6734721606084371258,
        "order": 1735425818112393334,
        "dropout": 5240414578889875606,
        "paired": 726264195578998110,
        "weighting": 8253033216357496623,
    }


@settings(deadline=None, max_examples=50)
@given(name=st.text(max_size=5), epoch=st.integers(1, 100))
def test_a_seed_is_one_that_torch_takes(make_cell, name, epoch):
    streams = Streams(make_cell())
    seeds = streams.order(name, epoch), streams.dropout(name, epoch), streams.paired(name), streams.weighting(name)
    for seed in seeds:
        assert torch.Generator().manual_seed(seed).initial_seed() == seed
