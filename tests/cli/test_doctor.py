from __future__ import annotations

import json

import pytest

BROKEN = "import no_such_module\n"
NO_DATABASE = 'raise ImportError("the database library is broken")\n'
NO_TORCH = 'raise OSError("libcudart.so: cannot open shared object file")\n'


@pytest.fixture
def broken_site(fake_distribution):
    """Modules that cannot be imported: a plugin, torch, DuckDB."""
    site = fake_distribution("fake-broken", BROKEN)
    (site / "torch.py").write_text(NO_TORCH)
    (site / "duckdb.py").write_text(NO_DATABASE)
    return site


def test_the_doctor_answers_where_nearly_all_is_broken(rmtl_bench, broken_site, tmp_path):
    env = {"PYTHONPATH": str(broken_site), "RMTL_BENCH_LOAD_PLUGINS": "fake-broken"}
    done = rmtl_bench("doctor", "--store", tmp_path / "store", "--json", env=env)
    assert (done.returncode, done.stderr) == (3, "")
    answer = json.loads(done.stdout)
    assert answer["exit_code"] == 3
    problems = {
        part: [(f["subject"], f["said"], f["code"]) for f in found if f["state"] == "problem"]
        for part, found in answer["findings"].items()
    }
    said = "broken, importing: ModuleNotFoundError: No module named 'no_such_module'"
    assert problems["plugins"] == [("plugin fake-broken (fake-broken 1.0)", said, 3)]
    assert problems["torch"] == [
        ("torch", "cannot be imported: OSError: libcudart.so: cannot open shared object file", 1)
    ]
    broken = "could not be examined: ImportError: the database library is broken"
    assert problems["store"] == [("store", broken, 1)]
    assert problems["software"] == problems["data"] == problems["machine"] == []
    assert not (tmp_path / "store").exists()


def test_every_line_has_its_state_and_what_to_type(rmtl_bench, broken_site, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "FORMAT").write_text("99\n")
    (broken_site / "duckdb.py").unlink()
    env = {"PYTHONPATH": str(broken_site), "RMTL_BENCH_LOAD_PLUGINS": ""}
    done = rmtl_bench("doctor", "--store", tmp_path / "store", env=env)
    assert (done.returncode, done.stderr) == (5, "")
    *lines, counts = done.stdout.splitlines()
    assert {line.split()[0] for line in lines if line[0] != " "} == {"ok", "note", "warning", "problem"}
    at = next(number for number, line in enumerate(lines) if line.startswith("problem  store: "))
    text = " ".join(line.strip() for line in lines[at:])
    assert "a store of format '99'; this rmtl-bench reads the formats 1, 2" in text
    assert "type: pip install --upgrade rmtl-bench" in text
    assert counts.endswith(", 2 problems")
