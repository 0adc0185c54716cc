"""What ``--sample`` changes in a suite."""

from __future__ import annotations

import pytest

from rmtl_bench.contracts.errors import UsageError

SAMPLE = "[sample]\nseeds = 2"
VARIANT = ("[backbones.toy-needy]", '[backbones.toy-needy]\nplugin = "toy-logistic"\nlabel = "wide"')


def sampled(suite, addition, *changes):
    return suite(SAMPLE, f"{addition}\n{SAMPLE}", *changes, sample=True)


def test_a_sample_has_its_own_seeds_and_says_that_it_is_one(suite):
    toy = suite(sample=True)
    assert toy.seeds == 2
    assert toy.sample
    assert toy.title_line == "toy@1 (sample)"


def test_a_data_set_that_stands_in_is_noted_under_its_own_name(suite):
    toy = suite(sample=True)
    stands_in = toy.components["datasets"]["toy-sessions"]
    assert (stands_in.label, stands_in.parameters) == ("toy-small", {"rows": 600})
    assert stands_in.stands_in_for == "toy-sessions"
    assert toy.notes == ("toy-sessions: toy-small stands in for it",)


def test_without_sample_nothing_is_changed(suite):
    toy = suite()
    assert toy.components["datasets"]["toy-sessions"].parameters == {}
    assert toy.seeds == 3


def test_settings_of_the_trainer_are_changed_one_by_one(suite):
    toy = sampled(suite, "[sample.trainer]\nmax_epochs = 1")
    assert toy.trainer == {"batch_size": 128, "max_epochs": 1, "patience": 1, "learning_rate": 0.01}


def test_what_a_sample_leaves_alone_stays(suite):
    toy = suite(SAMPLE, "", sample=True)
    assert toy.seeds == 3
    assert toy.components["weightings"] == suite().components["weightings"]


def test_a_variant_of_a_plugin_stays_one_under_its_name(suite):
    toy = sampled(suite, "[sample.backbones.toy-needy]\nparameters = { width = 2 }", *VARIANT)
    small = toy.components["backbones"]["toy-needy"]
    assert (small.label, small.plugin, small.parameters) == ("wide", "toy-logistic", {"width": 2})
    assert toy.components["backbones"]["toy-logistic"].label == "toy-logistic"


def test_another_plugin_is_called_by_its_own_name(suite):
    toy = sampled(suite, '[sample.backbones.toy-needy]\nplugin = "toy-other"', *VARIANT)
    other = toy.components["backbones"]["toy-needy"]
    assert (other.label, other.plugin, other.stands_in_for) == ("toy-other", "toy-other", "")


def test_a_label_that_a_sample_gives_is_taken(suite):
    toy = sampled(suite, '[sample.backbones.toy-needy]\nplugin = "toy-other"\nlabel = "toy-needy"', *VARIANT)
    assert toy.components["backbones"]["toy-needy"].label == "toy-needy"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (SAMPLE, "[sample]\nseedz = 2", r"\[sample\]: unknown key 'seedz'; did you mean 'seeds'\?"),
        (SAMPLE, "[sample]\nseeds = 0", "parameter 'seeds' is 0"),
        (SAMPLE, "[sample]\nmetrics = []", r"\[sample\]: unknown key 'metrics'"),
        (
            "[sample.datasets.toy-sessions]",
            "[sample.datasets.toy-session]",
            "no 'toy-session' to stand in for; did you",
        ),
        ('label = "toy-small"', 'label = "toy/small"', r"sample.datasets.toy-sessions\]: 'label' is 'toy/small'"),
        ('label = "toy-small"', 'lable = "toy-small"', "unknown key 'lable'; did you mean 'label'"),
        (
            SAMPLE,
            f"[sample.trainer]\nbatch_size = 1\n[sample.backbones]\ntoy-needy = 1\n{SAMPLE}",
            "is 1; it has to be a",
        ),
    ],
)
def test_a_sample_that_cannot_be_is_refused(suite, old, new, said):
    with pytest.raises(UsageError, match=said):
        suite(old, new, sample=True)


def test_a_suite_without_a_sample_has_none(suite, toy_suite):
    whole = toy_suite.read_text("utf-8")
    with pytest.raises(UsageError, match=r"suite 'toy' declares no \[sample\]"):
        suite(whole[whole.index("[sample]") :], "", sample=True)


TWO = ("[datasets.toy-sessions]\n", '[datasets.toy-sessions]\n[datasets.more]\nplugin = "toy-sessions"\n')


@pytest.mark.parametrize("named", ["", 'datasets = ["more", "toy-sessions"]\n'])
def test_a_sample_may_do_without_a_data_set_and_says_so(named, suite):
    changes = (*TWO, '[[grid]]\nbackbones = ["toy-l', f'[[grid]]\n{named}backbones = ["toy-l')
    toy = suite(SAMPLE, f'{SAMPLE}\nwithout = ["more"]', *changes, sample=True)
    assert {block["datasets"] for block in toy.grid} == {("toy-sessions",)}
    assert toy.notes == ("toy-sessions: toy-small stands in for it", "more: left out of the sample")
    assert {block["datasets"] for block in suite(*changes).grid} >= {("toy-sessions", "more")} or named


def test_a_block_of_data_sets_that_are_left_out_is_left_out(suite):
    changes = (*TWO, '[[grid]]\nbackbones = ["toy-n', '[[grid]]\ndatasets = ["more"]\nbackbones = ["toy-n')
    toy = suite(SAMPLE, f'{SAMPLE}\nwithout = ["more"]', *changes, sample=True)
    assert [block["backbones"] for block in toy.grid] == [("toy-logistic",)]


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ('["mor"]', r"\[sample\]: no data set 'mor' to do without; did you mean 'more'\?"),
        ('"more"', r"\[sample\]: parameter 'without' is 'more'; it takes a list of texts"),
        ('["more", "toy-sessions"]', r"\[sample\]: without more, toy-sessions nothing of the grid is left"),
    ],
)
def test_a_sample_cannot_do_without_what_is_not_there_or_without_everything(without, said, suite):
    with pytest.raises(UsageError, match=said):
        suite(SAMPLE, f"{SAMPLE}\nwithout = {without}", *TWO, sample=True)
