"""Simulated sessions whose true probabilities are known: how far a model is from the best there can be.

A row x has eight categorical fields (of the user, the item and the context) and three numbers. Task k has a predictor
eta_k(x), a sum of one effect per value of each field, linear terms and two interactions, with mean 0 and standard
deviation ``signal``. Its own event is

    y_k = 1[ b_k + eta_k(x) + sqrt(rho) u_{k,session} + sqrt(1 - rho) e > 0 ],    u, e ~ N(0, 1) independent,

so that P(y_k = 1 | x) = Phi(b_k + eta_k(x)) exactly, whatever the dependence rho of the rows of a session. In a funnel
the label of task k is its event AND the label of task k-1, whose session effects are independent, so that its
probability is the product of the Phi along the chain. The intercepts b_k make the mean probability of each label its
rate.

A session is a *page*, ``session_length`` rows of which the field slot counts the places, so that a state tells how much
of its session is left; or its length is *geometric* and the slot drawn at random, so that no state tells anything of
what will follow, but for its user.

Rows come in *blocks* of 2**20, so that memory holds one block at a time, however many there are. The effects are drawn
once. Each block has users and sessions of its own, the last of which the number of its rows may cut short, and fourteen
days that begin after the last row of the block before. The means and scales of the predictors and the intercepts are
those of the first block: there the rates and the correlation of the predictors are exact, over more blocks they hold up
to sampling error. The probabilities are exact in every block. The splits have their shares of all rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtl_bench.contracts.dataset import Dataset, SessionTable, scratch_array
from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.contracts.schema import CategoricalField, Schema, Task
from rmtl_bench_datasets.sessions import check_shares
from rmtl_bench_datasets.simulated_blocks import (
    FIELDS,
    NUMERICAL,
    Floats,
    Integers,
    Rows,
    Truth,
    draw_labels,
    draw_rows,
)

BLOCK_ROWS = 2**20
"""Rows of a block: of what is in memory at a time. Another number gives other data beyond the first block."""

_START_MS = 1_700_000_000_000


class Simulated(Dataset):
    """Simulated sessions with known true probabilities (``optimum``); the module says how they are made.

    ``conflict`` c makes the predictors of consecutive tasks correlate at 1 - 2c over the rows, exactly so over those of
    the first block: at 0 the tasks agree, at 0.5 they have nothing in common, at 1 they are opposed. The tasks are
    click, purchase, task-3 and so on; a rate that is not given is a quarter of the one before. Rows are in the order of
    time and the splits are by time.
    """

    def __init__(
        self,
        *,
        rows: int = 50_000,
        tasks: int = 2,
        rates: Sequence[float] = (0.2, 0.05),
        conflict: float = 0.3,
        dependence: float = 0.3,
        signal: float = 0.6,
        sessions: str = "page",
        session_length: float = 5.0,
        funnel: bool = True,
        split: Sequence[float] = (0.6, 0.2, 0.2),
        seed: int = 0,
    ) -> None:
        self._rows, self._rates, self._funnel = rows, _rates(rates, tasks, funnel), funnel
        self._conflict, self._dependence, self._signal = conflict, dependence, signal
        self._sessions, self._session_length = sessions, session_length
        self._shares, self._seed = check_shares(split), seed
        if sessions == "page" and session_length % 1:
            raise UsageError(f"parameter 'session_length' is {session_length}; a page has a whole number of rows")
        self._fields = {**FIELDS, "slot": round(session_length)} if sessions == "page" else FIELDS
        names = ["click", "purchase", *(f"task-{number}" for number in range(3, tasks + 1))][:tasks]
        parents = [None, *names[:-1]] if funnel else [None] * tasks
        self._tasks = tuple(Task(name, parent) for name, parent in zip(names, parents, strict=True))

    def build(self, data_dir: Path, scratch: Path) -> SessionTable:
        """Return the table; the same parameters give the same table."""
        root = np.random.default_rng(self._seed)
        rows_stream, effect_stream, label_stream = root.spawn(3)
        truth = Truth(self._fields, self._rates, self._funnel, self._conflict, self._signal, effect_stream)
        fields = tuple(CategoricalField(name, size + 1) for name, size in self._fields.items())
        table = _Table(Schema(fields, NUMERICAL, self._tasks), self._rows, scratch)
        while table.filled < self._rows:
            self._add_block(table, truth, rows_stream, label_stream)
            rows_stream, label_stream = root.spawn(2)
        return table.complete()

    def _add_block(
        self, table: _Table, truth: Truth, rows_stream: np.random.Generator, label_stream: np.random.Generator
    ) -> None:
        """Add the next block; what it takes to make it is not kept."""
        count = min(BLOCK_ROWS, self._rows - table.filled)
        lengths = self._draw_lengths(count, rows_stream)
        rows = draw_rows(count, lengths, self._sessions == "page", table.free_from, rows_stream)
        optimum, own = truth.of(rows)
        labels = draw_labels(own, rows.session, self._dependence, label_stream)
        if self._funnel:
            labels = np.logical_and.accumulate(labels, axis=1)
        shares = (self._shares[0], self._shares[0] + self._shares[1])
        cuts = [min(round(self._rows * share), self._rows - 1) - table.filled for share in shares]
        table.append(rows, _split(rows.time, cuts), labels, optimum)

    def _draw_lengths(self, count: int, stream: np.random.Generator) -> Integers:
        """Return the lengths of enough sessions for ``count`` rows."""
        if self._sessions == "page":
            length = round(self._session_length)
            return np.full(-(-count // length), length)
        lengths = stream.geometric(1 / self._session_length, count)
        return lengths[: int(np.searchsorted(np.cumsum(lengths), count)) + 1]


class _Table:
    """A session table on the disk that is filled a block at a time."""

    def __init__(self, schema: Schema, rows: int, scratch: Path) -> None:
        forms: dict[str, tuple[Any, tuple[int, ...]]] = {
            "categorical": (np.int32, (rows, len(schema.categorical))),
            "numerical": (np.float32, (rows, len(schema.numerical))),
            "labels": (np.float32, (rows, len(schema.tasks))),
            "session": (np.int32, (rows,)),
            "user": (np.int32, (rows,)),
            "timestamp": (np.int64, (rows,)),
            "session_end": (np.uint8, (rows,)),
            "optimum": (np.float32, (rows, len(schema.tasks))),
        }
        self._arrays = {name: scratch_array(scratch, name, dtype, shape) for name, (dtype, shape) in forms.items()}
        self._schema, self._sizes = schema, np.zeros(3, np.int64)
        self._sessions = self._users = self._cut = 0
        self.filled = 0
        """Rows so far."""
        self.free_from = _START_MS
        """The first moment after them."""

    def append(self, rows: Rows, split: Integers, labels: NDArray[np.bool_], optimum: Floats) -> None:
        """Add rows in the order of time; their sessions and users are none of those before."""
        order, session, ends = _lay_out(rows, split)
        at = slice(self.filled, self.filled + len(order))
        self._arrays["categorical"][at] = rows.codes[order] + 1
        self._arrays["numerical"][at] = rows.numbers[order]
        self._arrays["labels"][at] = labels[order]
        self._arrays["session"][at] = session + self._sessions
        self._arrays["user"][at] = rows.user[order] + self._users
        self._arrays["timestamp"][at] = rows.time[order]
        self._arrays["session_end"][at] = ends
        self._arrays["optimum"][at] = optimum[order]
        self._sizes += np.bincount(split, minlength=3)
        self._sessions += int(session[-1]) + 1
        self._users += int(rows.user.max()) + 1
        self._cut += int(np.count_nonzero(ends == 2))
        self.filled, self.free_from = at.stop, int(rows.time[-1]) + 1

    def complete(self) -> SessionTable:
        """Return the table."""
        train, valid, test = (int(size) for size in self._sizes)
        notes = {"source": "simulated", "sessions_cut_by_a_split": self._cut}
        return SessionTable(schema=self._schema, **self._arrays, split_sizes=(train, valid, test), notes=notes)


def _rates(rates: Sequence[float], tasks: int, funnel: bool) -> list[float]:
    """Return one rate a task."""
    filled = list(rates[:tasks])
    while filled and len(filled) < tasks:
        filled.append(filled[-1] / 4)
    falling = all(later < earlier for earlier, later in itertools.pairwise(filled))
    if not filled or min(filled) <= 0 or max(filled) >= 1 or (funnel and not falling):
        raise UsageError(f"parameter 'rates' is {tuple(rates)}; it takes shares between 0 and 1" + ", falling" * funnel)
    return filled


def _split(time: Integers, cuts: Sequence[int]) -> Integers:
    """Return 0, 1 or 2 for each row: how many of the ``cuts`` are at or before it.

    ``time`` [N] is sorted, and equal times are never parted. A cut is a row's number, or lies before or after the rows.
    """
    split = np.zeros(len(time), np.int64)
    for cut in cuts:
        if cut < len(time):
            split += time >= time[max(cut, 0)]
    return split


def _lay_out(rows: Rows, split: Integers) -> tuple[Integers, NDArray[np.int32], NDArray[np.uint8]]:
    """Return the order of the rows, the sessions in that order, and where they end (1) or are cut (2)."""
    part = rows.session * 3 + split
    _, first, of_row = np.unique(part, return_index=True, return_inverse=True)
    order = np.lexsort((first[of_row], split))
    starts = np.flatnonzero(np.diff(part[order], prepend=-1))
    lengths = np.diff(starts, append=len(part))
    session = np.repeat(np.arange(len(starts), dtype=np.int32), lengths)
    last_split = np.zeros(int(rows.session.max()) + 1, np.int64)
    np.maximum.at(last_split, rows.session, split)
    ends = np.zeros(len(part), np.uint8)
    last = starts + lengths - 1
    ends[last] = 1 + (split[order][last] < last_split[rows.session[order][last]])
    return order, session, ends
