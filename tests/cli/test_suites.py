from __future__ import annotations

import json

import pytest

from rmtl_bench.cli.suites import command
from rmtl_bench.contracts.errors import UsageError

PLUGIN = """
from rmtl_bench import BackboneInfo, DatasetInfo, WeightingInfo, hookimpl
from rmtl_bench.contracts.errors import DataError

class Logs:
    def raw_files(self, data_dir):
        return []

class Absent:
    def raw_files(self, data_dir):
        raise DataError("absent: raw files are missing")

HERE = __name__

@hookimpl
def rmtl_datasets():
    return [DatasetInfo(name=name.lower(), target=f"{HERE}:{name}", summary="") for name in ("Logs", "Absent")]

@hookimpl
def rmtl_backbones():
    return [BackboneInfo(name=name, target="a:B", summary="") for name in ("net", "nest")]

@hookimpl
def rmtl_weightings():
    return [WeightingInfo(name=name, target="a:B", summary="", form="loss") for name in ("even", "odd")]
"""


@pytest.fixture
def suites(fake_distribution, monkeypatch, tmp_path, capsys):
    """Call ``rmtl-bench suites`` in an empty folder with one plugin; return its exit code and the lines it prints."""
    monkeypatch.syspath_prepend(fake_distribution("fake-parts", PLUGIN))
    monkeypatch.setenv("RMTL_BENCH_LOAD_PLUGINS", "fake-parts")
    monkeypatch.setenv("RMTL_BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def call(*arguments):
        code = command.main([*map(str, arguments)], prog_name="rmtl-bench suites", standalone_mode=False)
        return code or 0, capsys.readouterr().out.splitlines()

    return call


def test_a_new_suite_passes_its_check(suites):
    code, [said] = suites("new", "mine", "--dataset", "logs", "--seeds", 6)
    assert (code, said) == (0, "mine.toml written; look at it, then: rmtl-bench suites check mine.toml")
    # The two weightings on two backbones: two comparisons with the reference, which take 7 seeds.
    code, [sizes, warning] = suites("check", "mine.toml")
    assert (code, sizes) == (0, "mine@1: 4 combinations by 6 seeds are 24 cells; 24 runs")
    assert warning.startswith("warning: the reference: 6 seeds are too few for an exact test: 2 comparisons")


def test_a_file_that_is_there_is_not_overwritten(suites, tmp_path):
    (tmp_path / "work" / "mine.toml").write_text("precious")
    with pytest.raises(UsageError, match=r"mine\.toml is there already; name another with --output, or remove it"):
        suites("new", "mine", "--dataset", "logs")
    assert (tmp_path / "work" / "mine.toml").read_text() == "precious"
    suites("new", "mine", "--dataset", "logs", "--output", "other.toml")
    assert 'name = "mine"' in (tmp_path / "work" / "other.toml").read_text()


def test_missing_raw_files_are_a_warning_to_a_check(suites):
    suites("new", "mine", "--dataset", "absent", "--seeds", 9)
    code, [_, warning] = suites("check", "mine.toml")
    assert (code, warning) == (0, "warning: absent cannot be run here yet: absent: raw files are missing")


def test_a_sample_is_checked_too(suites, tmp_path):
    suites("new", "mine", "--dataset", "logs", "--seeds", 9)
    path = tmp_path / "work" / "mine.toml"
    path.write_text(path.read_text() + "\n[sample]\nseeds = 1\n")
    code, [_, sizes, warning] = suites("check", "mine.toml")
    assert (code, sizes) == (0, "mine@1 (sample): 4 combinations by 1 seeds are 4 cells; 4 runs")
    assert warning.startswith("warning: 1 seeds are too few")
    path.write_text(path.read_text() + "\n[sample.datasets.none]\n")
    with pytest.raises(UsageError, match="no 'none' to stand in for"):
        suites("check", "mine.toml")


def test_a_suite_that_ran_and_was_changed_ends_with_the_code_of_the_store(suites, tmp_path):
    from rmtl_bench.store import Store, StoredPlan, save_plan

    suites("new", "mine", "--dataset", "logs", "--seeds", 9)
    store = Store.open(tmp_path / "store")
    save_plan(store, StoredPlan("mine", 1, "0" * 16, ()))
    code, lines = suites("check", "mine.toml", "--store", store.path)
    assert code == 5
    assert lines[-1].startswith("problem: mine@1 has run in ")
    code, lines = suites("check", "mine.toml", "--store", store.path, "--json")
    answer = json.loads("\n".join(lines))
    assert (code, answer["exit_code"], answer["suites"][0]["cells"]) == (5, 5, 36)
    assert answer["suites"][0]["published"].startswith("mine@1 has run in ")


def test_two_suites_are_told_apart_by_meaning_and_by_runs(suites, tmp_path):
    suites("new", "mine", "--dataset", "logs", "--seeds", 2)
    text = (tmp_path / "work" / "mine.toml").read_text()
    (tmp_path / "work" / "more.toml").write_text(text.replace("seeds = 2", "seeds = 4").replace('"mine"', '"more"'))
    _, lines = suites("diff", "mine.toml", "more.toml")
    assert lines == [
        "mine@1 -> more@1",
        "  seeds: 2 -> 4",
        "runs that both make: 8",
        "runs of mine@1 alone: 0",
        "runs of more@1 alone: 8",
        *(f"  logs/{backbone}/{weighting}: seeds 2 to 3" for backbone, weighting in PAIRS),
    ]
    _, lines = suites("diff", "mine.toml", "more.toml", "--json")
    answer = json.loads("\n".join(lines))
    assert answer["suites"] == ["mine@1", "more@1"]
    assert answer["changes"] == [{"setting": "seeds", "first": 2, "second": 4}]
    assert {name: len(runs) for name, runs in answer["runs"].items()} == {
        "shared": 8,
        "only_first": 0,
        "only_second": 8,
    }


PAIRS = [(backbone, weighting) for backbone in ("nest", "net") for weighting in ("even", "odd")]


def test_one_name_for_two_meanings_is_noted(suites, tmp_path):
    suites("new", "mine", "--dataset", "logs")
    text = (tmp_path / "work" / "mine.toml").read_text()
    changed = text.replace("patience = 1", "patience = 2").replace('"logloss"]', '"logloss", "ece"]')
    (tmp_path / "work" / "changed.toml").write_text(changed)
    _, lines = suites("diff", "mine.toml", "changed.toml")
    assert lines == [
        "mine@1 (A) -> mine@1 (B)",
        "  metrics: + ece",
        "  trainer.patience: 1 -> 2",
        "note: they have one name and version; a suite never changes once it has run",
        "runs that both make: 0",
        "runs of mine@1 (A) alone: 12",
        "runs of mine@1 (B) alone: 12",
    ]
    _, lines = suites("diff", "mine.toml", "mine.toml")
    assert lines[1:3] == ["  they mean the same", "runs that both make: 12"]


def test_a_mistake_is_one_line_and_the_code_of_usage(rmtl_bench, tmp_path):
    (tmp_path / "bad.toml").write_text('name = "bad"\nseed = 3\n[[grid]]\n')
    done = rmtl_bench("suites", "check", tmp_path / "bad.toml", env={"RMTL_BENCH_LOAD_PLUGINS": ""})
    assert done.returncode == 2
    assert done.stderr == "error: suite file bad.toml: unknown key 'seed'; did you mean 'seeds'?\n"
