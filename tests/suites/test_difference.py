from __future__ import annotations

import pytest

from rmtl_bench import BackboneInfo, DatasetInfo, MetricInfo, Parameter, WeightingInfo
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.plugins import Origin, Registry
from rmtl_bench.suites import expand, read_suite
from rmtl_bench.suites.difference import Change, changes, compare_runs, seeds_by_method
from rmtl_bench.suites.fingerprints import UNKNOWN, LenientFingerprints

TEXT = """
name = "mine"
seeds = 2
[datasets.logs]
[backbones.net]
[weightings.even]
[weightings.odd]
[[grid]]
backbones = ["net"]
weightings = ["even", "odd"]
[statistics]
reference = "*/even"
[[comparisons]]
name = "odd against even"
candidates = ["*/odd"]
references = ["*/even"]
"""


@pytest.fixture
def registry():
    registry = Registry()
    width = {"width": Parameter(8, "width")}
    for info in (
        DatasetInfo(name="logs", target="a:B", summary=""),
        BackboneInfo(name="net", target="a:B", summary="", parameters=width),
        WeightingInfo(name="even", target="a:B", summary=""),
        WeightingInfo(name="odd", target="a:B", summary=""),
    ):
        registry.add(info.kind, info, Origin("d", "1"))
    for name in ("auc", "logloss"):
        metric = MetricInfo(name=name, target="a:b", summary="", higher_is_better=name == "auc")
        registry.add("metric", metric, Origin("d", "1"))
    return registry


@pytest.fixture
def planned(registry, tmp_path):
    def plan(text):
        path = tmp_path / "suite.toml"
        path.write_text(text)
        return expand(read_suite(path), registry, lambda component: "f" * 16)

    return plan


def test_what_is_written_otherwise_and_means_the_same_is_no_change(planned):
    other = TEXT.replace("[backbones.net]", "[trainer]\nmax_epochs = 20\n[backbones.net]\nparameters = { width = 8 }")
    other += "# a comment\n"
    a, b = planned(TEXT), planned(other.replace("[weightings.odd]", "[weightings.odd]\n[backbones.unused]"))
    assert a.suite.digest != b.suite.digest
    assert changes(a, b) == []
    assert len(compare_runs(a.cells, b.cells).shared) == 4


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("seeds = 2", "seeds = 3", Change("seeds", 2, 3)),
        ("seeds = 2", 'seeds = 2\nmetrics = ["auc"]', Change("metrics", ["auc", "logloss"], ["auc"])),
        ("[datasets.logs]", "[trainer]\npatience = 5\n[datasets.logs]", Change("trainer.patience", 2, 5)),
        ("[backbones.net]", "[backbones.net]\nparameters = { width = 9 }", Change("backbones.net.width", 8, 9)),
        ('reference = "*/even"', 'reference = "*/odd"', Change("statistics.reference", "*/even", "*/odd")),
        (
            'candidates = ["*/odd"]',
            'candidates = ["net/odd"]',
            Change("comparisons.odd against even.candidates", ["*/odd"], ["net/odd"]),
        ),
        ("odd against even", "others", Change("comparisons.odd against even", "declared", None)),
    ],
)
def test_a_change_is_named_by_its_place(planned, old, new, change):
    assert old in TEXT
    found = changes(planned(TEXT), planned(TEXT.replace(old, new)))
    assert change in found
    assert len(found) == (2 if change.second is None else 1)


def test_a_component_of_one_side_alone_is_one_change(planned):
    fewer = TEXT.replace('["even", "odd"]', '["even"]').replace("[[comparisons]]", "[sample]\n[[comparisons]]")
    settings = {change.setting: (change.first, change.second) for change in changes(planned(TEXT), planned(fewer))}
    assert settings["weightings.odd"] == ("odd 1 of d 1", None)
    assert set(settings) == {"weightings.odd", "grid"}


def test_runs_are_shared_by_what_decides_them_whatever_they_are_called(planned):
    renamed = TEXT.replace("[weightings.odd]", '[weightings.odd]\nlabel = "strange"').replace("seeds = 2", "seeds = 3")
    runs = compare_runs(planned(TEXT).cells, planned(renamed).cells)
    assert sorted(runs.shared.values()) == ["logs/net/even/0", "logs/net/even/1", "logs/net/odd/0", "logs/net/odd/1"]
    assert runs.only_first == {}
    assert sorted(runs.only_second.values()) == ["logs/net/even/2", "logs/net/strange/2"]
    assert seeds_by_method(["a/b/c/10", "a/b/c/9", "a/b/d/0"]) == {"a/b/c": [9, 10], "a/b/d": [0]}


def test_missing_data_are_noted_and_the_plan_is_made(registry, tmp_path):
    def fingerprint(component):
        raise DataError("logs: raw files are missing")

    (tmp_path / "suite.toml").write_text(TEXT)
    lenient = LenientFingerprints(fingerprint)
    plan = expand(read_suite(tmp_path / "suite.toml"), registry, lenient)
    assert {cell.fingerprint for cell in plan.cells} == {UNKNOWN}
    assert lenient.missing == {"logs": "logs: raw files are missing"}
