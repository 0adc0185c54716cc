from __future__ import annotations

import pytest

from rmtl_bench.contracts import UsageError
from rmtl_bench.suites import read_suite
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench_rmtl.plugin import rmtl_suites, rmtl_weightings

PATHS = {path.stem: path for path in rmtl_suites()}
VARIANTS = [("control", False), ("paper", False), ("paper", True), ("smoke", False)]


@pytest.fixture(params=VARIANTS, ids=lambda variant: variant[0] + ("-sample" if variant[1] else ""))
def suite(request):
    name, sample = request.param
    return read_suite(PATHS[name], sample=sample)


def test_every_suite_is_read_here_with_its_sample_where_it_has_one():
    with_sample = {name for name, path in PATHS.items() if read_suite(path).has_sample}
    assert set(VARIANTS) == {(name, False) for name in PATHS} | {(name, True) for name in with_sample}
    with pytest.raises(UsageError, match="declares no"):
        read_suite(PATHS["smoke"], sample=True)


def test_it_is_called_like_its_file_and_has_a_version(suite):
    assert PATHS[suite.name].stem == suite.name
    assert suite.version >= 1
    assert suite.title
    TrainerSettings.resolve(suite.trainer)


def test_parameters_are_accepted_by_the_methods_of_this_distribution(suite):
    for info in rmtl_weightings():
        if info.name in suite.components["weightings"]:
            component = suite.components["weightings"][info.name]
            assert info.resolve(component.parameters).keys() == info.parameters.keys()


def test_rmtl_stands_beside_its_control_with_the_same_parameters(suite):
    for block in suite.grid:
        assert ("rmtl" in block["weightings"]) == ("rmtl-cw" in block["weightings"])
    weightings = suite.components["weightings"]
    if "rmtl" in weightings:
        assert weightings["rmtl"].parameters == weightings["rmtl-cw"].parameters
        assert any(
            "*/rmtl" in family["candidates"] and "*/rmtl-cw" in family["references"]
            for family in suite.statistics["comparisons"]
        )


def test_the_yardsticks_are_a_part_of_the_grid(suite):
    methods = {f"{b}/{w}" for block in suite.grid for b in block["backbones"] for w in block["weightings"]}
    for named in (suite.statistics["reference"], suite.statistics["delta_m"]):
        if named and "*" not in named:
            assert named in methods


def test_the_samples_stand_ins_are_named():
    sample = read_suite(PATHS["paper"], sample=True)
    assert {c.stands_in_for for c in sample.components["datasets"].values()} == {"retailrocket", "kuairand-1k"}
    assert len(sample.notes) == 2
    assert sample.seeds < read_suite(PATHS["paper"]).seeds


def test_the_paper_suite_runs_the_papers_sizes():
    weightings = read_suite(PATHS["paper"]).components["weightings"]
    assert not weightings["rmtl"].parameters
    (info, _) = rmtl_weightings()
    paper = {"lambda_q": 0.7, "discount": 0.95, "soft_update": 0.2}
    assert info.resolve({}).items() >= paper.items()
