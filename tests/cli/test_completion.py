from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rmtl_bench.cli.completion import VARIABLE, answer
from rmtl_bench.cli.main import COMMANDS, cli
from rmtl_bench.store import Store

OFFERS = """
from pathlib import Path
from rmtl_bench import BackboneInfo, DatasetInfo, Parameter, WeightingInfo, hookimpl

SAID = "a net, of layers\\nand more"
print("a plugin that prints while it is imported")

@hookimpl
def rmtl_backbones():
    return [BackboneInfo(name=name, target="nowhere:None", summary=SAID) for name in ("net", "nest")]

@hookimpl
def rmtl_datasets():
    return [DatasetInfo(name="logs", target="nowhere:None", summary="", parameters={"rows": Parameter(1, "how many")})]

@hookimpl
def rmtl_weightings():
    return [WeightingInfo(name="even", target="nowhere:None", summary="the sum")]

@hookimpl
def rmtl_suites():
    return sorted(Path(__file__).parent.glob("*.toml"))
"""
SUITE = """
name = "{name}"
version = {version}
title = "{name}, the {version}."
[datasets.logs]
[backbones.net]
label = "big net"
[backbones.nest]
[weightings.even]
[[grid]]
backbones = ["net", "nest"]
weightings = ["even"]
"""


@pytest.fixture
def offers(fake_distribution, monkeypatch, tmp_path):
    """One plugin that offers a little of everything, and an empty folder to work in."""
    site = fake_distribution("fake-offers", OFFERS)
    for name, version in (("alone", 1), ("twice", 1), ("twice", 2)):
        (site / f"{name}-{version}.toml").write_text(SUITE.format(name=name, version=version))
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("RMTL_BENCH_LOAD_PLUGINS", "fake-offers")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return site


@pytest.fixture
def complete(monkeypatch, capfd):
    """Answer a shell that has these words on its line; the last is begun. Return the lines of the answer."""

    def ask(*words, asked_by="bash"):
        monkeypatch.setenv("COMP_WORDS", " ".join(["rmtl-bench", *words]))
        monkeypatch.setenv("COMP_CWORD", words[-1] if asked_by == "fish" else str(len(words)))
        monkeypatch.setenv(VARIABLE, f"{asked_by}_complete")
        assert answer(cli) == 0
        said = capfd.readouterr()
        assert said.err == ""
        return said.out.splitlines()

    return ask


def values(lines):
    return [line.removeprefix("plain,") for line in lines if line]


def test_commands_are_completed_with_what_they_do(complete):
    assert values(complete("")) == list(COMMANDS)
    assert values(complete("sh")) == ["show"]
    assert complete("sh", asked_by="zsh")[:3] == ["plain", "show", COMMANDS["show"].summary]
    assert "--json" in values(complete("show", "--"))


def test_kinds_and_the_names_of_a_kind_are_completed(complete, offers):
    assert values(complete("list", "b")) == ["backbones"]
    assert values(complete("info", "wei")) == ["weighting"]
    assert values(complete("info", "backbone", "")) == ["nest", "net"]
    assert values(complete("info", "backbones", "net")) == ["net"]
    assert values(complete("info", "backbone", "x")) == []
    assert values(complete("info", "suite", "al")) == ["alone"]


def test_what_a_plugin_says_is_one_line_beside_its_name(complete, offers):
    assert complete("info", "backbone", "net", asked_by="zsh") == ["plain", "net", "a net, of layers and more"]
    assert complete("info", "backbone", "net", asked_by="fish") == ["plain,net\ta net, of layers and more"]


def test_suites_are_completed_with_a_version_where_there_are_several(complete, offers):
    Path("mine.toml").touch()
    Path("folder").mkdir()
    Path("folder/inner.toml").touch()
    assert values(complete("run", "--suite", "")) == ["alone", "twice", "twice@1", "twice@2", "mine.toml"]
    assert values(complete("run", "--suite", "alone@")) == ["alone@1"]
    assert values(complete("run", "--suite", "alone+e")) == ["alone+even"]
    assert values(complete("run", "--suite", "alone+even+n")) == ["alone+even+nest", "alone+even+net"]
    assert values(complete("run", "--suite", "folder/")) == ["folder/inner.toml"]
    assert values(complete("run", "--suite", "./f")) == ["./folder/"]


def test_cells_of_the_suite_that_was_named_are_completed(complete, offers):
    assert values(complete("run", "--suite", "alone", "--only", "")) == ["logs/big net/even", "logs/nest/even"]
    assert values(complete("run", "--only", "")) == []


def test_options_with_known_words_are_completed(complete, offers):
    assert values(complete("run", "--retry", "failed,o")) == ["failed,oom"]
    assert "failed,failed" not in values(complete("run", "--retry", "failed,"))
    assert values(complete("run", "--precision", "b")) == ["bf16"]
    assert values(complete("run", "--executor", "i")) == ["inline"]
    assert values(complete("leaderboard", "--protocol", "w")) == ["wilcoxon"]
    assert values(complete("leaderboard", "--metric", "a")) == ["all", "auc"]
    assert values(complete("data", "info", "logs", "--set", "r")) == ["rows="]


def test_runs_are_completed_by_id_with_their_cell_and_by_their_cell(
    complete, offers, tmp_path, publish_cell, plan_cells
):
    store = Store.open(tmp_path / "store")
    cells = [publish_cell(store, weighting, seed=seed) for weighting in ("even", "odd") for seed in (0, 1)]
    publish_cell(store, "even", seed=0, status="failed")
    not_made = publish_cell(store, "never", publish=False)
    plan_cells(store, [*cells, not_made])
    ask = ("show", "--store", str(store.path))
    assert sorted(values(complete(*ask, ""))) == sorted(cell.run_id for cell in cells)
    first = cells[0].run_id
    assert complete(*ask, first[:8], asked_by="zsh") == ["plain", first, "sessions/ple/even/0"]
    assert values(complete(*ask, "sessions/ple/e")) == ["sessions/ple/even/0", "sessions/ple/even/1"]
    assert values(complete(*ask, "sessions/ple/never")) == []


def test_methods_and_suites_of_the_store_are_completed(complete, offers, tmp_path, publish_cell, plan_cells):
    store = Store.open(tmp_path / "store")
    plan_cells(store, [publish_cell(store, name, publish=False) for name in ("even", "odd")], suite="kept")
    plan_cells(store, [publish_cell(store, "other", publish=False)], suite="another")
    asked = ("--store", str(store.path), "--suite")
    assert values(complete("compare", *asked, "kept", "")) == ["ple/even", "ple/odd"]
    assert values(complete("compare", *asked, "kept", "ple/even", "ple/o")) == ["ple/odd"]
    assert values(complete("leaderboard", *asked, "kept", "--against", "*/")) == ["*/even", "*/odd"]
    assert values(complete("leaderboard", *asked, "k")) == ["kept"]
    assert values(complete("db", "export", "out", *asked, "")) == ["another@1", "kept@1"]
    (store.suites / "kept@1.json").write_text("{")
    assert values(complete("compare", *asked, "kept", "")) == []


@pytest.mark.parametrize(
    "words",
    [
        ("show", "--store", "nowhere", ""),
        ("compare", "--store", "nowhere", ""),
        ("leaderboard", "--against", ""),
        ("run", "--suite", "no-such-suite", "--only", ""),
        ("info", "nothing", ""),
        ("run", "--executor", "none-such", "--executor-option", ""),
        ("no-such-command", ""),
    ],
)
def test_what_is_missing_offers_nothing_and_says_nothing(complete, offers, words):
    complete(*words)


def test_a_broken_plugin_takes_no_names_of_others_away(complete, fake_distribution, monkeypatch):
    monkeypatch.syspath_prepend(fake_distribution("fake-broken", "raise RuntimeError('broken')"))
    monkeypatch.setenv("RMTL_BENCH_LOAD_PLUGINS", "fake-broken")
    assert values(complete("info", "metric", "au")) == ["auc"]
    monkeypatch.setenv("RMTL_BENCH_STRICT_PLUGINS", "1")
    assert values(complete("info", "metric", "au")) == []


@pytest.mark.parametrize(
    ("shell", "first"), [("bash", "_rmtl_bench"), ("zsh", "#compdef rmtl-bench"), ("fish", "func")]
)
def test_a_script_says_where_to_put_it(shell, first, capfd):
    cli.main(["completion", shell], prog_name="rmtl-bench", standalone_mode=False)
    head, where, *_ = capfd.readouterr().out.splitlines()
    assert head.startswith(first)
    assert where.startswith("# ")
    assert f"rmtl-bench completion {shell}" in where


SHELLS = {
    "bash": [
        *("bash", "--norc", "-c"),
        """
        source <(rmtl-bench completion bash)
        complete -p rmtl-bench
        COMP_WORDS=(rmtl-bench db e) COMP_CWORD=2
        _rmtl_bench_completion rmtl-bench
        echo "${COMPREPLY[@]}"
        """,
    ],
    "zsh": [
        *("zsh", "-f", "-c"),
        """
        autoload -Uz compinit && compinit -D -u
        eval "$(rmtl-bench completion zsh)"
        echo $_comps[rmtl-bench]
        _describe() { print -l $completions_with_descriptions }
        words=(rmtl-bench db e) CURRENT=3
        _rmtl_bench_completion
        """,
    ],
    "fish": [
        *("fish", "--no-config", "-c"),
        'rmtl-bench completion fish | source; complete -C "rmtl-bench db e"; complete -C "rmtl-bench comple"',
    ],
}
ANSWERS = {
    "bash": ["complete -o nosort -F _rmtl_bench_completion rmtl-bench", "export"],
    "zsh": ["_rmtl_bench_completion", "export:Write the store"],
    "fish": ["export\tWrite the store", "completion\tPrint the script that lets bash, zsh or fish"],
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_by_the_installed_program(shell, clean_environment, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    programs = str(Path(sys.executable).parent)
    env = clean_environment | {"PATH": os.pathsep.join([programs, clean_environment["PATH"]]), "HOME": str(tmp_path)}
    done = subprocess.run(SHELLS[shell], capture_output=True, text=True, env=env, timeout=60, check=False)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == len(ANSWERS[shell])
    for line, begins in zip(lines, ANSWERS[shell], strict=True):
        assert line.startswith(begins)


@pytest.mark.parametrize("words", ["show c", "run --suite s", "db export --suite s"])
def test_to_complete_imports_nothing_slow(words, clean_environment, tmp_path):
    code = (
        "import atexit, sys\nfrom rmtl_bench.cli.main import main\n"
        "slow = ('torch', 'numpy', 'pandas', 'duckdb', 'scipy', 'matplotlib')\n"
        "atexit.register(lambda: print('\\nloaded', [name for name in slow if name in sys.modules]))\n"
        "main()"
    )
    asked = {VARIABLE: "bash_complete", "COMP_WORDS": f"rmtl-bench {words}", "COMP_CWORD": str(len(words.split()))}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        env=clean_environment | asked,
        cwd=tmp_path,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "loaded []"
