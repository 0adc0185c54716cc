from __future__ import annotations

import pytest
import torch

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.data import residence
from rmtl_bench.data.mapped_rows import MappedRows
from rmtl_bench.data.residence import available_memory, open_split, resident_bytes, stays_on_disk
from rmtl_bench.data.rows import DeviceRows

CPU = torch.device("cpu")
KB = 1024


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine made of files: ``machine(available=..., group=..., ...)``, all in bytes."""
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    groups.mkdir()
    monkeypatch.setattr(residence, "_PROC", proc)
    monkeypatch.setattr(residence, "_CONTROL_GROUPS", groups)
    monkeypatch.setattr(residence, "_limit_of_data", lambda: None)
    monkeypatch.delenv("RMTL_BENCH_ROWS", raising=False)

    def write(available, held=0, group="", files=None):
        (proc / "meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable: {available // KB} kB\n")
        (proc / "self" / "status").write_text(f"VmData: {2 * held // KB} kB\nRssAnon: {held // KB} kB\n")
        (proc / "self" / "cgroup").write_text(group)
        for name, text in (files or {}).items():
            path = groups / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


def test_what_is_resident_is_all_but_the_time_stamps(table):
    # Two ids, a number, two labels, session, user, two masks, two probabilities, the session's end.
    assert resident_bytes(table) == 12 * (2 * 4 + 4 + 2 * 4 + 4 + 4 + 2 + 2 * 4 + 1)


def test_a_table_is_resident_up_to_half_of_what_is_available(table, machine):
    machine(available=4 * KB)
    assert resident_bytes(table) == 468
    assert not stays_on_disk(table, CPU)
    machine(available=0)
    assert stays_on_disk(table, CPU)


@pytest.mark.parametrize(
    ("limit", "mapped"), [(None, False), (10**9, False), (5 * KB + 936, False), (5 * KB + 935, True)]
)
def test_the_runs_own_limit_counts_less_what_it_holds(table, machine, limit, mapped):
    machine(available=10**9, held=5 * KB)
    assert stays_on_disk(table, CPU, limit) is mapped


def test_a_limit_of_data_counts_less_what_was_asked_for(machine, monkeypatch):
    machine(available=10**9, held=5 * KB)
    monkeypatch.setattr(residence, "_limit_of_data", lambda: 100 * KB)
    assert available_memory() == 90 * KB


def test_a_control_group_of_the_first_kind_counts_with_those_above_it(machine):
    group = "9:name=systemd:/\n4:cpu,memory:/outer/inner\n"
    files = {
        "memory/outer/memory.limit_in_bytes": "5000\n",
        "memory/outer/memory.usage_in_bytes": "3000\n",
        "memory/outer/memory.stat": "cache 900\ntotal_inactive_file 700\n",
        "memory/outer/inner/memory.limit_in_bytes": f"{2**63 - 4096}\n",
        "memory/outer/inner/memory.usage_in_bytes": "1000\n",
        "memory/outer/inner/memory.stat": "total_inactive_file 0\n",
    }
    machine(available=10**9, group=group, files=files)
    assert available_memory() == 2700


def test_a_control_group_of_the_second_kind_counts(machine):
    files = {"run/memory.max": "8000", "run/memory.current": "6000", "run/memory.stat": "anon 1\ninactive_file 500\n"}
    machine(available=10**9, group="0::/run\n", files=files)
    assert available_memory() == 2500
    files = {"run/memory.max": "max"}
    machine(available=10**9, group="0::/run\n", files=files)
    assert available_memory() == 10**9 // KB * KB


def test_a_container_finds_its_group_at_the_root(machine):
    files = {"memory.max": "8000", "memory.current": "6000", "memory.stat": "inactive_file 0\n"}
    machine(available=10**9, group="0::/docker/abc\n", files=files)
    assert available_memory() == 2000


def test_nothing_known_of_the_memory_means_resident(table, tmp_path, monkeypatch):
    monkeypatch.setattr(residence, "_PROC", tmp_path / "none")
    monkeypatch.setattr(residence, "_limit_of_data", lambda: None)
    monkeypatch.delenv("RMTL_BENCH_ROWS", raising=False)
    assert available_memory() is None
    assert not stays_on_disk(table, CPU)


def test_whoever_asks_for_one_gets_it(table, machine, monkeypatch):
    machine(available=0)
    monkeypatch.setenv("RMTL_BENCH_ROWS", "resident")
    assert not stays_on_disk(table, CPU)
    machine(available=10**9)
    monkeypatch.setenv("RMTL_BENCH_ROWS", "mapped")
    assert stays_on_disk(table, CPU)
    monkeypatch.setenv("RMTL_BENCH_ROWS", "disk")
    with pytest.raises(UsageError, match="RMTL_BENCH_ROWS is 'disk'; it takes one of auto, resident, mapped"):
        stays_on_disk(table, CPU)


def test_a_split_is_opened_as_decided(table):
    assert isinstance(open_split(table, "train", CPU, mapped=True), MappedRows)
    assert isinstance(open_split(table, "train", CPU, mapped=False), DeviceRows)


def test_this_machine_has_memory_left():
    left = available_memory()
    assert left is None or left > 0
