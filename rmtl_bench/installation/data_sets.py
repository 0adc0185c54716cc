"""The folder of raw files, and which data sets have theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from rmtl_bench.contracts.catalogue import DatasetInfo
from rmtl_bench.contracts.errors import DataError, PluginError
from rmtl_bench.data.preparation import default_data_dir
from rmtl_bench.installation.finding import Finding
from rmtl_bench.installation.plugins import load_all
from rmtl_bench.plugins import Entry


def data_sets(_store_path: Path) -> Iterator[Finding]:
    """Yield what is found of the data sets with their default parameters; no raw file is read."""
    folder = default_data_dir()
    yield Finding("raw files", "ok" if folder.is_dir() else "note", f"{folder}" + _absent(folder))
    missing, usable = [], []
    for entry in load_all().registry.entries("dataset"):
        if entry.info.obstacle:
            continue
        fault = _raw_files(entry, folder)
        if fault is None:
            missing.append(entry.info.name)
        elif fault:
            subject = f"data set {entry.info.name} ({entry.origin})"
            yield Finding(subject, "problem", fault, "rmtl-bench data list", PluginError.exit_code)
        else:
            usable.append(entry.info.name)
    if usable:
        yield Finding("data sets", "ok", f"to be used as they are: {', '.join(usable)}")
    if missing:
        yield Finding("data sets", "note", f"without raw files: {', '.join(missing)}", "rmtl-bench data fetch NAME")


def _absent(folder: Path) -> str:
    return "" if folder.is_dir() else ", which is not there: nothing was fetched yet"


def _raw_files(entry: Entry, folder: Path) -> str | None:
    """Return what is wrong with a data set; ``None`` where only its raw files are missing, empty where nothing is."""
    if cast("DatasetInfo", entry.info).source is None:
        return ""
    try:
        entry.load()(**entry.info.resolve({})).raw_files(folder)
    except DataError:
        return None
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""
