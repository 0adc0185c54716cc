from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module, resources
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from rmtl_bench.contracts import Dataset, UsageError
from rmtl_bench_datasets import plugin
from rmtl_bench_datasets.kuairand import SIGNALS
from rmtl_bench_datasets.plugin import rmtl_datasets

INFOS = {info.name: info for info in rmtl_datasets()}
OURS = ["kuairand-pure", "kuairand-1k", "kuairand-27k", "kuairand-pure-sample", "retailrocket", "simulated"]
NAMES = [*OURS, "aliexpress", "ali-ccp", "census-income", "movielens-1m"]


def load(name: str) -> type[Dataset]:
    module, _, target = INFOS[name].target.partition(":")
    found = getattr(import_module(module), target)
    assert issubclass(found, Dataset)
    return found


def test_listing_imports_neither_torch_nor_duckdb():
    code = (
        "import sys; from rmtl_bench_datasets.plugin import rmtl_datasets; "
        "print(*[i.name for i in rmtl_datasets()]); assert not {'torch', 'duckdb', 'numpy', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == NAMES


def test_the_catalogue_is_found_through_its_entry_point():
    (entry,) = (entry for entry in entry_points(group="rmtl_bench") if entry.value == "rmtl_bench_datasets.plugin")
    assert entry.load() is plugin


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_the_constructors_with_the_same_defaults(name):
    constructor = inspect.signature(load(name)).parameters
    assert {key: parameter.default for key, parameter in INFOS[name].parameters.items()} == {
        key: parameter.default for key, parameter in constructor.items()
    }
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in constructor.values())


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_accepted_by_catalogue_and_constructor(name):
    info = INFOS[name]
    given = {key: parameter.default for key, parameter in info.parameters.items()}
    assert load(name)(**info.resolve(given))


def test_the_signals_spelt_out_are_those_of_the_module():
    assert tuple(SIGNALS) == plugin._SIGNALS


def test_capabilities_say_what_can_go_together():
    assert {name for name, info in INFOS.items() if "sessions" not in info.provides} == {"ali-ccp", "census-income"}
    assert [name for name, info in INFOS.items() if "parent-task" not in info.provides] == ["census-income"]
    assert [name for name, info in INFOS.items() if "optimum" in info.provides] == ["simulated"]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("kuairand-pure", {"tasks": ["buy"]}),
        ("kuairand-1k", {"sessions": "month"}),
        ("kuairand-pure-sample", {"users": 0.0}),
        ("kuairand-pure", {"min_count": 0}),
        ("retailrocket", {"sessions": "week"}),
        ("retailrocket", {"gap_minutes": -1.0}),
        ("retailrocket", {"min_session_rows": 0}),
        ("simulated", {"rows": 10}),
        ("simulated", {"tasks": 0}),
        ("simulated", {"conflict": 1.5}),
        ("simulated", {"sessions": "week"}),
        ("simulated", {"session_length": 0.5}),
    ],
)
def test_impossible_values_are_refused_by_the_catalogue(name, given):
    with pytest.raises(UsageError, match=next(iter(given))):
        INFOS[name].resolve(given)


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_says_its_licence_its_size_and_where_raw_files_come_from(name):
    info = INFOS[name]
    assert info.licence
    assert info.size
    assert (info.source is None) == (name in ("simulated", "kuairand-pure-sample"))
    if info.source:
        assert info.source.homepage.startswith("https://")
        assert info.source.downloads or info.source.kaggle or info.source.steps


def test_parameters_that_came_later_leave_the_identity_as_it_was():
    assert set(INFOS["kuairand-1k"].resolve({})) == {"tasks", "sessions", "gap_minutes", "split", "users", "min_count"}
    assert INFOS["kuairand-1k"].resolve({"at_boundary": "drop"})["at_boundary"] == "drop"


def test_the_package_is_typed():
    assert resources.files("rmtl_bench_datasets").joinpath("py.typed").is_file()


def test_the_embedded_sample_is_gzipped_and_at_most_6_mb():
    folder = resources.files("rmtl_bench_datasets").joinpath("embedded", "kuairand-pure")
    sizes = {item.name: len(item.read_bytes()) for item in folder.iterdir()}
    assert sorted(sizes) == [
        "ATTRIBUTION.md",
        "log_standard_4_22_to_5_08_pure.csv.gz",
        "user_features_pure.csv.gz",
        "video_features_basic_pure.csv.gz",
    ]
    assert sum(sizes.values()) <= 6_000_000


@pytest.mark.parametrize(
    "needed", ["CC BY-SA 4.0", "creativecommons.org/licenses/by-sa/4.0/", "Chongming", "10439422", "What was changed"]
)
def test_the_embedded_sample_names_licence_authors_source_and_changes(needed):
    folder = resources.files("rmtl_bench_datasets").joinpath("embedded", "kuairand-pure")
    assert needed in folder.joinpath("ATTRIBUTION.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_has_every_data_set_with_its_parameters(name):
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in text
    assert [key for key in INFOS[name].parameters if f"`{key}`" not in text] == []
