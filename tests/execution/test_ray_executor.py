"""What the executor of a Ray cluster does beyond what every executor does."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray", reason="needs rmtl-bench[ray]")

from rmtl_bench.contracts.errors import DataError, PluginError, UsageError
from rmtl_bench.contracts.run_request import Limits
from rmtl_bench.execution import Options, SuiteRunner, ray_executor, ray_node, ray_survey, ray_tables
from rmtl_bench.execution.ray_cluster import Node, Share, join
from rmtl_bench.execution.ray_executor import RayExecutor
from rmtl_bench.store import Store
from rmtl_bench.store.run_files import read_run, read_table

SUITE = """
schema = 1
name = "slow-toy"
version = 1
title = "Runs of two seconds"
seeds = 6
metrics = ["auc", "logloss"]

[trainer]
batch_size = 64
max_epochs = 2
patience = 2
learning_rate = 0.01

[datasets.toy-sessions]
parameters = { rows = 300 }
[backbones.toy-logistic]
[weightings.toy-equal]
parameters = { behaviour = "sleep" }

[[grid]]
backbones = ["toy-logistic"]
weightings = ["toy-equal"]

[statistics]
reference = "*/toy-equal"
equivalence = { auc = 0.001, logloss = "0.1%" }
"""
SEEDS = range(20, 26)
SAYS_WHAT_IT_SEES = """
import os
print("GPU", os.environ.get("CUDA_VISIBLE_DEVICES"), "given to process", os.getppid())
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ray://head:10001", "is a Ray client's; run the command on a node, with --address auto"),
        ("head", "address 'head' is none of a Ray cluster; it takes auto, local or HOST:PORT"),
        ("head:70000", "address 'head:70000' is none of a Ray cluster"),
        (f"127.0.0.1:{free_port()}", "no Ray cluster found at '127.0.0.1:"),
    ],
)
def test_an_address_that_is_none_is_refused_in_one_line(address, expected):
    with pytest.raises(UsageError) as refused:
        join(address)
    assert expected in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_gpus_are_shared_or_taken_whole():
    with pytest.raises(UsageError, match=r"gpus 1.5 cannot be had; it takes a part of 1, or a whole number"):
        RayExecutor(gpus=1.5)


@pytest.mark.parametrize(
    ("share", "fitting"),
    [
        (Share(1), 8),
        (Share(3), 2),
        (Share(9), 0),
        (Share(1, gpus=1), 2),
        (Share(1, gpus=2), 1),
        (Share(1, gpus=0.4), 4),
        (Share(1, gpus=0.25), 8),
        (Share(4, gpus=0.5), 2),
        (Share(1, memory=3 * 10**9), 5),
    ],
)
def test_a_node_has_room_for_what_all_its_resources_suffice_for(share, fitting):
    assert share.fitting(Node("id", "host", cpus=8, gpus=2, memory=16e9)) == fitting


def facts(**changed):
    versions = {"rmtl-bench": "1.0", "torch": "2.13.0+cpu", "numpy": "2.4.0"}
    return {"python": "3.12", "versions": versions, "code": {"rmtl-bench": "a"}, "memory": True} | changed


@pytest.mark.parametrize(
    ("its", "device", "expected"),
    [
        ({}, "cpu", []),
        ({"python": "3.11"}, "cpu", ["Python 3.12 here, 3.11 there"]),
        (
            {"versions": {"rmtl-bench": None, "torch": "2.12.1", "numpy": "2.4.0"}},
            "cpu",
            ["torch 2.13.0+cpu here, 2.12.1 there", "rmtl-bench 1.0 here, none there"],
        ),
        ({"versions": {"rmtl-bench": "1.0", "torch": "2.13.0+cu130", "numpy": "2.4.0"}}, "cuda", []),
        ({}, "cuda", ["torch 2.13.0+cpu there cannot use its GPUs"]),
        ({"code": {"rmtl-bench": "b"}}, "cpu", ["rmtl-bench 1.0 has other code there"]),
        (
            {"memory": False},
            "cpu",
            ["--memory-limit cannot be kept there: its system does not tell what a process holds"],
        ),
    ],
)
def test_what_decides_numbers_or_limits_is_compared(workshop, its, device, expected):
    job = replace(workshop.job(workshop.cell()), plugins={"rmtl-bench": "1.0"}, limits=Limits(memory=10**9))
    assert ray_survey.differences(job, facts(), facts(**its), device) == expected


def test_the_code_of_a_plugin_is_told_from_other_code_of_the_same_version(fake_distribution, monkeypatch):
    site = fake_distribution("a-plugin", "")
    monkeypatch.syspath_prepend(site)
    before = ray_survey.code_of("a-plugin")
    (site / "a_plugin.py").write_text("changed = True\n")
    assert before != ray_survey.code_of("a-plugin") != ""
    assert ray_survey.code_of("no-such-plugin") == ""
    assert ray_survey.code_of("rmtl-bench") == ray_survey.code_of("rmtl-bench")


@pytest.fixture
def in_pieces(monkeypatch):
    monkeypatch.setattr(ray_tables, "PIECE", 4)


def received(items, request):
    """Write items as the executor does; return the names in the order in which files were complete."""
    running = ray_executor._Running(request, None, None)
    names = []
    for kind, *piece in items:
        assert kind == ray_node.PIECE
        ray_executor._write(running, *piece)
        if piece[-1]:
            names.append(piece[1])
    assert running.unfinished is None
    return names


def test_files_of_a_run_arrive_whole_and_run_json_last_and_what_changes_later_arrives_again(
    in_pieces, request_for, workshop, tmp_path
):
    request = replace(request_for(workshop.cell()), checkpoint=tmp_path / "checkpoint")
    there = replace(request, staging=tmp_path / "there", checkpoint=tmp_path / "checkpoint there")
    there.staging.mkdir()
    sent = ray_node._Sent([there])
    (there.staging / "log.txt").write_text("")
    there.checkpoint.write_bytes(b"as far as this")
    assert list(sent.news(is_over=False)) == []
    sent.checkpoints_due = 0.0
    assert received(sent.news(is_over=False), request) == [ray_node.CHECKPOINT]
    assert request.checkpoint.read_bytes() == b"as far as this"
    for name, text in (("run.json", "{}"), ("weights.parquet", "of nine bytes")):
        (there.staging / name).write_text(text)
    assert received(sent.news(is_over=False), request) == ["log.txt", "weights.parquet", "run.json"]
    (there.staging / "log.txt").write_text("the end")
    assert received(sent.news(is_over=True), request) == ["log.txt"]
    for file in there.staging.iterdir():
        assert (request.staging / file.name).read_bytes() == file.read_bytes()


def test_what_did_not_arrive_as_a_whole_is_not_kept(in_pieces, request_for, workshop, tmp_path):
    request = request_for(workshop.cell())
    running = ray_executor._Running(request, None, None)
    ray_executor._write(running, 0, "weights.parquet", 0, np.zeros(4, np.uint8), False)
    ray_executor._cut_short(running, None)
    assert not (request.staging / "weights.parquet").exists()


@pytest.mark.parametrize("name", ["../elsewhere", "/elsewhere", "..", ""])
def test_a_file_goes_nowhere_but_into_the_folder_of_its_run(request_for, workshop, name):
    running = ray_executor._Running(request_for(workshop.cell()), None, None)
    with pytest.raises(OSError, match="is no name of a file"):
        ray_executor._write(running, 0, name, 0, np.zeros(1, np.uint8), True)


@pytest.fixture
def opened(in_ray_cluster, workshop):
    """Open an executor for a run, and close it."""
    executors = []

    def opened(cell, executor=None, tell=lambda *_: None, **changed):
        executors.append(executor or RayExecutor())
        return executors[-1], executors[-1].open(workshop.job(cell, **changed), tell)

    yield opened
    for executor in executors:
        executor.close()


def test_a_cluster_without_room_is_refused(opened, workshop):
    with pytest.raises(UsageError, match=r"^no node of the Ray cluster has room for a run: 9 CPUs, 1 GB; see"):
        opened(workshop.cell(), RayExecutor(memory=1.0), threads=9)


def test_there_is_room_for_as_many_runs_as_the_nodes_have_cores(opened, workshop):
    assert opened(workshop.cell(), jobs=0, runs=9)[1].jobs == 2
    assert opened(workshop.cell(), jobs=0, runs=1)[1].jobs == 1
    assert opened(workshop.cell(), jobs=1, runs=9)[1].jobs == 1
    assert opened(workshop.cell(), jobs=0, runs=9, threads=0)[1].threads == 1


def test_nodes_with_another_version_or_other_code_are_refused_together(opened, workshop, monkeypatch):
    code_of = ray_survey.code_of
    monkeypatch.setattr(ray_survey, "code_of", lambda name: f"changed {code_of(name)}")
    with pytest.raises(PluginError) as refused:
        opened(workshop.cell(), plugins={"rmtl-bench": "0.0.1", "rmtl-bench-none": "1"})
    lines = str(refused.value).splitlines()
    assert len(lines) == 4
    assert len({line.partition(")")[0] for line in lines}) == 2
    assert sum("rmtl-bench 0.0.1 here, " in line for line in lines) == 2
    assert sum(line.endswith("rmtl-bench-none 1 here, none there") for line in lines) == 2


@pytest.fixture
def unseen(monkeypatch):
    """No node sees the folders of this machine's tables."""
    question = ray_survey.question

    def asked(job):
        answer = question(job)
        tables = [((*table[:2], "/nowhere", *table[3:]), component) for table, component in answer["tables"]]
        return {**answer, "tables": tables}

    monkeypatch.setattr(ray_survey, "question", asked)


@pytest.fixture
def their_cache(tmp_path_factory):
    return next(tmp_path_factory.getbasetemp().glob("nodes*"))


def ends(executor, requests):
    """Start the requests and return how they have ended."""
    for request in requests:
        executor.start(request)
    ended, deadline = {}, time.monotonic() + 60
    while len(ended) < len(requests):
        assert time.monotonic() < deadline
        ended |= {end.request.staging: end.ending for end in executor.wait(0.2)}
    return [ended[request.staging] for request in requests]


@pytest.mark.parametrize("largest", [10**9, 0], ids=["sent", "made there"])
def test_a_node_that_lacks_the_data_is_given_them_and_other_data_are_refused(
    opened, workshop, request_for, unseen, their_cache, monkeypatch, largest
):
    monkeypatch.setattr(ray_tables, "LARGEST_SENT", largest)
    cell = workshop.cell()
    dataset = replace(cell.dataset, parameters={"rows": 600 if largest else 450})
    cell = replace(cell, dataset=dataset, fingerprint=workshop.sources.fingerprint(dataset))
    folder = ray_tables.prepared_folder(cell.dataset.name, cell.fingerprint, their_cache)
    assert not folder.exists()
    executor, _ = opened(cell, data_dir=workshop.sources.data_dir)
    mine = workshop.sources.prepare(cell.dataset, cell.fingerprint)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in mine.iterdir()
    }
    request = replace(request_for(cell), table=Path("/nowhere"))
    ends(executor, [request])
    assert read_run(request.staging).status == "ok"
    executor.close()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["labels.npy"]["sha256"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        DataError, match=r"^node .*: toy-sessions \([0-9a-f]{16}\): .*labels.npy has other contents; del"
    ):
        opened(cell)


def test_a_run_on_cuda_sees_the_gpu_that_ray_gives_it_and_its_worker_ends(
    opened, in_ray_cluster, workshop, request_for, tmp_path, monkeypatch
):
    monkeypatch.setattr(ray_survey, "differences", lambda *_: [])
    plugin = tmp_path / "seer.py"
    plugin.write_text(SAYS_WHAT_IT_SEES)
    files = (workshop.host.files[0], plugin)
    cells = [workshop.cell(seed) for seed in (30, 31)]
    node = in_ray_cluster.add_node(num_cpus=2, num_gpus=2, object_store_memory=80 << 20, include_dashboard=False)
    try:
        executor, room = opened(cells[0], device="auto", jobs=0, runs=9, plugin_files=files)
        assert (room.device, room.jobs) == ("cuda", 2)
        requests = [replace(request_for(cell), device="cuda", plugin_files=files) for cell in cells]
        ends(executor, requests)
        logs = [(request.staging / "log.txt").read_text() for request in requests]
        seen = [re.search(r"GPU (\d+) given to process (\d+)", log).groups() for log in logs]
        assert {gpu for gpu, _ in seen} == {"0", "1"}
        deadline = time.monotonic() + 20
        while any(Path(f"/proc/{worker}").exists() for _, worker in seen) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(Path(f"/proc/{worker}").exists() for _, worker in seen)
    finally:
        executor.close()
        in_ray_cluster.remove_node(node)


def scores_of(store, cells):
    return [read_table(store.runs_path / cell.run_id, "metrics")["value"].tolist() for cell in cells]


def test_what_is_lost_with_a_node_goes_on_elsewhere_and_scores_the_same(
    in_ray_cluster, workshop, new_watcher, tmp_path
):
    epochs = {"max_epochs": 5, "patience": 5}
    cells = [workshop.cell(seed, behaviour="sleep", trainer=epochs) for seed in SEEDS]
    executor = RayExecutor()
    node = in_ray_cluster.add_node(num_cpus=1, object_store_memory=80 << 20, include_dashboard=False)

    class Killer(new_watcher):
        def epoch_finished(self, cell, record):
            super().epoch_finished(cell, record)
            places = {running.request.cell.run_id: running.node.id for running in executor._running}
            is_there = places.get(cell.run_id) == node.node_id and node in in_ray_cluster.list_all_nodes()
            if is_there and record["epoch"] == 3:
                in_ray_cluster.remove_node(node, allow_graceful=False)

    watcher, store = Killer(), Store.open(tmp_path / "store")
    options = Options("cpu", checkpoint_seconds=0.0)
    runner = SuiteRunner(workshop.host, workshop.sources, store, watcher, options, executor)
    assert runner.run("toy@1", cells) == {"ok": 6}
    assert watcher.announced == [(6, 3, "cpu")]
    (lost,) = watcher.lost
    assert read_run(store.runs_path / lost).facts["resumed"]
    assert watcher.epochs[lost] < 3 + 5
    assert not list(store.checkpoints.iterdir())
    # To sleep changes no number.
    awake = [workshop.cell(seed, trainer=epochs) for seed in SEEDS]
    here = replace(workshop, store=Store.open(tmp_path / "local store"))
    assert here.execute(awake, new_watcher()) == {"ok": 6}
    assert scores_of(store, cells) == scores_of(here.store, awake)


@pytest.mark.slow
def test_the_command_completes_a_suite_that_loses_one_of_three_nodes(
    ray_cluster, clean_environment, toy_plugin, tmp_path
):
    (tmp_path / "slow-toy.toml").write_text(SUITE)
    node = ray_cluster.add_node(num_cpus=1, object_store_memory=80 << 20, include_dashboard=False)

    def command(store, *more):
        options = ["--suite", tmp_path / "slow-toy.toml", "--plugin", toy_plugin, "--store", tmp_path / store]
        line = [sys.executable, "-P", "-m", "rmtl_bench.cli.main", "run", "--device", "cpu", *options, *more]
        return subprocess.Popen(
            [*map(str, line)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment
        )

    far = command("far", "--executor", "ray", "--address", ray_cluster.address)
    while far.poll() is None and len(list((tmp_path / "far" / "runs").glob("*"))) < 2:
        time.sleep(0.05)
    ray_cluster.remove_node(node, allow_graceful=False)
    out, said = far.communicate(timeout=120)
    assert far.returncode == 0, said
    assert out == ""
    assert "6 ok" in said
    assert "raylet" not in said.lower()
    near = command("near", "--jobs", "2")
    near.communicate(timeout=120)
    assert near.returncode == 0
    runs = sorted(path.name for path in (tmp_path / "near" / "runs").iterdir())
    assert runs == sorted(path.name for path in (tmp_path / "far" / "runs").iterdir())
    for run in runs:
        one, other = (read_table(tmp_path / store / "runs" / run, "metrics") for store in ("far", "near"))
        assert one["value"].tolist() == other["value"].tolist()
