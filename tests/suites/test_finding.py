from __future__ import annotations

from pathlib import Path

import pytest

from rmtl_bench.contracts.errors import PluginError, UsageError
from rmtl_bench.plugins import Registry, load_plugins
from rmtl_bench.plugins.registry import Origin
from rmtl_bench.suites import find_suite, list_suites, read_suite

OURS, THEIRS = Origin("ours", "1.0"), Origin("theirs", "2.1")


@pytest.fixture
def ship(tmp_path):
    """Return a registry with suite files of the given heads, each with its origin."""

    def make(*shipped):
        registry = Registry()
        for number, (head, origin) in enumerate(shipped):
            path = tmp_path / f"{number}.toml"
            path.write_text(head)
            registry.suites.append((path, origin))
        return registry

    return make


def head(name, version=None):
    return f'name = "{name}"\n' + (f"version = {version}\n" if version is not None else "")


def test_a_suite_is_found_by_name_in_its_highest_version(ship):
    registry = ship(
        (head("paper", 2), OURS), (head("paper", 10), OURS), (head("paper", 9), THEIRS), (head("toy"), OURS)
    )
    assert find_suite(registry, "paper").name == "1.toml"
    assert find_suite(registry, "paper@2").name == "0.toml"
    assert find_suite(registry, "paper@9").name == "2.toml"


def test_a_suite_that_states_no_version_is_its_first(ship):
    registry = ship((head("toy"), OURS))
    assert find_suite(registry, "toy") == find_suite(registry, "toy@1")
    assert list_suites(registry)[0][2]["version"] == 1


def test_a_path_is_taken_as_it_is(ship):
    assert find_suite(ship(), "some/where.toml") == Path("some/where.toml")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("papr", "unknown suite 'papr'; did you mean 'paper'?"),
        ("paper@3", "unknown suite 'paper@3'; did you mean 'paper@2' or 'paper@1'"),
        ("else", "unknown suite 'else'; known: control, paper"),
    ],
)
def test_an_unknown_suite_is_refused_with_the_nearest(ship, wanted, said):
    registry = ship((head("paper", 1), OURS), (head("paper", 2), OURS), (head("control", 1), OURS))
    with pytest.raises(UsageError) as error:
        find_suite(registry, wanted)
    assert str(error.value).startswith(said)


def test_without_any_suite_a_missing_plugin_is_suspected(ship):
    with pytest.raises(UsageError, match="is a plugin missing"):
        find_suite(ship(), "paper")


@pytest.mark.parametrize("wanted", ["paper", "paper@1"])
def test_a_suite_of_two_distributions_is_refused_with_both(ship, wanted):
    registry = ship((head("paper", 1), OURS), (head("paper", 1), THEIRS))
    with pytest.raises(PluginError, match=rf"suite '{wanted}' is claimed by ours 1\.0 and theirs 2\.1"):
        find_suite(registry, wanted)


def test_a_newer_version_of_one_distribution_settles_it(ship):
    registry = ship((head("paper", 1), OURS), (head("paper", 1), THEIRS), (head("paper", 2), THEIRS))
    assert find_suite(registry, "paper").name == "2.toml"


def test_a_broken_file_is_listed_with_its_reason_and_hides_no_other(ship):
    registry = ship(("name = ", OURS), (head("paper", 1), THEIRS))
    registry.suites.append((Path("gone.toml"), OURS))
    assert find_suite(registry, "paper").name == "1.toml"
    titles = {found["name"]: found["title"] for _, _, found in list_suites(registry)}
    assert titles["0"].startswith("cannot be read: ")
    assert "No such file" in titles["gone"]
    with pytest.raises(UsageError, match=r"gone\.toml cannot be read"):
        read_suite(find_suite(registry, "gone"))


def test_a_version_that_is_none_is_left_to_the_reading(ship):
    registry = ship((head("paper", '"two"'), OURS), (head("paper", 1), OURS))
    assert find_suite(registry, "paper").name == "1.toml"
    assert len(list_suites(registry)) == 2


def test_suites_are_listed_by_name_and_version_with_their_origin(ship):
    registry = ship((head("b", 10), OURS), (head("b", 9), THEIRS), (head("a", 1), OURS))
    listed = [(found["name"], found["version"], origin.distribution) for _, origin, found in list_suites(registry)]
    assert listed == [("a", 1, "ours"), ("b", 9, "theirs"), ("b", 10, "ours")]


def test_suites_come_with_installed_distributions(fake_distribution, monkeypatch, toy_suite):
    code = f"from rmtl_bench import hookimpl\n@hookimpl\ndef rmtl_suites(): return [{str(toy_suite)!r}]"
    for name in ("first-suites", "second-suites"):
        site = fake_distribution(name, code)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("RMTL_BENCH_LOAD_PLUGINS", "first-suites")
    assert find_suite(load_plugins().registry, "toy") == toy_suite
    monkeypatch.setenv("RMTL_BENCH_LOAD_PLUGINS", "first-suites,second-suites")
    with pytest.raises(PluginError, match=r"first-suites 1\.0 and second-suites 1\.0"):
        find_suite(load_plugins().registry, "toy")
