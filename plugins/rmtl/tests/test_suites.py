"""The suites of this distribution, read and expanded with stand-ins for the data's fingerprints."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from rmtl_bench.contracts import UsageError
from rmtl_bench.plugins import load_plugins
from rmtl_bench.statistics import Family
from rmtl_bench.suites import expand, read_suite
from rmtl_bench.training.settings import TrainerSettings
from rmtl_bench_rmtl.plugin import rmtl_suites, rmtl_weightings

PATHS = {path.stem: path for path in rmtl_suites()}
INFOS = {info.name: info for info in rmtl_weightings()}
SAMPLED = {"ablation", "backbones", "paper", "sensitivity", "transfer", "weightings"}
ON_ONE_DATA_SET = {"backbones", "weightings"}
VARIANTS = sorted([(name, False) for name in PATHS] + [(name, True) for name in SAMPLED])
FINE_TUNING = ("fine_tune_learning_rate", "fine_tune_epochs", "pre_trained_counts")
BACKBONES = ("esmm", "mmoe", "ple")


def title(variant):
    return variant[0] + ("-sample" if variant[1] else "")


@pytest.fixture(params=VARIANTS, ids=title)
def suite(request):
    name, sample = request.param
    return read_suite(PATHS[name], sample=sample)


@pytest.fixture(scope="module")
def registry():
    # A suite names data sets and backbones of the other distributions.
    for distribution in ("backbones", "datasets", "weightings"):
        pytest.importorskip(f"rmtl_bench_{distribution}.plugin")
    return load_plugins().registry


@pytest.fixture(scope="module")
def plan_of(registry):
    plans = {}

    def plan(name, sample=False):
        if (name, sample) not in plans:
            read = read_suite(PATHS[name], sample=sample)
            plans[name, sample] = expand(read, registry, lambda component: component.label)
        return plans[name, sample]

    return plan


@pytest.fixture(params=VARIANTS, ids=title)
def plan(request, plan_of):
    return plan_of(*request.param)


def method(cell):
    return f"{cell.backbone.label}/{cell.weighting.label}"


def control_pairs(plan):
    methods = {method(cell) for cell in plan.cells}
    families = [Family(**family) for family in plan.suite.statistics["comparisons"]]
    return [pair for family in families if family.control for pair in family.pairs(methods)]


def is_rmtl(cell):
    return cell.weighting.name.startswith("rmtl")


def test_every_suite_is_read_here_with_its_sample_where_it_has_one():
    assert {name for name, path in PATHS.items() if read_suite(path).has_sample} == SAMPLED
    with pytest.raises(UsageError, match="declares no"):
        read_suite(PATHS["smoke"], sample=True)


def test_it_is_called_like_its_file_and_has_a_version(suite):
    assert PATHS[suite.name].stem == suite.name
    assert suite.version >= 1
    assert suite.title
    TrainerSettings.resolve(suite.trainer)


def test_parameters_are_accepted_by_the_methods_of_this_distribution(suite):
    for component in suite.components["weightings"].values():
        if component.plugin in INFOS:
            INFOS[component.plugin].resolve(component.parameters)


def test_the_yardsticks_are_a_part_of_the_grid(suite):
    methods = {f"{b}/{w}" for block in suite.grid for b in block["backbones"] for w in block["weightings"]}
    for named in (suite.statistics["reference"], suite.statistics["delta_m"]):
        assert not named or any(fnmatchcase(one, named) for one in methods)


def test_a_samples_stand_ins_are_named():
    for name in SAMPLED:
        sample = read_suite(PATHS[name], sample=True)
        left_out = {"retailrocket"} if name in ON_ONE_DATA_SET else set()
        stand_ins = {c.stands_in_for for c in sample.components["datasets"].values()}
        assert stand_ins == {"retailrocket", "kuairand-1k"} - left_out
        assert len(sample.notes) == 2
        assert sample.seeds < read_suite(PATHS[name]).seeds


def test_the_paper_suite_runs_the_papers_sizes():
    weightings = read_suite(PATHS["paper"]).components["weightings"]
    assert not weightings["rmtl"].parameters
    paper = {"lambda_q": 0.7, "discount": 0.95, "soft_update": 0.2}
    assert INFOS["rmtl"].resolve({}).items() >= paper.items()


def test_it_expands_into_every_combination_of_its_grid_and_skips_none(plan):
    assert not plan.skipped
    combinations = {
        (d, b, w)
        for block in plan.suite.grid
        for d in block["datasets"]
        for b in block["backbones"]
        for w in block["weightings"]
    }
    assert len(plan.cells) == plan.suite.seeds * len(combinations)
    assert {cell.seed for cell in plan.cells} == set(range(plan.suite.seeds))
    assert len({cell.label for cell in plan.cells}) == len(plan.cells)


def test_every_pattern_of_a_comparison_matches_a_method(plan):
    methods = {method(cell) for cell in plan.cells}
    for family in plan.suite.statistics["comparisons"]:
        assert Family(**family).unmatched(methods) == []
        assert Family(**family).pairs(methods)


def test_every_row_of_rmtl_has_one_control_on_its_backbone(plan):
    rows = {method(cell) for cell in plan.cells if is_rmtl(cell)}
    pairs = control_pairs(plan)
    controls = {reference for _, reference in pairs}
    assert sorted(candidate for candidate, _ in pairs) == sorted(rows - controls)
    assert bool(rows) is (plan.suite.name != "control")
    for candidate, reference in pairs:
        assert candidate.split("/")[0] == reference.split("/")[0]


def test_a_control_has_weights_of_one_and_its_candidates_fine_tuning(plan):
    parameters = {method(cell): cell.weighting.parameters for cell in plan.cells if is_rmtl(cell)}
    for candidate, reference in control_pairs(plan):
        control = parameters[reference]
        assert control["weights"] == "constant" or control["lambda_q"] == 0
        assert [parameters[candidate][name] for name in FINE_TUNING] == [control[name] for name in FINE_TUNING]


def test_runs_of_rmtl_in_one_suite_learn_their_critics_alike(plan):
    named = ("embedding_dim", "bottom", "tower", "dropout", "critic_epochs", "critic_learning_rate")
    # The published code's dropout is one of its choices.
    found = {
        tuple(cell.weighting.parameters[name] for name in named)
        for cell in plan.cells
        if is_rmtl(cell) and "bottom" in cell.weighting.parameters and cell.weighting.name != "rmtl-official"
    }
    assert len(found) <= 1


def test_the_ablation_has_every_form_and_only_the_form_differs(plan_of):
    for sample in (False, True):
        cells = [c for c in plan_of("ablation", sample).cells if is_rmtl(c) and c.weighting.name != "rmtl-official"]
        assert {c.weighting.parameters["weights"] for c in cells} == {*INFOS["rmtl"].parameters["weights"].choices}
        for name in {name for c in cells for name in c.weighting.parameters} - {"weights"}:
            assert len({c.weighting.parameters[name] for c in cells if name in c.weighting.parameters}) == 1


@pytest.mark.parametrize("sample", [False, True])
def test_transfer_crosses_three_backbones_and_a_cell_of_its_own_critics_is_the_source(sample, plan_of):
    plan = plan_of("transfer", sample)
    found = {
        (c.dataset.label, c.seed, c.backbone.name, c.weighting.label.removeprefix("rmtl-from-")): c
        for c in plan.cells
        if c.weighting.label.startswith("rmtl-from-")
    }
    datasets = {dataset for dataset, *_ in found}
    assert len(datasets) == 2
    assert len(found) == 2 * plan.suite.seeds * 9
    for (dataset, seed, backbone, critic), cell in found.items():
        own = found[dataset, seed, critic, critic]
        if backbone == critic:
            assert (cell.source, cell.weighting.parameters["critic_from"]) == ("", "")
        else:
            assert cell.source == own.run_id != cell.run_id
            assert cell.weighting.parameters["critic_from"] == critic
            assert plan.sources[cell.source] is own
    assert set(plan.sources) == {
        found[d, s, b, b].run_id for d in datasets for s in range(plan.suite.seeds) for b in BACKBONES
    }
    assert len({cell.run_id for cell in found.values()}) == len(found)


def test_a_source_of_transfer_is_a_plain_run_of_rmtl(plan_of, registry):
    plan = plan_of("transfer")
    plain = registry.find("weighting", "rmtl").info.resolve({"pre_trained_counts": False})
    assert all(source.weighting.parameters == plain for source in plan.sources.values())


@pytest.mark.parametrize("sample", [False, True])
def test_sensitivity_varies_lambda_or_gamma_and_its_control_is_lambda_0(sample, plan_of):
    plan = plan_of("sensitivity", sample)
    assert {reference for _, reference in control_pairs(plan)} == {"ple/lambda-0"}
    parameters = {cell.weighting.label: dict(cell.weighting.parameters) for cell in plan.cells}
    base = parameters["lambda-0.7"]
    for label, given in parameters.items():
        name, _, value = label.partition("-")
        assert given == base | {{"lambda": "lambda_q", "gamma": "discount"}[name]: float(value)}
    assert len(parameters) == 11


@pytest.mark.parametrize("sample", [False, True])
def test_the_suite_of_weightings_has_every_one_that_trains_a_backbone_by_its_losses(sample, plan_of, registry):
    installed = {entry.info.name for entry in registry.entries("weighting")}
    variants = {name for name in INFOS if name not in ("rmtl", "rmtl-cw")}
    plan = plan_of("weightings", sample)
    assert {cell.weighting.name for cell in plan.cells} == installed - variants
    assert len(installed - variants) >= 25
    assert {cell.backbone.name for cell in plan.cells} == {"shared-bottom", "mmoe", "ple"}


@pytest.mark.parametrize("sample", [False, True])
def test_the_suite_of_backbones_has_every_one_under_fixed_tuned_and_rmtls_weights(sample, plan_of, registry):
    installed = {entry.info.name for entry in registry.entries("backbone")}
    under = {}
    for cell in plan_of("backbones", sample).cells:
        under.setdefault(cell.backbone.name, set()).add(cell.weighting.name)
    assert under.pop("single-task") == {"fixed"}
    assert {frozenset(names) for names in under.values()} == {frozenset({"fixed", "fixed-tuned", "rmtl", "rmtl-cw"})}
    assert set(under) == installed - {"single-task"}


@pytest.mark.parametrize(("name", "sample"), [(n, s) for n in ("weightings", "backbones") for s in (False, True)])
def test_tuning_has_as_many_epochs_as_rmtl(name, sample, plan_of):
    plan = plan_of(name, sample)
    parameters = {cell.weighting.name: cell.weighting.parameters for cell in plan.cells}
    stages = parameters["rmtl"]["critic_epochs"] + parameters["rmtl"]["fine_tune_epochs"]
    assert parameters["fixed-tuned"]["epochs"] == plan.cells[0].trainer["max_epochs"] + stages
