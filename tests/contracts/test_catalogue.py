from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtl_bench import BackboneInfo, Parameter, WeightingInfo, scope_parameter
from rmtl_bench.contracts.errors import UsageError, did_you_mean

INFO = BackboneInfo(
    name="b",
    target="m:C",
    summary="",
    parameters={
        "rate": Parameter(0.5, "", minimum=0, maximum=1),
        "widths": Parameter((8, 4), "", minimum=1),
        "mode": Parameter("a", "", choices=("a", "b")),
        "weights": Parameter((), "", kind="floats"),
        "deep": Parameter(True, ""),
        "slope": Parameter(0.0, ""),
        "layers": Parameter(2, "", minimum=1, maximum=10_000_000),
        "step": Parameter(0.1, "", minimum=1e-6),
        "below": Parameter(0.0, "", maximum=0.1),
        "modes": Parameter(("a",), "", choices=("a", "b")),
        "title": Parameter("", ""),
    },
)


def test_defaults_are_filled_in_and_given_values_are_canonical() -> None:
    resolved = INFO.resolve({"rate": 1, "widths": [3]})
    assert resolved == {name: parameter.default for name, parameter in INFO.parameters.items()} | {
        "rate": 1.0,
        "widths": (3,),
    }
    assert isinstance(resolved["rate"], float)


def test_an_unknown_parameter_names_the_plugin_the_value_and_the_nearest_one() -> None:
    with pytest.raises(UsageError) as error:
        INFO.resolve({"width": 3})
    assert str(error.value) == "backbone 'b' has no parameter 'width', given as 3; did you mean 'widths'?"


NUMBERS = "a list of whole numbers, each at least 1"


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("rate", 1.5, "a number from 0 to 1"),
        ("rate", "high", "a number from 0 to 1"),
        ("rate", True, "a number from 0 to 1"),
        ("rate", math.nan, "a finite number from 0 to 1"),
        ("rate", 10**400, "a finite number from 0 to 1"),
        ("slope", math.inf, "a finite number"),
        ("slope", "steep", "a number"),
        ("layers", 10**400, "a whole number from 1 to 10000000"),
        ("layers", 2.0, "a whole number from 1 to 10000000"),
        ("step", 0, "a number of at least 1e-06"),
        ("step", math.inf, "a finite number of at least 1e-06"),
        ("below", 1, "a number of at most 0.1"),
        ("widths", 3, NUMBERS),
        ("widths", [0], NUMBERS),
        ("widths", [4, 1.5], NUMBERS),
        ("weights", ["much"], "a list of numbers"),
        ("weights", [1.0, math.nan], "a list of finite numbers"),
        ("mode", "c", "one of 'a', 'b'"),
        ("mode", 1, "one of 'a', 'b'"),
        ("modes", ["a", "c"], "a list of texts, each one of 'a', 'b'"),
        ("modes", "a", "a list of texts, each one of 'a', 'b'"),
        ("title", 1, "a text"),
        ("deep", 1, "true or false"),
    ],
)
def test_an_impossible_value_is_refused_in_one_line_with_all_that_would_be_right(
    name: str, value: object, right: str
) -> None:
    with pytest.raises(UsageError) as error:
        INFO.resolve({name: value})
    assert str(error.value) == f"backbone 'b': parameter {name!r} is {value!r}; it takes {right}"


def test_bounds_are_values_that_can_be() -> None:
    given = {"rate": 0, "layers": 10_000_000, "step": 1e-6, "below": 0.1, "widths": (1,), "modes": ["b"]}
    assert INFO.resolve(given).items() >= {**given, "modes": ("b",)}.items()


@given(st.floats(0, 1))
def test_every_value_in_range_passes_unchanged(value: float) -> None:
    assert INFO.resolve({"rate": value})["rate"] == value


def test_a_description_without_a_lazy_target_is_refused() -> None:
    with pytest.raises(ValueError, match=r"package\.module:Class"):
        BackboneInfo(name="b", target="module.Class", summary="")


def test_a_hint_lists_the_near_names_or_all_of_them() -> None:
    assert did_you_mean("mmo", ["mmoe", "ple"]) == "; did you mean 'mmoe'?"
    assert did_you_mean("xyz", ["mmoe", "ple"]) == "; known: mmoe, ple"
    assert "plugin" in did_you_mean("x", [])


SOURCE = Parameter("", "", backbone_of_source=True)


def test_one_parameter_of_a_weighting_may_name_the_backbone_of_a_source() -> None:
    plain = WeightingInfo(name="w", target="m:C", summary="", parameters={"rate": Parameter(0.5, "")})
    assert plain.source_parameter == ""
    parameters = {"rate": Parameter(0.5, ""), "from": SOURCE}
    assert WeightingInfo(name="w", target="m:C", summary="", parameters=parameters).source_parameter == "from"


@pytest.mark.parametrize(("info", "parameters"), [(WeightingInfo, ("a", "b")), (BackboneInfo, ("a",))])
def test_more_than_that_is_refused(info: type[WeightingInfo], parameters: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"'w': {', '.join(parameters)} may name the backbone of a source"):
        info(name="w", target="m:C", summary="", parameters=dict.fromkeys(parameters, SOURCE))


@pytest.mark.parametrize(("default", "kind"), [("ple", ""), (0, ""), ((), "strs")])
def test_such_a_parameter_is_a_text_that_is_empty_unless_given(default: object, kind: str) -> None:
    with pytest.raises(ValueError, match="names the backbone of a source"):
        Parameter(default, "", kind=kind, backbone_of_source=True)


def _needing(*modules: str, install: str = "pip install them") -> BackboneInfo:
    return BackboneInfo(name="b", target="m:C", summary="", needs=modules, install=install)


def test_what_lacks_modules_says_which_and_the_command_that_brings_them() -> None:
    one, two = _needing("json", "no_such_solver"), _needing("no_such_solver", "json", "nor_such")
    assert (one.lacking, two.lacking) == (("no_such_solver",), ("no_such_solver", "nor_such"))
    assert one.obstacle == "backbone 'b' needs no_such_solver, which is not installed; type: pip install them"
    assert "needs no_such_solver and nor_such, which are not installed; type:" in two.obstacle


def test_what_needs_nothing_or_what_is_installed_lacks_nothing() -> None:
    for info in (INFO, _needing("json")):
        assert (info.lacking, info.obstacle) == ((), "")


def test_needs_are_top_level_modules_with_a_command() -> None:
    with pytest.raises(ValueError, match=r"b: needs 'xml.dom', which is no top-level module"):
        _needing("xml.dom")
    with pytest.raises(ValueError, match="go together"):
        _needing("json", install="")
    with pytest.raises(ValueError, match="go together"):
        _needing()


def test_what_a_description_requires_may_depend_on_the_value_of_a_parameter():
    info = WeightingInfo(
        name="g",
        target="m:G",
        summary="",
        parameters={"scope": scope_parameter(), "step": Parameter(1.0, "size")},
        requires=frozenset({"sessions"}),
    )
    assert info.required({}) == info.required(info.resolve({})) == {"sessions", "shared-parameters"}
    assert info.required({"scope": "representation"}) == {"sessions", "shared-representation"}
    assert info.required({"scope": "all", "step": 2.0}) == {"sessions"}


def test_a_scope_without_the_representation_refuses_it():
    with pytest.raises(UsageError, match="'scope' is 'representation'; it takes one of 'shared', 'all'"):
        scope_parameter(representation=False).check("representation", "weighting 'g'", "scope")


@pytest.mark.parametrize("wrong", [{"form": "sum"}, {"needs": ("solver",)}, {"install": "pip install solver"}])
def test_a_description_that_contradicts_itself_is_refused(wrong):
    with pytest.raises(ValueError, match="g"):
        WeightingInfo(name="g", target="m:G", summary="", **wrong)
