from __future__ import annotations

import subprocess
import sys

import pytest

from rmtl_bench.contracts import UsageError
from rmtl_bench_backbones.embedding_backbone import INTERACTIONS
from rmtl_bench_backbones.plugin import rmtl_backbones

NAMES = ["single-task", "shared-bottom", "cross-stitch", "esmm", "escm2", "omoe", "mmoe", "cgc", "ple", "dselect-k"]
NAMES += ["aitm", "adatt", "stem", "home"]


def test_listing_does_not_import_torch():
    code = (
        "import sys; from rmtl_bench_backbones.plugin import rmtl_backbones; "
        "print(*[i.name for i in rmtl_backbones()]); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == NAMES


def test_capabilities_say_what_can_go_together():
    infos = rmtl_backbones()
    of_a_funnel = {"esmm", "escm2", "aitm"}
    assert {info.name for info in infos if "parent-task" in info.requires} == of_a_funnel
    assert {info.name for info in infos if "shared-parameters" not in info.provides} == {"single-task", *of_a_funnel}
    assert {info.name for info in infos if "shared-representation" not in info.provides} == {"single-task"}


@pytest.mark.parametrize("info", rmtl_backbones(), ids=lambda info: info.name)
def test_a_description_cites_its_paper_and_says_where_others_differ(info):
    assert bool(info.paper) == bool(info.year) == (info.name != "single-task")
    assert str(info.year) in info.paper or not info.year
    assert info.differs


def test_the_catalogue_offers_the_interactions_there_are():
    for info in rmtl_backbones():
        if "interaction" in info.parameters:
            assert info.parameters["interaction"].choices == tuple(INTERACTIONS)


def test_an_interaction_left_at_its_default_is_no_part_of_a_runs_identity():
    (info,) = [info for info in rmtl_backbones() if info.name == "mmoe"]
    before = {"embedding_dim", "bottom", "tower", "dropout", "experts"}
    assert set(info.resolve({})) == set(info.resolve({"interaction": "mlp", "cross_layers": 2})) == before
    assert set(info.resolve({"interaction": "deepfm"})) == {*before, "interaction"}


@pytest.mark.parametrize(
    ("backbone", "given"),
    [
        ("ple", {"task_experts": 0}),
        ("mmoe", {"experts": 0}),
        ("esmm", {"dropout": 1.0}),
        ("escm2", {"propensity_floor": 0.0}),
        ("dselect-k", {"gamma": 0.0}),
        ("omoe", {"interaction": "dcn"}),
        ("cgc", {"cross_layers": 0}),
        ("single-task", {"bottom": [64, 0]}),
        ("shared-bottom", {"embedding_dim": 0}),
    ],
)
def test_impossible_values_are_refused_by_the_catalogue(backbone, given):
    (info,) = [info for info in rmtl_backbones() if info.name == backbone]
    with pytest.raises(UsageError, match=next(iter(given))):
        info.resolve(given)
