from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from rmtl_bench.contracts import StagedWeighting, Task, UsageError
from rmtl_bench_rmtl.plugin import rmtl_suites, rmtl_weightings

INFOS = {info.name: info for info in rmtl_weightings()}
NAMES = ["rmtl", "rmtl-cw", "rmtl-wl", "rmtl-nlc", "rmtl-mc", "rmtl-shuffled", "rmtl-official", "ddpg", "td3-bc"]
SUITES = ["ablation", "backbones", "control", "dependence", "paper", "sensitivity", "smoke", "transfer", "weightings"]
VARIANTS = {
    "rmtl-cw": "constant",
    "rmtl-wl": "label",
    "rmtl-nlc": "negative",
    "rmtl-mc": "return",
    "rmtl-shuffled": "shuffled",
}
# Under the published code's name, and under that of TD3+BC, these defaults are not the class's.
OTHER_DEFAULTS = {
    "rmtl-official": {
        *("lambda_q", "discount", "action_noise", "uniform_actions", "shared_bottom"),
        *("fine_tune_learning_rate", "pre_trained_counts"),
    },
    "td3-bc": {"alpha", "target_noise", "actor_every", "twin_critics"},
}


def target_of(info):
    module, _, target = info.target.partition(":")
    return getattr(import_module(module), target)


def keyword_defaults(method):
    """Every keyword argument of a method's constructor, and of those that it passes the rest on to."""
    defaults = {}
    for owner in method.__mro__:
        parameters = inspect.signature(owner.__init__).parameters.values()
        for parameter in parameters:
            if parameter.kind is parameter.KEYWORD_ONLY:
                defaults.setdefault(parameter.name, parameter.default)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return defaults
    return defaults


def test_listing_does_not_import_torch():
    code = (
        "import sys; from rmtl_bench_rmtl.plugin import rmtl_suites, rmtl_weightings; "
        "print(*[i.name for i in rmtl_weightings()], *[p.stem for p in rmtl_suites()]); "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*NAMES, *SUITES]


@pytest.mark.parametrize("info", INFOS.values(), ids=INFOS)
def test_described_parameters_and_defaults_are_those_of_the_constructor(info):
    method = target_of(info)
    assert issubclass(method, StagedWeighting)
    defaults = keyword_defaults(method)
    described = info.resolve({})
    assert described.keys() <= defaults.keys()
    if info.name not in VARIANTS:
        # Under the published code's name there is one form, and critics of another run are no part of it.
        left_out = {"weights", "critic_from"} if info.name == "rmtl-official" else set()
        assert defaults.keys() - described.keys() == left_out
    differing = {name for name, value in described.items() if value != defaults[name]}
    assert differing == OTHER_DEFAULTS.get(info.name, {"weights"} if VARIANTS.get(info.name) else set())
    assert all(parameter.help for parameter in info.parameters.values())


@pytest.mark.parametrize("info", INFOS.values(), ids=INFOS)
def test_the_constructor_takes_what_the_catalogue_resolves(info):
    tasks = (Task("t0"),)
    method = target_of(info)(tasks, **info.resolve({}))
    assert method.tasks == tasks


@pytest.mark.parametrize(("name", "form"), VARIANTS.items())
def test_a_named_variant_has_one_form_and_no_other(name, form):
    info = INFOS[name]
    assert info.target == INFOS["rmtl"].target
    assert info.resolve({})["weights"] == target_of(info)((Task("t0"),), **info.resolve({})).form == form
    for other in {*INFOS["rmtl"].parameters["weights"].choices} - {form}:
        with pytest.raises(UsageError, match="weights"):
            info.resolve({"weights": other})


def test_rmtl_takes_every_form_by_its_name():
    for form in ("critic", *VARIANTS.values()):
        assert target_of(INFOS["rmtl"])((Task("t0"),), **INFOS["rmtl"].resolve({"weights": form})).form == form
    with pytest.raises(UsageError, match="weights"):
        INFOS["rmtl"].resolve({"weights": "best"})


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_differs_from_the_method_in_its_form_alone(name):
    method, variant = INFOS["rmtl"], INFOS[name]
    shared = variant.parameters.keys() - {"weights"}
    assert {k: variant.parameters[k] for k in shared} == {k: method.parameters[k] for k in shared}
    assert variant.requires == method.requires == {"sessions"}
    assert variant.version == method.version


def test_the_controls_parameters_are_those_of_fine_tuning():
    assert INFOS["rmtl-cw"].parameters.keys() == {
        *("weights", "fine_tune_learning_rate", "fine_tune_epochs", "pre_trained_counts")
    }


def test_only_rmtl_itself_builds_on_another_run():
    assert {name: info.source_parameter for name, info in INFOS.items() if info.source_parameter} == {
        "rmtl": "critic_from"
    }


@pytest.mark.parametrize("given", [{"discount": 1.1}, {"lambda_q": -0.1}, {"dropout": 1.0}, {"bottom": [8, 0]}])
def test_impossible_values_are_refused_by_the_catalogue(given):
    (name,) = given
    owners = [info for info in INFOS.values() if name in info.parameters]
    assert owners
    for info in owners:
        with pytest.raises(UsageError, match=name):
            info.resolve(given)


def test_suites_are_files_of_this_distribution():
    paths = list(rmtl_suites())
    assert [path.stem for path in paths] == SUITES
    assert all(path.is_file() for path in paths)
