"""Weightings that build on the run of another backbone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.suites import Plan, expand, read_suite

GRID = 'backbones = ["toy-logistic", "wide"]\nweightings = ["heir", "plain"]'
HEIRS_ONLY = (GRID, 'backbones = ["toy-logistic"]\nweightings = ["heir"]')


@pytest.fixture
def planned(toy_plugin, registry, tmp_path) -> Callable[..., Plan]:
    """The plan of the heirs' suite with some texts replaced by others, given in turns."""

    def make(*changes: str, fingerprint: Callable[..., str] = lambda component: "f" * 16) -> Plan:
        text = toy_plugin.with_name("heirs.toml").read_text("utf-8")
        for old, new in zip(changes[::2], changes[1::2], strict=True):
            assert old in text, old
            text = text.replace(old, new)
        path = Path(tmp_path) / "heirs.toml"
        path.write_text(text, "utf-8")
        return expand(read_suite(path), registry, fingerprint)

    return make


def by_label(plan):
    return {cell.label: cell for cell in plan.cells}


def test_a_cell_names_the_run_of_its_weighting_on_the_other_backbone(planned):
    cells = by_label(planned())
    heir, source = cells["toy-sessions/toy-logistic/heir/1"], cells["toy-sessions/wide/plain/1"]
    assert heir.source == source.run_id
    assert heir.weighting.parameters == {"builds_on": "toy-logistic", "alone": "learn"}
    assert {cell.source for cell in cells.values() if cell.weighting.label == "plain"} == {""}


def test_on_the_named_backbone_itself_a_cell_is_its_source(planned):
    cells = by_label(planned())
    heir, plain = cells["toy-sessions/wide/heir/0"], cells["toy-sessions/wide/plain/0"]
    assert heir.run_id == plain.run_id
    assert (heir.source, heir.weighting.parameters["builds_on"]) == ("", "")


def test_the_same_backbone_under_another_name_is_the_same(planned):
    cells = by_label(
        planned("[backbones.toy-needy]", '[backbones.alias]\nplugin = "toy-logistic"', '"wide", a', '"alias", a')
    )
    assert cells["toy-sessions/toy-logistic/heir/0"].source == ""


def test_sources_are_called_as_the_grid_calls_them(planned):
    plan = planned()
    sources = [cell.label for cell in plan.sources.values()]
    assert sorted(sources) == ["toy-sessions/wide/heir/0", "toy-sessions/wide/heir/1"]
    plain = planned(GRID, GRID.replace('"heir", "plain"', '"plain", "heir"'))
    assert sorted(cell.label for cell in plain.sources.values()) == [
        "toy-sessions/wide/plain/0",
        "toy-sessions/wide/plain/1",
    ]


def test_a_source_need_not_stand_in_the_grid(planned):
    plan = planned(*HEIRS_ONLY)
    assert [cell.label for cell in plan.cells] == [
        "toy-sessions/toy-logistic/heir/0",
        "toy-sessions/toy-logistic/heir/1",
    ]
    assert [cell.label for cell in plan.sources.values()] == ["toy-sessions/wide/heir/0", "toy-sessions/wide/heir/1"]
    assert [cell.source for cell in plan.cells] == list(plan.sources)
    assert plan.sources == {cell.run_id: cell for cell in plan.sources.values()}
    whole = by_label(planned())
    assert all(whole[cell.label].run_id == cell.run_id for cell in plan.cells)


def test_what_a_suite_calls_the_backbone_decides_no_run(planned):
    renamed = planned("backbones.wide", "backbones.broad", '"wide"', '"broad"')
    assert [cell.run_id for cell in renamed.cells] == [cell.run_id for cell in planned().cells]


def test_another_backbone_to_build_on_is_another_run(planned):
    narrow = planned("width = 6", "width = 5")
    label = "toy-sessions/toy-logistic/heir/0"
    assert by_label(narrow)[label].run_id != by_label(planned())[label].run_id


def test_a_backbone_that_the_suite_has_not_is_refused_before_any_data_are_looked_at(planned):
    looked_at = []
    with pytest.raises(UsageError) as error:
        planned('builds_on = "wide"', 'builds_on = "wild"', fingerprint=looked_at.append)
    said = "weighting 'heir': parameter 'builds_on' is 'wild'; it takes a backbone of the suite; did you mean 'wide'?"
    assert str(error.value) == said
    assert looked_at == []


def test_what_builds_on_a_run_that_cannot_be_is_skipped_and_says_why(planned):
    plan = planned('builds_on = "wide"', 'builds_on = "toy-needy"')
    assert {s.label: s.reason for s in plan.skipped} == {
        f"toy-sessions/{backbone}/heir": "it builds on toy-sessions/toy-needy/heir: "
        "backbone 'toy-needy' requires 'moonlight', which nothing here provides"
        for backbone in ("toy-logistic", "wide")
    }
    assert plan.sources == {}
    assert {cell.weighting.label for cell in plan.cells} == {"plain"}
