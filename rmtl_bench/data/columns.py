"""One array of a split, read from its file: in order, or row by row through its memory map."""

from __future__ import annotations

import mmap
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.errors import DataError


class Column:
    """The rows ``start`` to ``stop`` of an array [N, ...], of which nothing is kept in memory.

    An array that is no memory map, or not one in the order of rows, is sliced instead of read.
    """

    def __init__(self, array: NDArray[Any], rows: slice) -> None:
        self._array = array
        self._rows = rows
        self._path = _file_of(array)
        self._offset = int(getattr(array, "offset", 0))
        self._map: mmap.mmap | None = None
        self.dtype = array.dtype
        self.row_shape = array.shape[1:]
        self.row_bytes = int(np.prod(self.row_shape, dtype=np.int64)) * array.dtype.itemsize

    def __len__(self) -> int:
        return int(self._rows.stop - self._rows.start)

    @property
    def mapped(self) -> NDArray[Any]:
        """All rows of the split, as a view of the array: a page is read when it is looked at."""
        return self._array[self._rows]

    def read(self, start: int, stop: int, into: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the rows ``start`` to ``stop`` of the split, read at once; ``into`` [stop - start, ...] receives them.

        Raises :class:`~rmtl_bench.contracts.errors.DataError` where the file has become shorter than its header says.
        """
        if into is None:
            into = np.empty((stop - start, *self.row_shape), self.dtype)
        if self._path is None:
            into[:] = self.mapped[start:stop]
        elif into.size:
            self._read_file(self._path, start, into)
        return into

    def gather(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the rows at these positions [B] of the split, each a page read where it is not in memory yet."""
        return np.asarray(self._scattered[rows])

    def let_go(self) -> None:
        """Give the pages back that :meth:`gather` has looked at; the system still has them at hand while it can."""
        self._advise("MADV_DONTNEED")

    @cached_property
    def _scattered(self) -> NDArray[Any]:
        """The rows of the split through a map of its own, in which the system reads no page in advance."""
        if self._path is None:
            return self.mapped
        again: Any = np.memmap(self._path, self.dtype, "r", self._offset, self._array.shape)
        self._map = again.base
        self._advise("MADV_RANDOM")
        return np.asarray(again[self._rows])

    def _advise(self, advice: str) -> None:
        option = getattr(mmap, advice, None)
        if self._map is not None and option is not None:
            self._map.madvise(option)

    def _read_file(self, path: Path, start: int, into: NDArray[Any]) -> None:
        # Not through the map: its pages would count as this process's memory until the system takes them back.
        left = into.reshape(-1).view(np.uint8).data
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(self._offset + (int(self._rows.start) + start) * self.row_bytes)
                while left and (count := file.readinto(left)):
                    left = left[count:]
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error}") from error
        if left:
            raise DataError(f"{path}: ends {len(left)} bytes before the rows that were asked for")


def _file_of(array: NDArray[Any]) -> Path | None:
    """Return the file in which the rows of an array lie one after another, if there is one."""
    name = getattr(array, "filename", None)
    whole = isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap)
    return Path(name) if name and whole and array.flags.c_contiguous else None
