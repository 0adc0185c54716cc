"""The contract of a data set: from raw files to a table of sessions."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.schema import Schema

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class SessionTable:
    """N rows in session order, split by time.

    Rows of one split are contiguous, and within it rows of one session are contiguous and ordered in time,
    so that the next state of row i is row i+1 unless ``session_end[i]`` says otherwise.

    ``categorical`` int32 [N, F], ids in [0, size); ``numerical`` float32 [N, D]; ``labels`` float32 [N, K] of 0 and 1,
    0 where missing; ``label_mask`` bool [N, K] or ``None`` when none is missing; ``session`` and ``user`` int32 [N];
    ``timestamp`` int64 [N], milliseconds; ``session_end`` uint8 [N]: 0 where the session goes on, 1 where it ends, 2
    where a split boundary cuts it; ``split_sizes``: rows of train, valid and test, in this order; ``optimum`` float32
    [N, K], the true probabilities where the data are simulated; ``extra_tests``: rows by name of further test splits,
    which follow the test split in this order (``random-exposure``, say) and are measured beside it; ``notes``: what a
    reader of the results must know.
    """

    schema: Schema
    categorical: NDArray[np.int32]
    numerical: NDArray[np.float32]
    labels: NDArray[np.float32]
    session: NDArray[np.int32]
    user: NDArray[np.int32]
    timestamp: NDArray[np.int64]
    session_end: NDArray[np.uint8]
    split_sizes: tuple[int, int, int]
    label_mask: NDArray[np.bool_] | None = None
    optimum: NDArray[np.float32] | None = None
    extra_tests: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def splits(self) -> dict[str, int]:
        """Rows by split, the further test splits among them, in the order of the rows."""
        return {**dict(zip(SPLITS, self.split_sizes, strict=True)), **self.extra_tests}

    def split(self, name: str) -> slice:
        """Return the rows of split ``train``, ``valid`` or ``test``, or of a further test split."""
        start = 0
        for split, rows in self.splits.items():
            if split == name:
                return slice(start, start + rows)
            start += rows
        raise KeyError(name)


def scratch_array(scratch: Path, name: str, dtype: Any, shape: tuple[int, ...]) -> Any:
    """Return a new writable array of zeros, a memory map of ``<name>.npy`` in a folder of its own below ``scratch``.

    Its place on the disk is reserved: a full disk is an ``OSError`` here, where writing to a map without room would
    kill the process.
    """
    path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=scratch)) / f"{name}.npy"
    if 0 in shape:
        return np.zeros(shape, dtype)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


class Dataset(ABC):
    """A data set. Its parameters are the constructor's keyword arguments."""

    def raw_files(self, data_dir: Path) -> Sequence[Path]:
        """Return the raw files that :meth:`build` will read, below ``data_dir``; none if it reads no file.

        Their contents are a part of the data's fingerprint. Raises :class:`~rmtl_bench.contracts.errors.DataError`
        that says where the files are looked for and how to get them, when they are missing.
        """
        return ()

    @abstractmethod
    def build(self, data_dir: Path, scratch: Path) -> SessionTable:
        """Return the table. The same raw files and parameters must give the same table.

        ``scratch`` is an empty folder on the disk that the table will be stored on, and is gone afterwards: the place
        for whatever does not fit into memory. Arrays may be memory maps of ``.npy`` files in it.

        Raises :class:`~rmtl_bench.contracts.errors.DataError` naming file, column and value for malformed input.
        """
