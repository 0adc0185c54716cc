from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from rmtl_bench import BackboneInfo, DatasetInfo, Parameter, Source, WeightingInfo
from rmtl_bench.plugins import Registry
from rmtl_bench.plugins.registry import Origin
from rmtl_bench.scaffold.naming import Names
from rmtl_bench.scaffold.trial import find_surroundings, trial_suite

SUITE = """
name = "quick"
[trainer]
max_epochs = 2
learning_rate = 1e-2
[datasets.fetched]
[datasets.small]
plugin = "logs"
parameters = { rows = 90, "odd name" = ["a", "ö"], exact = true }
[backbones.apart]
[backbones.net]
[weightings.staged]
[weightings.clever]
[weightings.even]
[[grid]]
backbones = ["apart", "net"]
weightings = ["staged", "clever", "even"]
[statistics]
reference = "*/even"
"""


def of(name: str) -> dict[str, str]:
    return {"name": name, "target": "nowhere:Nothing", "summary": ""}


@pytest.fixture
def registry() -> Registry:
    registry, origin = Registry(), Origin("some", "1")
    source = Source(homepage="https://example.org", folder="fetched")
    parameters = {"rows": Parameter(900, "rows"), "odd name": Parameter(("b",), ""), "exact": Parameter(False, "")}
    shared = frozenset({"shared-parameters"})
    for info in (
        DatasetInfo(**of("fetched"), source=source),
        DatasetInfo(**of("logs"), parameters=parameters),
        BackboneInfo(**of("apart")),
        BackboneInfo(**of("net"), provides=shared),
        WeightingInfo(**of("staged"), form="staged"),
        WeightingInfo(**of("clever"), form="loss"),
        WeightingInfo(**of("even"), form="loss"),
    ):
        registry.add(info.kind, info, origin)
    return registry


@pytest.fixture
def ship(registry, tmp_path):
    def add(name: str, text: str) -> None:
        path: Path = tmp_path / name
        path.write_text(text, "utf-8")
        registry.suites.append((path, Origin("some", "1")))

    return add


def test_the_quickest_suite_lends_what_can_be_had_at_once(registry, ship):
    ship("slow.toml", SUITE.replace('"quick"', '"aaa"').replace("max_epochs = 2", "max_epochs = 9"))
    ship("broken.toml", "name = ")
    ship("lost.toml", SUITE.replace('"quick"', '"bbb"').replace("[backbones.net]", "[backbones.gone]"))
    ship("quick.toml", SUITE)
    lent = find_surroundings(registry)
    assert lent.trainer == {"max_epochs": 2, "learning_rate": 1e-2}
    assert (lent.dataset.label, lent.dataset.plugin, lent.backbone.label) == ("small", "logs", "net")
    assert [each.label for each in lent.weightings] == ["even", "clever"]


@pytest.mark.parametrize("lacking", ['"*/even"', 'plugin = "logs"', '"apart", "net"'])
def test_where_nothing_suits_there_is_no_suite(registry, ship, lacking):
    instead = {'"*/even"': '"*/*"', 'plugin = "logs"': 'plugin = "fetched"', '"apart", "net"': '"apart"'}
    ship("quick.toml", SUITE.replace(lacking, instead[lacking]))
    assert find_surroundings(registry) is None


@pytest.mark.parametrize(
    ("kind", "grid", "reference"),
    [
        ("weighting", (["small"], ["net"], ["even", "mine"]), "*/even"),
        ("backbone", (["small"], ["net", "mine"], ["even"]), "net/*"),
        ("dataset", (["mine"], ["net"], ["even", "clever"]), "*/even"),
        ("metric", (["small"], ["net"], ["even", "clever"]), "*/even"),
        ("executor", (["small"], ["net"], ["even", "clever"]), "*/even"),
    ],
)
def test_a_new_thing_stands_beside_one_to_compare_it_with(registry, ship, kind, grid, reference):
    ship("quick.toml", SUITE)
    suite = tomllib.loads(trial_suite(Names(kind, "mine"), find_surroundings(registry)))
    assert suite["grid"] == [dict(zip(("datasets", "backbones", "weightings"), grid, strict=True))]
    assert suite["statistics"]["reference"] == reference
    assert suite["metrics"] == ["auc", "logloss", *["mine"] * (kind == "metric")]
    assert suite["trainer"] == {"max_epochs": 2, "learning_rate": 0.01}
    if kind != "dataset":
        parameters = {"rows": 90, "odd name": ["a", "ö"], "exact": True}
        assert suite["datasets"]["small"] == {"plugin": "logs", "parameters": parameters}
