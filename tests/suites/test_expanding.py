from __future__ import annotations

import pytest

from rmtl_bench.contracts.errors import DataError, UsageError
from rmtl_bench.suites import Plan, expand

TWO_DATASETS = ("[datasets.toy-sessions]\n", '[datasets.toy-sessions]\n[datasets.more]\nplugin = "toy-sessions"\n')
SWAPPED = ('["toy-equal", "toy-mgda"]', '["toy-mgda", "toy-equal"]')
BLOCK = '[[grid]]\nbackbones = ["toy-logistic"]\nweightings = ["toy-equal", "toy-mgda"]\n'


@pytest.fixture
def planned(suite, registry):
    """The plan of the toy suite with some texts replaced."""

    def make(*changes, fingerprint=lambda component: "f" * 16, sample=False) -> Plan:
        return expand(suite(*changes, sample=sample), registry, fingerprint)

    return make


def labels(plan):
    return [cell.label for cell in plan.cells]


def ids(plan):
    return {cell.label: cell.run_id for cell in plan.cells}


def test_the_cells_go_seed_by_seed(planned):
    combinations = ["toy-sessions/toy-logistic/toy-equal", "toy-sessions/toy-logistic/toy-mgda"]
    assert labels(planned()) == [f"{c}/{seed}" for seed in range(3) for c in combinations]


def test_within_a_seed_they_go_block_by_block_and_data_set_by_data_set(planned):
    found = labels(planned(*TWO_DATASETS, "seeds = 3", "seeds = 1", *SWAPPED))
    assert found == [
        "toy-sessions/toy-logistic/toy-mgda/0",
        "toy-sessions/toy-logistic/toy-equal/0",
        "more/toy-logistic/toy-mgda/0",
        "more/toy-logistic/toy-equal/0",
    ]


def test_a_combination_that_stands_twice_is_run_once(planned):
    assert labels(planned(BLOCK, BLOCK + BLOCK)) == labels(planned())


def test_what_cannot_go_together_is_skipped_once_and_says_why(planned):
    (skipped,) = planned().skipped
    assert skipped.label == "toy-sessions/toy-needy/toy-equal"
    assert skipped.reason == "backbone 'toy-needy' requires 'moonlight', which nothing here provides"


def test_what_one_part_requires_another_may_provide(planned):
    """The gradients' weighting needs shared parameters, which the toy backbone provides and the needy one does not."""
    plan = planned('weightings = ["toy-equal"]', 'weightings = ["toy-mgda"]')
    (skipped,) = plan.skipped
    assert "backbone 'toy-needy' requires 'moonlight'" in skipped.reason
    assert "weighting 'toy-mgda' requires 'shared-parameters'" in skipped.reason
    assert any("toy-logistic/toy-mgda" in label for label in labels(plan))


@pytest.mark.parametrize(("scope", "lack"), [("representation", "shared-representation"), ("all", "")])
def test_what_a_part_requires_may_depend_on_a_parameter(scope, lack, planned):
    plan = planned("[weightings.toy-mgda]", f'[weightings.toy-mgda]\nparameters = {{ scope = "{scope}" }}')
    reasons = [skipped.reason for skipped in plan.skipped if skipped.label.endswith("toy-logistic/toy-mgda")]
    assert reasons == ([f"weighting 'toy-mgda' requires {lack!r}, which nothing here provides"] if lack else [])


def test_a_cell_holds_every_parameter_and_where_each_part_came_from(planned):
    cell = planned().cells[0]
    assert cell.backbone.parameters == {"width": 4}
    assert cell.weighting.parameters == {"behaviour": "learn", "flag": ""}
    assert cell.dataset.distribution == "toy_plugin.py"
    assert cell.trainer["batch_size"] == 128
    assert cell.trainer["evaluation_batch_size"] == 8192
    assert (cell.fingerprint, cell.metrics, cell.seed) == ("f" * 16, ("auc", "logloss", "session-logloss"), 0)


def test_runs_are_the_same_when_planned_again(planned):
    assert ids(planned()) == ids(planned())
    assert len(set(ids(planned()).values())) == 6


def test_a_run_is_the_same_whatever_a_suite_calls_its_parts(planned):
    renamed = planned(
        "[backbones.toy-logistic]",
        '[backbones.plain]\nplugin = "toy-logistic"\nlabel = "lr"',
        'backbones = ["toy-logistic"]',
        'backbones = ["plain"]',
        "[datasets.toy-sessions]\n",
        '[datasets.toy-sessions]\nlabel = "other data"\n',
    )
    assert labels(renamed)[0] == "other data/lr/toy-equal/0"
    assert [c.run_id for c in renamed.cells] == [c.run_id for c in planned().cells]


@pytest.mark.parametrize(
    "change",
    [
        SWAPPED,
        ('name = "toy"', 'name = "other"'),
        ("version = 1", "version = 2"),
        ('reference = "*/toy-equal"', 'reference = "*/toy-mgda"'),
        ("patience = 1", "patience = 1\nevaluation_batch_size = 8192"),
        ("[backbones.toy-logistic]", "[backbones.toy-logistic]\nparameters = { width = 4 }"),
    ],
)
def test_a_run_is_the_same_under_what_decides_no_number(planned, change):
    assert ids(planned(*change)) == ids(planned())


def test_a_run_is_the_same_with_more_seeds(planned):
    assert ids(planned()).items() < ids(planned("seeds = 3", "seeds = 4")).items()


@pytest.mark.parametrize(
    "change",
    [
        ("learning_rate = 0.01", "learning_rate = 0.02"),
        ("[backbones.toy-logistic]", "[backbones.toy-logistic]\nparameters = { width = 5 }"),
        ("[datasets.toy-sessions]\n", "[datasets.toy-sessions]\nparameters = { rows = 1500 }\n"),
        ('"session-logloss"]', '"ece"]'),
    ],
)
def test_a_run_is_another_under_what_decides_its_numbers(planned, change):
    before, after = ids(planned()), ids(planned(*change))
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())


def test_a_run_is_another_on_other_data(planned):
    before, after = ids(planned()), ids(planned(fingerprint=lambda component: "0" * 16))
    assert not set(before.values()) & set(after.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("learning_rate", "learning_rat"),
            "trainer has no parameter 'learning_rat', given as 0.01; did you mean 'learning_rate'?",
        ),
        (
            ("max_epochs = 2", "max_epochs = 0"),
            "trainer: parameter 'max_epochs' is 0; it takes a whole number of at least 1",
        ),
        (("session-logloss", "session-loss"), "unknown metric 'session-loss'; did you mean 'session-logloss'?"),
        (("toy-needy", "toy-greedy"), "unknown backbone 'toy-greedy'; did you mean 'toy-needy'?"),
        (("toy-mgda", "toy-mgd"), "unknown weighting 'toy-mgd'; did you mean 'toy-mgda'?"),
        (("toy-sessions", "toy-session"), "unknown dataset 'toy-session'; did you mean 'toy-sessions'?"),
        (
            ("[backbones.toy-logistic]", "[backbones.toy-logistic]\nparameters = { widht = 4 }"),
            "backbone 'toy-logistic' has no parameter 'widht', given as 4; did you mean 'width'?",
        ),
        (
            ("[weightings.toy-equal]", '[weightings.toy-equal]\nparameters = { behaviour = "rest" }'),
            "weighting 'toy-equal': parameter 'behaviour' is 'rest'; it takes one of 'learn'",
        ),
    ],
)
def test_what_a_suite_names_wrongly_is_refused_before_any_data_are_looked_at(planned, change, said):
    looked_at = []
    with pytest.raises(UsageError) as error:
        planned(*change, fingerprint=looked_at.append)
    assert str(error.value).startswith(said)
    assert looked_at == []


def test_a_component_that_no_grid_names_need_not_exist(planned):
    assert labels(planned("[backbones.toy-needy]", "[backbones.toy-needy]\n[backbones.of-tomorrow]")) == labels(
        planned()
    )


def test_missing_data_are_named_all_at_once(planned):
    def missing(component):
        raise DataError(f"no files of {component.label}")

    with pytest.raises(DataError) as error:
        planned(*TWO_DATASETS, fingerprint=missing)
    assert str(error.value).splitlines() == ["no files of more", "no files of toy-sessions"]


def test_every_data_set_is_fingerprinted_once(planned):
    seen = []
    planned(*TWO_DATASETS, fingerprint=lambda component: seen.append(component.label) or component.label)
    assert sorted(seen) == ["more", "toy-sessions"]


def test_a_sample_is_planned_on_the_data_that_stand_in(planned):
    plan = planned(sample=True)
    assert labels(plan)[0] == "toy-small/toy-logistic/toy-equal/0"
    assert {cell.seed for cell in plan.cells} == {0, 1}
    assert not set(ids(plan).values()) & set(ids(planned()).values())


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        ((), {"toy-equal", "toy-mgda"}),
        (("*",), {"toy-equal", "toy-mgda"}),
        (("*/toy-mgda",), {"toy-mgda"}),
        (("toy-sessions/*/toy-equal",), {"toy-equal"}),
        (("*/toy-mgda", "*/*/toy-mgda", "*equal"), {"toy-equal", "toy-mgda"}),
    ],
)
def test_a_plan_is_narrowed_by_patterns(planned, patterns, kept):
    plan = planned()
    found = plan.only(patterns)
    assert {cell.weighting.label for cell in found} == kept
    assert [cell for cell in plan.cells if cell.weighting.label in kept] == list(found)


@pytest.mark.parametrize("pattern", ["toy-mgda", "*/toy-mgda/0", "*/TOY-MGDA", "*/toy-needy/*", ""])
def test_a_pattern_that_matches_no_cell_is_refused_with_an_example(planned, pattern):
    with pytest.raises(UsageError) as error:
        planned().only(["*/toy-equal", pattern])
    said = f"--only {pattern!r} matches no cell; a cell is called like 'toy-sessions/toy-logistic/toy-equal'"
    assert str(error.value) == said


def test_a_plan_without_cells_says_what_a_cell_is_called_like(planned):
    plan = planned(BLOCK, "")
    assert plan.cells == ()
    assert plan.only([]) == ()
    with pytest.raises(UsageError, match="called like 'dataset/backbone/weighting'"):
        plan.only(["*"])


def test_shuffling_by_blocks_makes_other_runs_and_naming_the_default_does_not(planned):
    plain = ids(planned())
    assert ids(planned("[trainer]", '[trainer]\nshuffle = "rows"')) == plain
    by_blocks = ids(planned("[trainer]", '[trainer]\nshuffle = "blocks"'))
    smaller = ids(planned("[trainer]", '[trainer]\nshuffle = "blocks"\nshuffle_window = 8'))
    assert by_blocks.keys() == plain.keys()
    assert len({*plain.values(), *by_blocks.values(), *smaller.values()}) == 3 * len(plain)
