"""`rmtl-bench check` and `pytest --rmtl-bench-check`, as their users run them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

WRONG = Path(__file__).parent / "wrong_backbones.py"
GOOD = """
from rmtl_bench import {kind}Info, hookimpl

@hookimpl
def rmtl_{hook}():
    return [{kind}Info(name="stranger", target="{target}", summary="from elsewhere")]
"""
EAGER = "import torch\n" + GOOD
BACKBONE = {"kind": "Backbone", "hook": "backbones", "target": "rmtl_bench.testing.reference:PlainBackbone"}


def test_what_fails_is_said_with_what_to_change_and_exit_code_3(rmtl_bench):
    checks = ["--only", "batch-is-not-changed", "--only", "any-number-of-tasks-and-rows"]
    done = rmtl_bench("check", "scribbling", "--plugin", WRONG, *checks)
    assert done.returncode == 3
    assert done.stderr == "error: 1 check fails: backbone 'scribbling'\n"
    assert "BROKEN    batch-is-not-changed" in done.stdout
    assert "a forward pass changes batch.numerical; work on a copy, not in place" in done.stdout
    assert "1 passed, 1 failed in " in done.stdout


def test_all_offers_of_a_plugin_are_checked_and_json_holds_every_finding(rmtl_bench):
    done = rmtl_bench("check", "wrong_backbones", "--plugin", WRONG, "--only", "target-can-be-loaded", "--json")
    assert done.returncode == 3
    found = {offer["name"]: offer["checks"][0] for offer in json.loads(done.stdout)}
    assert found["right"]["state"] == "ok"
    assert found["no-target"]["state"] == "broken"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["right", "--only", "batch-is-not-chnged"], 2, "no check 'batch-is-not-chnged' of a backbone; did you mean"),
        (["right", "--set", "widht=4"], 2, "no parameter 'widht', given as 4; did you mean 'width'?"),
        (["twice"], 3, "backbone 'twice' is claimed by"),
    ],
)
def test_what_cannot_be_checked_is_one_line(rmtl_bench, arguments, code, message):
    done = rmtl_bench("check", *arguments, "--plugin", WRONG)
    assert done.returncode == code
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_plugin_that_imports_torch_in_its_catalogue_is_caught(rmtl_bench, fake_distribution):
    site = fake_distribution("eager", EAGER.format(**BACKBONE))
    done = rmtl_bench("check", "stranger", "--only", "listing-imports-no-torch", env={"PYTHONPATH": str(site)})
    assert done.returncode == 3
    assert "listing plugin 'eager' imports torch; let eager hold the hooks alone" in " ".join(done.stdout.split())


def test_pytest_checks_what_an_installed_distribution_offers(fake_distribution, tmp_path, clean_environment):
    site = fake_distribution("stranger-methods", GOOD.format(**BACKBONE))
    environment = clean_environment | {"PYTHONPATH": str(site)}
    chosen = ["-k", "listing or number", "-q", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "--rmtl-bench-check", "stranger-methods", *chosen]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
    command[command.index("stranger-methods")] = "stranger-method"
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "did you mean 'stranger-methods'" in done.stderr


def test_the_pytest_plugin_imports_nothing_until_it_is_asked(clean_environment):
    code = "import rmtl_bench.testing.pytest_plugin, sys; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=clean_environment, capture_output=True, text=True)
    assert done.stdout == "False False\n"
