from __future__ import annotations

import pytest

from rmtl_bench import BackboneInfo, DatasetInfo, MetricInfo, WeightingInfo
from rmtl_bench.plugins import Origin, Registry
from rmtl_bench.report.suite_check import check_plan
from rmtl_bench.store import Store, StoredPlan, save_plan
from rmtl_bench.suites import expand, read_suite

TEXT = """
name = "mine"
seeds = {seeds}
[datasets.logs]
[backbones.net]
[weightings.even]
[weightings.odd]
[weightings.needy]
[[grid]]
backbones = ["net"]
weightings = ["even", "odd"]
[statistics]
"""


@pytest.fixture
def registry():
    registry = Registry()
    needs = frozenset({"moon"})
    for info in (
        DatasetInfo(name="logs", target="a:B", summary=""),
        BackboneInfo(name="net", target="a:B", summary=""),
        WeightingInfo(name="even", target="a:B", summary=""),
        WeightingInfo(name="odd", target="a:B", summary=""),
        WeightingInfo(name="needy", target="a:B", summary="", requires=needs),
    ):
        registry.add(info.kind, info, Origin("d", "1"))
    for name in ("auc", "logloss"):
        metric = MetricInfo(name=name, target="a:b", summary="", higher_is_better=name == "auc")
        registry.add("metric", metric, Origin("d", "1"))
    return registry


@pytest.fixture
def checked(registry, tmp_path):
    def check(statistics='reference = "*/even"', seeds=10, text=TEXT, store=None, missing=None):
        path = tmp_path / "mine.toml"
        path.write_text(text.format(seeds=seeds) + statistics)
        plan = expand(read_suite(path), registry, lambda component: "f" * 16)
        return check_plan(plan, missing or {}, registry, store)

    return check


UNUSED = "[weightings.needy] stands in no [[grid]]"


def test_sizes_are_those_of_the_grid(checked):
    found = checked()
    assert (found.title, found.combinations, found.seeds, found.cells, found.runs) == ("mine@1", 2, 10, 20, 20)
    assert found.warnings == (UNUSED,)
    assert found.published == ""


def test_a_run_that_stands_in_the_grid_twice_is_one_run(checked):
    again = TEXT.replace("[weightings.needy]", '[weightings.again]\nplugin = "even"')
    found = checked(text=again.replace('["even", "odd"]', '["even", "again"]'), seeds=3)
    assert (found.cells, found.runs) == (6, 3)


def test_what_will_be_skipped_is_said_with_its_reason(checked):
    found = checked(text=TEXT.replace('"odd"]', '"odd", "needy"]'))
    reason = "weighting 'needy' requires 'moon', which nothing here provides"
    assert found.warnings == (f"logs/net/needy will be skipped: {reason}",)


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (1, "1 seeds are too few: below 3 every verdict is 'n too small'"),
        # One comparison: 2 / 2^5 is more than 0.05, 2 / 2^6 is not.
        (5, "the reference: 5 seeds are too few for an exact test: 1 comparisons a task and metric take 6 or more"),
        (6, ""),
    ],
)
def test_seeds_that_no_exact_test_can_use_are_said(checked, seeds, said):
    found = [warning for warning in checked(seeds=seeds).warnings if warning != UNUSED]
    assert [warning[: len(said)] for warning in found] == ([said] if said else [])


@pytest.mark.parametrize(
    ("statistics", "said"),
    [
        ('reference = "*/evne"', "the reference: '*/evne' matches no method of the suite"),
        (
            'reference = "net/even"\nscope = "same-weighting"',
            "the reference: nothing is compared within scope 'same-weighting'",
        ),
        ('reference = "*/even"\ndelta_m = "net/none"', "delta_m is 'net/none', which is no method of the suite"),
        (
            'reference = "even"',
            "every table of it will be refused: family 'reference': 'even' is not of the form backbone/weighting",
        ),
        (
            'reference = "*/even"\n[[comparisons]]\nname = "x"\ncandidates = ["*/odd"]\nreferences = ["none/*"]',
            "comparisons 'x': 'none/*' matches no method of the suite",
        ),
    ],
)
def test_comparisons_of_nothing_are_said(checked, statistics, said):
    assert [warning for warning in checked(statistics).warnings if warning != UNUSED] == [said]


def test_missing_data_are_said_with_what_to_type(checked):
    missing = {"logs": "logs: raw files are missing:\n  /data/logs.csv\n  type: rmtl-bench data fetch logs"}
    said = "logs cannot be run here yet: logs: raw files are missing; type: rmtl-bench data fetch logs"
    assert said in checked(missing=missing).warnings


def test_a_suite_that_has_run_with_other_contents_is_published(checked, tmp_path):
    store = Store.open(tmp_path / "store")
    assert checked(store=store).published == ""
    save_plan(store, StoredPlan("mine", 1, "0" * 16, ()))
    said = checked(store=store).published
    assert said.startswith(f"mine@1 has run in {store.path} with other contents (digest 0000000000000000, now ")
    assert said.endswith("a suite never changes once it has run: raise its version")
    assert checked(store=store, text="version = 2\n" + TEXT).published == ""


def test_the_name_of_an_installed_suite_is_said_to_be_taken(checked, registry, tmp_path):
    installed = tmp_path / "installed.toml"
    installed.write_text(TEXT.format(seeds=3))
    registry.suites.append((installed, Origin("their-suites", "2.0")))
    said = "mine@1 is what their-suites 2.0 calls another suite: raise the version, or take another name"
    assert said in checked().warnings
    installed.write_text((tmp_path / "mine.toml").read_text())
    assert said not in checked().warnings
