from __future__ import annotations

import pytest

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.suites import read_suite

GRID = """[[grid]]
backbones = ["toy-logistic"]
weightings = ["toy-equal", "toy-mgda"]

[[grid]]
backbones = ["toy-needy"]
weightings = ["toy-equal"]
"""


def refusal(path, **options):
    with pytest.raises(UsageError) as error:
        read_suite(path, **options)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_a_suite_is_read_as_it_is_written(suite):
    toy = suite()
    assert (toy.name, toy.version, toy.seeds, toy.title_line) == ("toy", 1, 3, "toy@1")
    assert toy.metrics == ("auc", "logloss", "session-logloss")
    assert toy.trainer == {"batch_size": 128, "max_epochs": 2, "patience": 1, "learning_rate": 0.01}
    assert [block["weightings"] for block in toy.grid] == [("toy-equal", "toy-mgda"), ("toy-equal",)]
    assert toy.statistics["equivalence"] == {"auc": 0.001, "logloss": "0.1%"}
    (family,) = toy.statistics["comparisons"]
    assert family["name"] == "gradients against the sum"
    assert (family["candidates"], family["references"]) == (("*/toy-mgda",), ("*/toy-equal",))
    assert family["control"] is False
    assert not toy.sample
    assert toy.has_sample
    assert toy.notes == ()


def test_a_suite_needs_little(tmp_path):
    path = tmp_path / "least.toml"
    path.write_text('name = "least"\n[datasets.d]\n[backbones.b]\n[weightings.w]\n[[grid]]\n' + _names("b", "w"))
    least = read_suite(path)
    assert (least.version, least.seeds, least.metrics) == (1, 5, ("auc", "logloss"))
    assert least.statistics == {
        "reference": "*/fixed",
        "scope": "same-backbone",
        "delta_m": "",
        "headline": (),
        "equivalence": {},
        "comparisons": [],
    }


def _names(backbone, weighting):
    return f'backbones = ["{backbone}"]\nweightings = ["{weighting}"]\n'


def test_a_block_that_names_no_data_set_means_all_of_them(suite):
    both = suite("[datasets.toy-sessions]\n", "[datasets.toy-sessions]\n[datasets.other]\n")
    assert all(block["datasets"] == ("toy-sessions", "other") for block in both.grid)
    one = suite(
        "[datasets.toy-sessions]\n",
        "[datasets.toy-sessions]\n[datasets.other]\n",
        'backbones = ["toy-needy"]',
        'backbones = ["toy-needy"]\ndatasets = ["other"]',
    )
    assert one.grid[1]["datasets"] == ("other",)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seeds = 3", "seedz = 3", "unknown key 'seedz'; did you mean 'seeds'?"),
        ("[trainer]", "[trainr]", "unknown key 'trainr'; did you mean 'trainer'?"),
        ("[datasets.toy-sessions]\n", "[datasets.toy-sessions]\nplugn = 'x'\n", "'plugn'; did you mean 'plugin'?"),
        (
            'reference = "*/',
            'referense = "*/',
            "no parameter 'referense', given as '*/toy-equal'; did you mean 'reference'?",
        ),
        (
            'candidates = ["',
            'candidate = ["',
            "no parameter 'candidate', given as ['*/toy-mgda']; did you mean 'candidates'?",
        ),
        (
            'backbones = ["toy-needy"]',
            'backbone = ["toy-needy"]',
            "no parameter 'backbone', given as ['toy-needy']; did you mean 'backbones'?",
        ),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(edited, old, new, said):
    text = refusal(edited(old, new))
    assert "edited.toml" in text
    assert said in text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (GRID, "", "edited.toml has no 'grid'"),
        ('name = "toy"', "", "edited.toml has no 'name'"),
        ('backbones = ["toy-needy"]', "", "[[grid]]: no backbones are named"),
        ('backbones = ["toy-needy"]', "backbones = []", "[[grid]]: no backbones are named"),
        ("[datasets.toy-sessions]\n", "", "[[grid]]: no datasets are named"),
        ('["toy-needy"]', '["toy-needs"]', "there is no [backbones.toy-needs]; did you mean 'toy-needy'?"),
        ('"toy-mgda"]\n\n[[grid', '"toy-mgd"]\n\n[[grid', "there is no [weightings.toy-mgd]; did you mean 'toy-mgda'?"),
        (
            'backbones = ["toy-needy"]',
            'backbones = ["toy-needy"]\ndatasets = ["nowhere"]',
            "there is no [datasets.nowhere]; known: toy-sessions",
        ),
    ],
)
def test_a_grid_names_what_is_declared(edited, old, new, said):
    assert said in refusal(edited(old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seeds = 3", 'seeds = "3"', "parameter 'seeds' is '3'; it takes a whole number"),
        ("seeds = 3", "seeds = 0", "parameter 'seeds' is 0; it takes a whole number from 1 to 10000"),
        ("version = 1", "version = 1.0", "parameter 'version' is 1.0; it takes a whole number"),
        ("schema = 1", "schema = 2", "parameter 'schema' is 2; it takes one of 1"),
        ('metrics = ["auc", "logloss", "session-logloss"]', 'metrics = "auc"', "it takes a list of texts"),
        ("[trainer]", "trainer = 3\n[sample.trainer]", "[trainer] is 3; it has to be a table"),
        ("[datasets.toy-sessions]\n", "[datasets]\ntoy-sessions = 3\n", "[datasets.toy-sessions] is 3; it has to be"),
        (
            "[backbones.toy-needy]",
            "[backbones.toy-needy]\nparameters = [1]",
            "[parameters] is [1]; it has to be a table",
        ),
        ("[backbones.toy-needy]", "[backbones.toy-needy]\nplugin = 3", "'plugin' is 3; it has to be a name"),
        ("[backbones.toy-needy]", '[backbones.toy-needy]\nlabel = "a/b"', "'label' is 'a/b'; it has to be a name"),
        ("[backbones.toy-needy]", '[backbones.toy-needy]\nlabel = ""', "'label' is ''; it has to be a name"),
        (GRID, "[grid]\nbackbones = []", "'grid' has to be written as [[grid]]"),
        ("[[comparisons]]", "[comparisons]", "'comparisons' has to be written as [[comparisons]]"),
        ("weightings = [", "weightings = [3, ", "parameter 'weightings' is [3, "),
    ],
)
def test_a_value_of_another_type_is_refused(edited, old, new, said):
    assert said in refusal(edited(old, new))


@pytest.mark.parametrize("key", ["grid", "comparisons"])
def test_a_list_that_holds_no_tables_is_refused(edited, key):
    grid = "" if key == "grid" else GRID
    path = edited(GRID, grid, "[[comparisons]]", "[sample.trainer]", "seeds = 3", f"seeds = 3\n{key} = [1]")
    assert f"{key!r} has to be written as [[{key}]]" in refusal(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'name = "gradients',
            'scope = "same"\nname = "gradients',
            "parameter 'scope' is 'same'; it takes one of 'same-b",
        ),
        ('reference = "*/', 'scope = "none"\nreference = "*/', "[statistics]: parameter 'scope' is 'none'"),
        ("auc = 0.001", "auc = 0", "equivalence of 'auc' is 0; it takes 0.001"),
        ("auc = 0.001", "auc = -1.5", "equivalence of 'auc' is -1.5"),
        ("auc = 0.001", "auc = true", "equivalence of 'auc' is True"),
        ("auc = 0.001", "auc = inf", "equivalence of 'auc' is inf"),
        ("auc = 0.001", "auc = nan", "equivalence of 'auc' is nan"),
        ("auc = 0.001", 'auc = "0.001"', "equivalence of 'auc' is '0.001'"),
        ("auc = 0.001", 'auc = "-1%"', "equivalence of 'auc' is '-1%'"),
        ("auc = 0.001", 'auc = "%"', "equivalence of 'auc' is '%'"),
        ("auc = 0.001", 'auc = "inf%"', "equivalence of 'auc' is 'inf%'"),
        ("auc = 0.001", "acu = 0.001", "no metric 'acu' in this suite; did you mean 'auc'?"),
        ("{ auc = 0.001", "0.001 # {", "[equivalence] is 0.001; it has to be a table"),
        ("equivalence =", 'headline = ["acu"]\nequivalence =', "no metric 'acu' in this suite; did you mean 'auc'?"),
        ("equivalence =", 'headline = "auc"\nequivalence =', "parameter 'headline' is 'auc'; it takes a list of texts"),
    ],
)
def test_statistics_that_mean_nothing_are_refused(edited, old, new, said):
    assert said in refusal(edited(old, new))


def test_a_family_may_be_the_control_of_its_candidates(suite, edited):
    (family,) = suite('name = "gradients', 'control = true\nname = "gradients').statistics["comparisons"]
    assert family["control"] is True
    path = edited('name = "gradients', 'control = "yes"\nname = "gradients')
    assert "[[comparisons]]: parameter 'control' is 'yes'; it takes true or false" in refusal(path)


def test_a_gap_to_the_optimum_may_be_in_the_headline_and_have_a_region(suite):
    toy = suite("equivalence = {", 'headline = ["logloss-gap"]\nequivalence = { auc-gap = 1,')
    assert toy.statistics["headline"] == ("logloss-gap",)
    assert toy.statistics["equivalence"]["auc-gap"] == 1


@pytest.mark.parametrize("content", [b"seeds = ", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_file_that_is_no_toml_is_refused_with_its_path(tmp_path, content):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    assert f"suite file {path} cannot be read" in refusal(path)


def test_a_file_that_is_missing_is_refused_with_its_path(tmp_path):
    assert "nowhere.toml cannot be read" in refusal(tmp_path / "nowhere.toml")


def test_two_components_of_one_label_are_refused(edited):
    path = edited("[backbones.toy-needy]", '[backbones.toy-needy]\nlabel = "toy-logistic"')
    assert "two backbones are called 'toy-logistic'; give one a 'label'" in refusal(path)


def test_a_component_can_be_a_variant_of_a_plugin_under_its_own_name(suite):
    toy = suite("[backbones.toy-needy]", '[backbones.toy-needy]\nplugin = "toy-logistic"\nparameters = { width = 2 }')
    wide = toy.components["backbones"]["toy-needy"]
    assert (wide.label, wide.plugin, wide.parameters) == ("toy-needy", "toy-logistic", {"width": 2})


def test_the_digest_is_of_the_files_content(suite):
    assert suite().digest == suite(sample=True).digest
    assert suite().digest != suite("[trainer]", "# a remark\n[trainer]").digest
    assert len(suite().digest) == 16
