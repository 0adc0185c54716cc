"""The file of a checkpoint: a nested state as one safetensors file, which is there whole or not at all.

A state is made of dicts with names or whole numbers as keys, lists, tuples, tensors, numbers, texts, ``None``, torch's
types and its devices. The tensors are the file's tensors; everything else is JSON in its metadata, beside the identity
of what was saved and a CRC-32 of all of it. Nothing is unpickled: to read a file from a stranger runs no code, and
takes memory in proportion to its size, the JSON being at most 8 MiB.
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

MOST_JSON = 2**23
"""The most characters that everything but the tensors may take."""

_KEY = "rmtl-bench checkpoint"
_CHECKSUM = "crc32"


class CheckpointError(Exception):
    """A checkpoint that is of no use. The text says why, in one line."""


def write(path: Path, identity: Mapping[str, str], state: Mapping[str, Any]) -> None:
    """Write a state in place of the file at ``path``, which stays as it was until the new one is on the disk.

    Raises ``CheckpointError`` if it cannot be written, or holds something that no state is made of.
    """
    tensors = _Tensors()
    text = json.dumps({"identity": dict(identity), "state": tensors.encoded(state)})
    if len(text) > MOST_JSON:
        raise CheckpointError(f"all but its tensors takes {len(text)} characters, more than {MOST_JSON}")
    try:
        _replace(path, tensors.named, {_KEY: text, _CHECKSUM: _checksum(text, tensors.named)})
    except (OSError, SafetensorError) as error:
        raise CheckpointError(getattr(error, "strerror", None) or " ".join(str(error).split())) from error


def is_there(path: Path) -> bool:
    """Return whether there is anything at ``path``, be it readable or not."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        pass
    return True


def tidy(path: Path) -> None:
    """Remove what a process has left behind that was killed while it wrote to ``path``."""
    with suppress(OSError):
        _aside(path).unlink(missing_ok=True)


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _replace(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    aside = _aside(path)
    try:
        save_file(dict(tensors), aside, dict(metadata))
        _sync(aside)
        aside.replace(path)
        _sync(path.parent)
    except BaseException:
        tidy(path)
        raise


def read(path: Path, identity: Mapping[str, str], device: torch.device) -> dict[str, Any]:
    """Return the state that :func:`write` wrote, its tensors where they were: on the CPU, or else on ``device``.

    Raises ``CheckpointError`` for a file that is damaged or no checkpoint, and one of another identity.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            # To open a pipe waits for ever.
            raise OSError("it is no regular file")
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            text = metadata.get(_KEY, "")
            if not text or len(text) > MOST_JSON:
                raise CheckpointError("it is no checkpoint")
            names = file.keys()
            # Copies: what the file maps into memory goes with the file.
            tensors = {name: file.get_tensor(name).clone() for name in names}
        if metadata.get(_CHECKSUM) != _checksum(text, tensors):
            raise CheckpointError("it is damaged: its checksum is another")
        content = json.loads(text)
        found, state = content["identity"], _decoded(content["state"], tensors, device)
    except CheckpointError:
        raise
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"it cannot be read: {' '.join(str(error).split())}") from error
    except Exception as error:
        # A stranger's file may hold JSON of any kind, and tensors of types that torch cannot copy.
        raise CheckpointError(f"it is damaged: {type(error).__name__}") from error
    _refuse_another(found, identity)
    if not isinstance(state, dict):
        raise CheckpointError("it is damaged: there is no state in it")
    return state


def _refuse_another(found: object, wanted: Mapping[str, str]) -> None:
    given = found if isinstance(found, dict) else {}
    for what, value in wanted.items():
        if given.get(what) != value:
            raise CheckpointError(f"it is of {what} {str(given.get(what))[:80]!r}, and this is {value!r}")


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    checksum = zlib.crc32(text.encode())
    for name in sorted(tensors):
        described = f"{name} {tensors[name].dtype} {list(tensors[name].shape)}"
        checksum = zlib.crc32(described.encode(), checksum)
        checksum = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, checksum)
    return f"{checksum:08x}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Tensors:
    """Gathers the tensors of a state by name, while what holds them becomes JSON."""

    def __init__(self) -> None:
        self.named: dict[str, Tensor] = {}
        self._memory: set[int] = set()

    def encoded(self, value: Any) -> Any:
        """Return a part of a state as JSON-ready data."""
        if isinstance(value, Tensor):
            return {"tensor": self._name(value), "device": value.device.type}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, Mapping):
            if any(type(key) not in (str, int) for key in value):
                raise CheckpointError(f"a dict has keys that are neither names nor whole numbers: {list(value)[:3]}")
            return {"dict": [[key, self.encoded(own)] for key, own in value.items()]}
        if type(value) in (tuple, torch.Size):
            return {"tuple": [self.encoded(own) for own in value]}
        if type(value) is list:
            return [self.encoded(own) for own in value]
        if isinstance(value, torch.dtype):
            return {"dtype": str(value).removeprefix("torch.")}
        if isinstance(value, torch.device):
            return {"device": value.type}
        raise CheckpointError(f"a state holds a {type(value).__name__}, which can be no part of it")

    def _name(self, tensor: Tensor) -> str:
        own = tensor.detach().cpu().contiguous()
        storage = own.untyped_storage()
        # The format refuses tensors that share memory, as tied parameters and views do.
        if storage.data_ptr() in self._memory or storage.nbytes() != own.nbytes:
            own = own.clone()
            storage = own.untyped_storage()
        self._memory.add(storage.data_ptr())
        name = f"{len(self.named)}"
        self.named[name] = own
        return name


def _decoded(value: Any, tensors: dict[str, Tensor], device: torch.device) -> Any:
    """Return what :meth:`_Tensors.encoded` was given. Raises one of several errors for JSON that it never makes."""
    if isinstance(value, list):
        return [_decoded(own, tensors, device) for own in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        # Each once: what is named many times would take more memory than the file.
        tensor = tensors.pop(value["tensor"])
        return tensor if value["device"] == "cpu" else tensor.to(device)
    ((kind, held),) = value.items()
    if kind == "dict":
        return {_checked_key(key): _decoded(own, tensors, device) for key, own in held}
    if kind == "tuple":
        return tuple(_decoded(own, tensors, device) for own in held)
    if kind == "dtype" and isinstance(found := getattr(torch, held), torch.dtype):
        return found
    if kind == "device":
        return torch.device("cpu") if held == "cpu" else device
    raise ValueError(f"nothing is encoded as {kind!r}")


def _checked_key(key: object) -> str | int:
    if type(key) is str or type(key) is int:
        return key
    raise ValueError(f"{key!r} is no key")
