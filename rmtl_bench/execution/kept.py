"""What a run keeps for the runs that build on it, as a file of tensors."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rmtl_bench.contracts.errors import StoreError

LARGEST = 16 << 30
"""The most bytes that the file may have; a tensor takes as many as it has in the file, whatever its header says."""


def write_kept(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors of any shape and device by name."""
    # Copies: the format refuses tensors that share memory, as tied parameters and views do.
    copies = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    save_file(copies, path)


def read_kept(path: Path, run_id: str) -> dict[str, Tensor]:
    """Return what :func:`write_kept` wrote, on the CPU.

    The format holds numbers and names alone, no code. Raises :class:`StoreError` naming the run that kept it and the
    file when that is missing or damaged, a link or no regular file, or larger than :data:`LARGEST`.
    """
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
            raise OSError(f"it takes a regular file of at most {LARGEST:,} bytes")
        return load_file(path)
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise StoreError(f"what the source run {run_id} kept cannot be read: {path}: {reason}") from error
