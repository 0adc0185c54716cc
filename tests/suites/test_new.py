from __future__ import annotations

import pytest

from rmtl_bench import BackboneInfo, DatasetInfo, MetricInfo, Parameter, Source, WeightingInfo
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.plugins import Origin, Registry
from rmtl_bench.suites import expand, read_suite
from rmtl_bench.suites.new import NewSuite, new_suite_text

SHOP = Source(homepage="https://example.org", folder="bought")


@pytest.fixture
def registry():
    target = {"target": "nowhere:Nothing", "summary": ""}
    offers = [
        DatasetInfo(name="bought", source=SHOP, **target),
        DatasetInfo(name="embedded", provides=frozenset({"sessions"}), **target),
        DatasetInfo(
            name="known-truth",
            provides=frozenset({"optimum"}),
            parameters={"rows": Parameter(70_000, "how many", minimum=100, maximum=90_000)},
            **target,
        ),
        BackboneInfo(name="young", year=2024, **target),
        BackboneInfo(name="old", year=1997, provides=frozenset({"shared-parameters"}), **target),
        BackboneInfo(name="plain", **target),
        BackboneInfo(name="of-sessions", year=1990, requires=frozenset({"sessions"}), **target),
        WeightingInfo(name="sum", form="loss", **target),
        WeightingInfo(name="learnt", form="loss", year=2018, **target),
        WeightingInfo(name="solved", form="loss", needs=("no_such_solver",), install="pip install it", **target),
        WeightingInfo(name="conflict", form="gradient", year=2001, **target),
        WeightingInfo(name="latest", form="loss", year=2025, **target),
        WeightingInfo(name="later", form="loss", year=2020, **target),
    ]
    registry = Registry()
    for info in offers:
        registry.add(info.kind, info, Origin("d", "1"))
    for name in ("auc", "logloss"):
        metric = MetricInfo(name=name, target="a:b", summary="", higher_is_better=name == "auc")
        registry.add("metric", metric, Origin("d", "1"))
    return registry


@pytest.fixture
def written(registry, tmp_path):
    def write(seeds=3, **given):
        path = tmp_path / "mine.toml"
        path.write_text(new_suite_text(registry, NewSuite("mine", seeds, given), str(path)), encoding="utf-8")
        return read_suite(path)

    return write


def test_what_is_not_named_is_the_oldest_that_goes_together(written, registry):
    suite = written()
    assert [*suite.components["datasets"]] == ["known-truth"]
    assert suite.components["datasets"]["known-truth"].parameters == {"rows": 10_000}
    assert [*suite.components["backbones"]] == ["plain", "old"]
    assert [*suite.components["weightings"]] == ["sum", "learnt", "later"]
    assert suite.statistics["reference"] == "*/sum"
    plan = expand(suite, registry, lambda component: "f" * 16)
    assert (len(plan.cells), plan.skipped) == (2 * 3 * 3, ())


def test_what_is_named_is_taken_in_its_order(written):
    suite = written(7, datasets=("bought", "embedded"), backbones=("young",), weightings=("latest", "sum", "latest"))
    assert (suite.seeds, suite.statistics["reference"]) == (7, "*/latest")
    [block] = suite.grid
    assert block["datasets"] == ("bought", "embedded")
    assert block["weightings"] == ("latest", "sum")


def test_a_data_set_that_has_more_to_offer_admits_other_backbones(written):
    assert [*written(datasets=("embedded",)).components["backbones"]] == ["plain", "of-sessions"]


@pytest.mark.parametrize("name", ["a b", "", "-x", 'quote"', "../up"])
def test_a_name_that_no_suite_may_have_is_refused(registry, name):
    with pytest.raises(UsageError, match="a suite cannot be called"):
        new_suite_text(registry, NewSuite(name), "x.toml")


def test_an_unknown_component_is_refused_with_the_nearest_name(registry):
    with pytest.raises(UsageError, match="unknown weighting 'lerant'; did you mean 'learnt'"):
        new_suite_text(registry, NewSuite("mine", given={"weightings": ("lerant",)}), "x.toml")


def test_with_nothing_to_choose_from_it_is_said_which_option_names_it():
    with pytest.raises(UsageError, match="no data set is installed that needs no raw files; name one with --dataset"):
        new_suite_text(Registry(), NewSuite("mine"), "x.toml")


def test_names_of_any_characters_are_written_as_toml_reads_them(registry, written):
    odd = 'näme."with#quotes'
    registry.add("weighting", WeightingInfo(name=odd, target="a:B", summary=""), Origin("d", "1"))
    suite = written(weightings=(odd,))
    assert [component.plugin for component in suite.components["weightings"].values()] == [odd]
    assert suite.grid[0]["weightings"] == (odd,)
