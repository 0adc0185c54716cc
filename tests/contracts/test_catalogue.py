from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtl_bench import BackboneInfo, Parameter, WeightingInfo
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
    },
)


def test_defaults_are_filled_in_and_given_values_are_canonical() -> None:
    resolved = INFO.resolve({"rate": 1, "widths": [3]})
    assert resolved == {"rate": 1.0, "widths": (3,), "mode": "a", "weights": (), "deep": True}
    assert isinstance(resolved["rate"], float)


def test_an_unknown_parameter_names_the_plugin_and_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"backbone 'b' has no parameter 'width'; did you mean 'widths'\?"):
        INFO.resolve({"width": 3})


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("rate", 1.5, "values from 0 to 1"),
        ("rate", "high", "a number"),
        ("rate", True, "a number"),
        ("rate", math.nan, "a finite number"),
        ("widths", 3, "a list of whole numbers"),
        ("widths", [0], "values from 1 to inf"),
        ("widths", [1.5], "a list of whole numbers"),
        ("mode", "c", "one of 'a', 'b'"),
        ("deep", 1, "true or false"),
    ],
)
def test_an_impossible_value_is_refused_with_what_would_be_right(name: str, value: object, right: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' is .*; it takes {right}".replace("(", r"\(")):
        INFO.resolve({name: value})


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
