"""Raw files brought from where their owners publish them, or the steps that bring them."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.source import Download, Source
from rmtl_bench.data.archives import is_archive, remove_leftovers, unpack
from rmtl_bench.data.download import FetchListener, download
from rmtl_bench.data.locks import try_lock

_MEMORY = ".fetched.json"


def fetch(
    name: str,
    source: Source,
    data_dir: Path,
    listener: FetchListener,
    *,
    offline: bool = False,
    keep_archives: bool = False,
) -> Path:
    """Bring a data set's raw files below ``data_dir`` and return their folder.

    What was fetched before, and is unchanged at its source as far as its checksum tells, is not fetched again. Raises
    :class:`DataError` for whatever goes wrong, with the steps to take by hand where nothing can be fetched, and with
    what would be fetched where ``offline``.
    """
    folder = data_dir / source.folder
    if not source.downloads and not source.kaggle:
        raise DataError(f"{name}: cannot be fetched without you\n{by_hand(source, data_dir)}")
    if offline and _is_fetched(source, folder):
        listener.say(f"{name}: was fetched before")
        return folder
    if offline:
        raise DataError(
            f"{name}: offline, so that nothing was downloaded\n{_would_fetch(source)}\n{by_hand(source, data_dir)}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = try_lock(folder / ".fetch.lock")
    except OSError as error:
        raise DataError(f"{name}: {folder} cannot be written: {error}") from error
    if lock is None:
        raise DataError(f"{name}: another command is fetching into {folder}; try again when it has finished")
    try:
        remove_leftovers(folder)
        for item in source.downloads:
            _fetch_file(name, item, folder, listener, keep_archives)
        if source.kaggle and not source.downloads:
            _fetch_from_kaggle(name, source.kaggle, folder, listener)
    except OSError as error:
        raise DataError(f"{name}: cannot be fetched into {folder}: {error}; what came is kept") from error
    finally:
        # Where an open file cannot be removed, it stays: without a holder it locks nobody out.
        with contextlib.suppress(OSError):
            (folder / ".fetch.lock").unlink(missing_ok=True)
        os.close(lock)
    return folder


def by_hand(source: Source, data_dir: Path) -> str:
    """Return the steps that bring the raw files without this command, a line each."""
    folder = shlex.quote(str((data_dir / source.folder).absolute()))
    steps = [step.replace("{folder}", folder) for step in source.steps]
    steps = steps or [f"put the files of {source.homepage} into {folder}"]
    numbered = [f"  {number}. {step}" for number, step in enumerate([f"mkdir -p {folder}", *steps], 1)]
    return "\n".join([f"  source: {source.homepage}", *numbered])


def _would_fetch(source: Source) -> str:
    sizes = [f"  {item.url}" + (f" ({item.size} bytes)" if item.size else "") for item in source.downloads]
    return "\n".join(["  it would come from", *(sizes or [f"  {source.homepage}, through kagglehub"]), "  or by hand:"])


def _fetch_file(name: str, item: Download, folder: Path, listener: FetchListener, keep_archives: bool) -> None:
    memory = _remembered(folder)
    if _is_here(memory, folder, item.name, url=item.url, checksum=item.checksum):
        listener.say(f"{name}: {item.name} was fetched before")
        return
    digest = download(item, folder, listener)
    path = folder / item.name
    files = [path]
    if is_archive(item.name):
        listener.say(f"{name}: unpacking {item.name}")
        files = unpack(path, folder)
        if not keep_archives:
            path.unlink()
    names = [str(file.relative_to(folder)) for file in files]
    memory[item.name] = {"url": item.url, "checksum": item.checksum, "sha256": digest, "files": names}
    _remember(folder, memory)


def _fetch_from_kaggle(name: str, handle: str, folder: Path, listener: FetchListener) -> None:
    memory = _remembered(folder)
    if _is_here(memory, folder, handle):
        listener.say(f"{name}: {handle} was fetched before")
        return
    try:
        import kagglehub
    except ImportError as error:
        raise DataError(
            f"{name}: comes through kagglehub, which is not installed; type: pip install 'rmtl-bench[kaggle]'"
        ) from error
    listener.say(f"{name}: kagglehub brings {handle}")
    try:
        found = Path(kagglehub.dataset_download(handle))
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{name}: kagglehub cannot bring {handle}: {reason}") from error
    files = [path for path in sorted(found.rglob("*")) if path.is_file()]
    for path in files:
        _place(path, folder / path.relative_to(found))
    _remember(folder, {**memory, handle: {"files": [str(path.relative_to(found)) for path in files]}})


def _place(path: Path, target: Path) -> None:
    """Put a file of kagglehub's cache at ``target``, whole or not at all, and without a second copy if possible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.part")
    aside.unlink(missing_ok=True)
    try:
        os.link(path, aside)
    except OSError:
        shutil.copyfile(path, aside)
    aside.replace(target)


def _is_fetched(source: Source, folder: Path) -> bool:
    """Return whether nothing would be brought."""
    memory = _remembered(folder)
    if not source.downloads:
        return _is_here(memory, folder, source.kaggle)
    return all(_is_here(memory, folder, item.name, url=item.url, checksum=item.checksum) for item in source.downloads)


def _is_here(memory: Mapping[str, Any], folder: Path, key: str, **asked: str) -> bool:
    """Return whether what ``memory`` holds under ``key`` came from where it is asked for now, and is still there."""
    known = memory.get(key)
    if not isinstance(known, dict) or any(known.get(name) != value for name, value in asked.items()):
        return False
    files = known.get("files")
    return isinstance(files, list) and bool(files) and all((folder / str(file)).is_file() for file in files)


def _remembered(folder: Path) -> dict[str, Any]:
    try:
        memory = json.loads((folder / _MEMORY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return memory if isinstance(memory, dict) else {}


def _remember(folder: Path, memory: Mapping[str, Any]) -> None:
    aside = folder / f"{_MEMORY}.part"
    aside.write_text(json.dumps(memory, indent=1), encoding="utf-8")
    aside.replace(folder / _MEMORY)
