"""Whether the nodes of a Ray cluster would make the same runs: their versions, code and data, before anything is run.

The question and the answer are plain data, so that a node with another version of the harness can give one.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.catalogue import PROJECT
from rmtl_bench.contracts.cell import Component
from rmtl_bench.contracts.errors import RmtlBenchError
from rmtl_bench.contracts.executor import Job
from rmtl_bench.data.preparation import default_cache_dir, default_data_dir
from rmtl_bench.execution import ray_tables
from rmtl_bench.execution.memory import can_be_measured
from rmtl_bench.execution.ray_tables import Table

SWITCHES = ("RMTL_BENCH_LOAD_PLUGINS", "RMTL_BENCH_DISABLE_PLUGINS", "RMTL_BENCH_STRICT_PLUGINS")
"""Variables of the environment that decide which plugins are loaded, and so hold on every node."""
_NUMERICAL = ("torch", "numpy")
"""Distributions whose version decides numbers, beside the plugins' own."""


def question(job: Job) -> dict[str, Any]:
    """Return what to ask every node."""
    files = {file.name for file in job.plugin_files}
    return {
        "plugins": sorted(name for name in job.plugins if name not in files),
        "files": [(file.name, file.read_bytes()) for file in job.plugin_files],
        "switches": {name: os.environ[name] for name in SWITCHES if name in os.environ},
        "tables": [
            (tuple(Table.of(data.dataset.name, data.fingerprint, data.folder)), vars(data.dataset)) for data in job.data
        ],
        "largest": ray_tables.LARGEST_SENT,
        "data_dir": None if job.data_dir is None else str(job.data_dir),
    }


def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Say what the machine that this runs on has. ``data``: by fingerprint, empty if there; else what is missing."""
    take_over(asked["switches"])
    return {
        **versions(asked["plugins"]),
        "memory": can_be_measured(),
        "data": {table[1]: _state(Table(*table), component, asked) for table, component in asked["tables"]},
    }


def versions(plugins: Iterable[str]) -> dict[str, Any]:
    """Return the versions of Python and of all that decides numbers, and a digest of the plugins' code."""
    names = (*plugins, *_NUMERICAL)
    return {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "versions": {name: _version(name) for name in names},
        "code": {name: code_of(name) for name in plugins},
    }


def differences(job: Job, mine: Mapping[str, Any], its: Mapping[str, Any], device: str) -> list[str]:
    """Return what keeps a node from making these runs as this machine would, data left out."""
    lines = []
    wanted = {name: mine["versions"].get(name) for name in _NUMERICAL}
    wanted |= {name: job.plugins[name] for name in mine["code"]}
    for name, version in {"Python": mine["python"], **wanted}.items():
        found = its["python"] if name == "Python" else its["versions"].get(name)
        if _public(found) != _public(version):
            lines.append(f"{name} {version} here, {found or 'none'} there")
        elif mine["code"].get(name) != its["code"].get(name):
            lines.append(f"{name} {version} has other code there")
    if device.startswith("cuda") and str(its["versions"]["torch"]).endswith("+cpu"):
        lines.append(f"torch {its['versions']['torch']} there cannot use its GPUs")
    if job.limits.memory is not None and not its["memory"]:
        lines.append("--memory-limit cannot be kept there: its system does not tell what a process holds")
    return lines


def code_of(distribution: str) -> str:
    """Return a digest of the Python and suite files of a distribution's packages; empty where there are none."""
    try:
        points = metadata.distribution(distribution).entry_points.select(group=PROJECT)
    except metadata.PackageNotFoundError:
        return ""
    digest = hashlib.sha256()
    for package in sorted({point.module.partition(".")[0] for point in points}):
        for folder, file in _files_of(package):
            digest.update(f"{package} {file.relative_to(folder).as_posix()}\n".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def take_over(switches: Mapping[str, str]) -> None:
    """Let the plugins that the command loads be loaded here, too."""
    for name in SWITCHES:
        os.environ.pop(name, None)
    os.environ.update(switches)


def plugin_files(files: Sequence[tuple[str, bytes]]) -> tuple[Path, ...]:
    """Write one-file plugins into this machine's cache, each under a digest of its content; return their paths."""
    paths = []
    for name, content in files:
        path = default_cache_dir() / "plugin-files" / hashlib.sha256(content).hexdigest()[:16] / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f".{name}.{os.getpid()}")
            aside.write_bytes(content)
            aside.replace(path)
        paths.append(path.resolve())
    return tuple(paths)


def prepare(fingerprint: str, component: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Prepare a table on the machine that this runs on, of raw files that are there."""
    take_over(asked["switches"])
    _sources(asked).prepare(Component(**component), fingerprint)


def _state(table: Table, component: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, str]:
    """Return how a table is to be had: ``state`` there, send, prepare, or lacking for the reason ``why``."""
    folder = ray_tables.find(table.name, table.fingerprint, Path(table.folder))
    if folder is not None:
        why = ray_tables.difference(table, folder)
        return {"state": "lacking", "why": f"{why}; delete the folder there"} if why else {"state": "there"}
    if table.size <= asked["largest"]:
        return {"state": "send"}
    try:
        found = _sources(asked).fingerprint(Component(**component))
    except RmtlBenchError as error:
        return {"state": "lacking", "why": " ".join(str(error).split())}
    if found != table.fingerprint:
        return {"state": "lacking", "why": f"its raw files give the fingerprint {found}, not {table.fingerprint}"}
    return {"state": "prepare"}


def _sources(asked: Mapping[str, Any]) -> Any:
    from rmtl_bench.execution.sources import DataSources
    from rmtl_bench.plugins import load_plugins

    told = Path(asked["data_dir"] or "")
    data_dir = told if asked["data_dir"] and told.is_dir() else default_data_dir()
    return DataSources(load_plugins(plugin_files(asked["files"])).registry, data_dir)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _public(version: str | None) -> str:
    """Return a version without what names its build: torch for the CPU and for CUDA count as one."""
    return (version or "").partition("+")[0]


def _files_of(package: str) -> list[tuple[Path, Path]]:
    """Return folder and path of the files of a package that decide what it does, without importing it."""
    spec = util.find_spec(package)
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [(Path(spec.origin).parent, Path(spec.origin))] if spec.origin else []
    folders = [Path(folder) for folder in spec.submodule_search_locations]
    return [
        (folder, file) for folder in folders for file in sorted(folder.rglob("*")) if file.suffix in (".py", ".toml")
    ]
