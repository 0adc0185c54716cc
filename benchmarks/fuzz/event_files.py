"""Event tables: RetailRocket's raw files, plain and gzipped, damaged, and built into a session table."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from benchmarks.fuzz.values import HOSTILE_NUMBERS, HOSTILE_TEXTS, damaged_bytes
from rmtl_bench.contracts.cell import Component
from rmtl_bench.data.checks import check_table
from rmtl_bench.data.preparation import fingerprint
from rmtl_bench.plugins import load_plugins

NAME = "retailrocket"
_EVENTS, _TREE, _PROPERTIES = "events.csv", "category_tree.csv", "item_properties_part1.csv"
_MONDAY = 1_650_816_000_000
_MINUTE = 60_000
# Amid a range: its ends are drawn more often than the rest.
_RARE = 57

_cells = st.one_of(
    st.sampled_from(("", "nan", "inf", "-1", "1e30", "1.5", "4.0", "0x10", "1_000", "9" * 400, "view", '"', "NULL")),
    st.sampled_from([str(number) for number in HOSTILE_NUMBERS]),
    st.sampled_from(HOSTILE_TEXTS),
    st.integers(0, 100).map(str),
    st.text(max_size=5),
)


class RawFiles(NamedTuple):
    """The raw files by name; those that are gzipped, and ``None`` for one that is a pipe."""

    contents: dict[str, bytes | None]
    gzipped: frozenset[str]


def _rows() -> dict[str, list[list[str]]]:
    kinds = ("view", "view", "addtocart", "view", "transaction")
    events = [["timestamp", "visitorid", "event", "itemid", "transactionid"]]
    for at in range(60):
        kind = kinds[at % 5]
        paid = str(at) if kind == "transaction" else ""
        events.append([str(_MONDAY + at * 7 * _MINUTE), str(at % 4), kind, str(at % 3), paid])
    properties = [["timestamp", "itemid", "property", "value"]]
    properties += [[str(_MONDAY), str(item), "categoryid", str(item + 1)] for item in range(3)]
    properties += [[str(_MONDAY + _MINUTE), str(item), "785", "n1.000"] for item in range(3)]
    tree = [["categoryid", "parentid"], ["1", ""], ["2", "1"], ["3", "2"]]
    return {_EVENTS: events, _TREE: tree, _PROPERTIES: properties}


def raw_files() -> st.SearchStrategy[RawFiles]:
    """The files, of which one is damaged at least as often as not."""
    whole = _rows()

    @st.composite
    def one(draw: Callable[..., Any]) -> RawFiles:
        named = draw(st.sampled_from(((_EVENTS,), (_EVENTS,), (_EVENTS, _TREE, _PROPERTIES))))
        target = draw(st.sampled_from(named))
        rows = [list(row) for row in whole[target]]
        size = draw(st.sampled_from((None, None, None, None, None, None, 0, 1, 2, 4)))
        rows = rows if size is None else rows[:size]
        for _ in range(draw(st.integers(0, 4)) if rows else 0):
            row = rows[draw(st.integers(0, min(len(rows), 40) - 1))]
            action = draw(st.sampled_from(("cell", "cell", "cell", "longer", "shorter", "column")))
            if action == "longer":
                row.append(draw(_cells))
            elif action == "shorter":
                del row[draw(st.integers(0, len(row))) :]
            elif action == "column" and row:
                column, value = draw(st.integers(0, len(row) - 1)), draw(_cells)
                for other in rows[1:]:
                    other[column : column + 1] = [value]
            elif row:
                row[draw(st.integers(0, len(row) - 1))] = draw(_cells)
        content = _csv(
            rows, draw(st.sampled_from((",", ",", ",", ";", "\t"))), draw(st.sampled_from(("\n", "\r\n", "\r")))
        )
        if draw(st.integers(0, 3)) == 2:
            content = draw(damaged_bytes(content))
        contents: dict[str, bytes | None] = {name: _csv(whole[name]) for name in named}
        contents[target] = content
        gzipped: frozenset[str] = frozenset()
        if draw(st.integers(0, 5)) == 3:
            gzipped = frozenset((target,))
            packed = gzip.compress(content, 1)
            contents[target] = packed if draw(st.booleans()) else draw(damaged_bytes(packed))
        if draw(st.integers(0, 99)) == _RARE:
            contents[target] = None
        return RawFiles(contents, gzipped)

    return one()


def _csv(rows: list[list[str]], delimiter: str = ",", end: str = "\n") -> bytes:
    return "".join(delimiter.join(row) + end for row in rows).encode("utf-8", "surrogatepass")


def event_reader(folder: Path) -> Callable[[RawFiles], None]:
    """Return what builds and checks the table of raw files, as ``data prepare`` does, and keeps none."""
    entry = load_plugins().registry.find("dataset", NAME)
    component: Component = entry.component({})
    dataset = entry.load()(**component.parameters)
    raw, scratch, cache = folder / "raw", folder / "scratch", folder / "cache"

    def read(files: RawFiles) -> None:
        rewrite(files, raw)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        fingerprint(dataset, component, raw, cache)
        check_table(dataset.build(raw, scratch), NAME)

    return read


def rewrite(files: RawFiles, data_dir: Path) -> None:
    """Write raw files where the data set looks for them, and remove those that were there."""
    shutil.rmtree(data_dir, ignore_errors=True)
    write(files, data_dir / NAME)


def write(files: RawFiles, folder: Path) -> None:
    """Write raw files into a folder, made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.contents.items():
        path = folder / (f"{name}.gz" if name in files.gzipped else name)
        if content is None:
            os.mkfifo(path)
        else:
            path.write_bytes(content)
