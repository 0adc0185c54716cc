from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rmtl_bench.contracts.errors import PluginError, UsageError
from rmtl_bench.plugins import load_plugins

BACKBONE = """
from rmtl_bench import BackboneInfo, hookimpl
@hookimpl
def rmtl_backbones():
    return [BackboneInfo(name="{name}", target="nowhere:Nothing", summary="")]
"""
Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    for switch in ("LOAD", "DISABLE", "STRICT"):
        monkeypatch.delenv(f"RMTL_BENCH_{switch}_PLUGINS", raising=False)


@pytest.fixture
def install(fake_distribution: Make, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def make(name: str, code: str, **more: str) -> None:
        monkeypatch.syspath_prepend(str(fake_distribution(name, code, **more)))
        monkeypatch.delitem(sys.modules, name.replace("-", "_"), raising=False)

    return make


def plugin_named(name: str):
    return next(p for p in load_plugins().plugins if p.name == name)


def test_a_plugin_that_raises_on_import_is_listed_as_broken_and_the_rest_works(install) -> None:
    install("broken-one", "raise ImportError('no such luck')")
    install("good-one", BACKBONE.format(name="good"))
    host = load_plugins()
    broken = next(p for p in host.plugins if p.name == "broken-one")
    assert "no such luck" in broken.error
    assert "Traceback" in broken.traceback
    assert host.registry.find("backbone", "good").origin.distribution == "good-one"


def test_a_misspelt_hook_is_reported_with_the_right_name(install) -> None:
    install("typo", "from rmtl_bench import hookimpl\n@hookimpl\ndef rmtl_backbone(): return []")
    assert "did you mean 'rmtl_backbones'" in plugin_named("typo").error


def test_a_hook_that_raises_breaks_only_its_own_offer(install) -> None:
    code = BACKBONE.format(name="fine") + "\n@hookimpl\ndef rmtl_weightings(): raise ValueError('later')"
    install("half", code)
    host = load_plugins()
    assert host.registry.find("backbone", "fine")
    assert "later" in next(p for p in host.plugins if p.name == "half").error


def test_a_hook_that_returns_something_else_is_reported(install) -> None:
    install("wrong", "from rmtl_bench import hookimpl\n@hookimpl\ndef rmtl_datasets(): return ['kuairand']")
    assert "which is no DatasetInfo" in plugin_named("wrong").error


def test_a_name_taken_twice_is_refused_with_both_distributions(install) -> None:
    install("first", BACKBONE.format(name="same"))
    install("second", BACKBONE.format(name="same"), version="2.1")
    with pytest.raises(PluginError, match=r"'same' is claimed by first 1\.0 and second 2\.1"):
        load_plugins().registry.find("backbone", "same")


def test_two_distributions_may_use_one_entry_point_name(install) -> None:
    install("first", BACKBONE.format(name="a"), entry="models")
    install("second", BACKBONE.format(name="b"), entry="models")
    names = {e.info.name for e in load_plugins().registry.entries("backbone")}
    assert {"a", "b"} <= names


def test_an_unknown_name_gets_the_nearest_ones(install) -> None:
    install("near", BACKBONE.format(name="shared-button"))
    with pytest.raises(UsageError, match=r"unknown backbone 'shared-buton'.*did you mean.*'shared-button'"):
        load_plugins().registry.find("backbone", "shared-buton")


def test_switches_load_an_exact_set_or_none_and_always_the_own_metrics(install, monkeypatch) -> None:
    install("one", BACKBONE.format(name="one"))
    install("two", BACKBONE.format(name="two"))
    monkeypatch.setenv("RMTL_BENCH_LOAD_PLUGINS", "two")
    assert [e.info.name for e in load_plugins().registry.entries("backbone")] == ["two"]
    monkeypatch.setenv("RMTL_BENCH_LOAD_PLUGINS", "")
    registry = load_plugins().registry
    assert registry.entries("backbone") == []
    assert registry.find("metric", "auc")
    monkeypatch.delenv("RMTL_BENCH_LOAD_PLUGINS")
    monkeypatch.setenv("RMTL_BENCH_DISABLE_PLUGINS", "two")
    names = [e.info.name for e in load_plugins().registry.entries("backbone")]
    assert "one" in names
    assert "two" not in names


def test_a_switch_that_names_no_plugin_is_refused(install, monkeypatch) -> None:
    install("weights", BACKBONE.format(name="w"))
    monkeypatch.setenv("RMTL_BENCH_LOAD_PLUGINS", "weigths")
    with pytest.raises(UsageError, match="did you mean 'weight"):
        load_plugins()


def test_strict_mode_makes_a_broken_plugin_an_error(install, monkeypatch) -> None:
    install("broken-one", "1/0")
    monkeypatch.setenv("RMTL_BENCH_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match=r"broken-one.*ZeroDivisionError"):
        load_plugins()


def test_a_target_that_cannot_be_loaded_names_its_distribution(install) -> None:
    install("hollow", BACKBONE.format(name="hollow"))
    with pytest.raises(PluginError, match=r"backbone 'hollow' of hollow 1\.0 cannot be loaded: ModuleNotFoundError"):
        load_plugins().registry.find("backbone", "hollow").load()


@pytest.mark.parametrize(
    ("kind", "name"),
    [("weighting", "solver-weights"), ("dataset", "solver-sessions"), ("metric", "solver-metric")],
)
def test_what_lacks_a_module_is_refused_with_the_command_that_brings_it(toy_plugin: Path, kind: str, name: str) -> None:
    entry = load_plugins([toy_plugin.with_name("solver_plugin.py")]).registry.find(kind, name)
    with pytest.raises(UsageError) as error:
        entry.load()
    said = f"{kind} {name!r} needs no_such_solver, which is not installed; type: pip install no-such-solver"
    assert str(error.value) == said


def test_what_needs_an_installed_module_is_loaded(toy_plugin: Path) -> None:
    entry = load_plugins([toy_plugin.with_name("solver_plugin.py")]).registry.find("weighting", "solver-free")
    assert entry.load() is json.dumps


def test_a_one_file_plugin_is_versioned_by_its_content(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(BACKBONE.format(name="mine"))
    first = load_plugins([file]).registry.find("backbone", "mine").origin
    file.write_text(BACKBONE.format(name="mine") + "\n# changed")
    second = load_plugins([file]).registry.find("backbone", "mine").origin
    assert first.distribution == second.distribution == "mine.py"
    assert first.version != second.version


def test_a_one_file_plugin_that_is_broken_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("import nothing_of_the_sort")
    with pytest.raises(PluginError, match="nothing_of_the_sort"):
        load_plugins([file])
    with pytest.raises(UsageError, match="is no file"):
        load_plugins([tmp_path / "absent.py"])


def test_an_observer_that_raises_is_named_and_harms_nobody(tmp_path: Path, capsys) -> None:
    file = tmp_path / "observer.py"
    file.write_text(
        "from rmtl_bench import hookimpl\nseen = []\n"
        "@hookimpl\ndef rmtl_suite_finished(summary): raise RuntimeError('oh')\n"
    )
    host = load_plugins([file])
    host.notify("rmtl_suite_finished", suite="s@1", summary={"ok": 1})
    assert "rmtl_suite_finished" in capsys.readouterr().err


def test_listing_imports_no_torch_and_the_plugins_command_reports_the_broken(
    rmtl_bench, fake_distribution: Make
) -> None:
    site = fake_distribution("broken-one", "raise ImportError('no such luck')")
    done = rmtl_bench("plugins", "--json", env={"PYTHONPATH": str(site)})
    assert done.returncode == 0
    report = json.loads(done.stdout)
    broken = next(p for p in report["plugins"] if p["name"] == "broken-one")
    assert broken["origin"] == {"distribution": "broken-one", "version": "1.0"}
    assert "no such luck" in broken["error"]


@pytest.mark.parametrize("name", ["", "two words", "\\x1b[2J", "../up", "two\\nlines", "x" * 101, "\\u202eback"])
def test_a_name_that_is_none_is_reported_and_its_offer_left_out(install, name) -> None:
    install("odd", BACKBONE.format(name=name))
    plugin = plugin_named("odd")
    assert "is no name" in plugin.error
    assert plugin.offers == {}
