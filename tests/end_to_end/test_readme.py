"""What the README says is what happens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```$", README, re.DOTALL | re.MULTILINE))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The README's package, built and installed by pip into a folder of its own; its environment variables."""
    folder, target = tmp_path_factory.mktemp("my-methods"), tmp_path_factory.mktemp("site")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    _pip_install(folder, target)
    return folder / "mine.toml", target


def _pip_install(folder, target):
    arguments = ["install", "--quiet", "--no-deps", "--target", str(target), str(folder)]
    subprocess.run([sys.executable, "-m", "pip", *arguments], check=True, capture_output=True, timeout=300)


def _path(*folders):
    return {"PYTHONPATH": os.pathsep.join(map(str, folders))}


def test_the_example_has_all_its_files():
    assert list(FILES) == ["pyproject.toml", "my_methods/__init__.py", "my_methods/models.py", "mine.toml"]


def test_the_example_is_listed_runs_and_appears_on_the_leaderboard(rmtl_bench, installed, tmp_path):
    suite, site = installed
    listed = {b["name"]: b for b in json.loads(rmtl_bench("list", "backbones", "--json", env=_path(site)).stdout)}
    assert listed["linear"]["origin"] == {"distribution": "my-methods", "version": "0.1"}
    run = rmtl_bench("run", "--suite", suite, "--store", tmp_path / "store", env=_path(site))
    assert run.returncode == 0, run.stderr
    # The leaderboard needs no plugin: names and directions are in the store.
    shown = rmtl_bench("leaderboard", "--suite", suite, "--store", tmp_path / "store", "--format", "json")
    assert shown.returncode == 0, shown.stderr
    rows = json.loads(shown.stdout)["leaderboard"]
    assert {r["method"] for r in rows} == {"linear/fixed", "linear/geometric"}
    assert {r["n"] for r in rows} == {3}
    assert min(r["mean"] for r in rows if r["metric"] == "auc") > 0.6


def test_the_example_keeps_to_its_contracts(rmtl_bench, installed):
    checked = rmtl_bench("check", "my-methods", env=_path(installed[1]))
    assert checked.returncode == 0, checked.stdout


def test_a_broken_package_is_listed_and_the_rest_works(rmtl_bench, installed, fake_distribution):
    _, site = installed
    broken = fake_distribution("half-done", "raise RuntimeError('half an idea')\n")
    env = _path(site, broken)
    plugins = json.loads(rmtl_bench("plugins", "--json", env=env).stdout)["plugins"]
    (listed,) = [p for p in plugins if p["origin"]["distribution"] == "half-done"]
    assert "half an idea" in listed["error"]
    assert "linear" in rmtl_bench("list", "backbones", env=env).stdout


def test_two_packages_that_claim_one_name_are_refused_with_both_names(
    rmtl_bench, installed, fake_distribution, tmp_path
):
    suite, site = installed
    rival = fake_distribution("rival", FILES["my_methods/__init__.py"], "2.0")
    done = rmtl_bench("run", "--suite", suite, "--store", tmp_path / "store", env=_path(site, rival))
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "my-methods" in done.stderr
    assert "rival" in done.stderr


@pytest.mark.parametrize(("page", "excerpts"), [("README.md", 3), ("docs/rmtl.md", 4)])
def test_excerpts_are_those_of_published_results(page, excerpts):
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"<!-- excerpt of (\S+) -->\n(.*?)<!-- end of excerpt -->", text, re.DOTALL)
    assert len(found) == excerpts
    for source, excerpt in found:
        published = (ROOT / source).read_text(encoding="utf-8").splitlines()
        quoted = [line for line in excerpt.splitlines() if line]
        assert len(quoted) > 4
        assert [line for line in quoted if line.removeprefix("#") not in published and line not in published] == []


@pytest.mark.parametrize(
    "page", ["README.md", "docs/rmtl.md", "plugins/rmtl/README.md", "plugins/weightings/README.md"]
)
def test_every_link_into_the_checkout_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        assert "://" in target or ((ROOT / page).parent / target).exists(), target


def test_every_shell_block_is_found_by_the_checks():
    lines = [
        subprocess.run([sys.executable, ROOT / ".ci" / "readme_line.py", n], capture_output=True, text=True, check=True)
        for n in ("1", "2")
    ]
    assert "run --suite paper --sample" in lines[0].stdout
    assert lines[1].stdout == ".venv/bin/pytest\n"
