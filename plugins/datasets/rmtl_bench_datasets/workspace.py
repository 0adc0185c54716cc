"""A DuckDB database for one preparation, and CSV files read into it with errors a user can act on."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.wording import printable

MEMORY = "4GB"
"""What DuckDB may hold in memory before it spills to the disk."""

HEADER_BYTES = 1 << 20
"""The most bytes that the header of a CSV file may have."""

HEADER_COLUMNS = 1_000
"""The most columns that a CSV file may have."""

_SHOWN = 300


@contextmanager
def workspace(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection to a database below ``scratch`` that is gone afterwards: data may be larger than memory."""
    with tempfile.TemporaryDirectory(prefix="duckdb-", dir=scratch, ignore_cleanup_errors=True) as folder:
        settings = {"temp_directory": str(Path(folder) / "spill"), "memory_limit": MEMORY}
        try:
            with duckdb.connect(str(Path(folder) / "work.duckdb"), config=settings) as connection:
                # A bar on standard output would stand in what a command says there.
                run(connection, "SET enable_progress_bar = false")
                run(connection, "CREATE TABLE ignored_columns (file VARCHAR, name VARCHAR)")
                yield connection
        except duckdb.Error as error:
            if not _disk_is_full(error):
                raise
            raise DataError(f"DuckDB cannot go on in {scratch}: {_one_line(error)}") from error


def _disk_is_full(error: duckdb.Error) -> bool:
    """Return whether the place of the database is what fails, and not a raw file."""
    return isinstance(error, duckdb.OutOfMemoryException) or any(
        reason in str(error) for reason in ("No space left", "File too large", "Could not write", "max_temp_directory")
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def run(con: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, object] | None = None) -> list[tuple]:  # type: ignore[type-arg]
    """Execute ``query`` with ``$name`` parameters bound, and return all its rows."""
    return con.execute(query, dict(parameters) if parameters else None).fetchall()


def ignored_columns(con: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """Return, for the notes, the columns of the files read that nothing asked for."""
    names = run(con, "SELECT file || ': ' || name FROM ignored_columns ORDER BY ALL")
    return {"columns_ignored": [name for (name,) in names]} if names else {}


@dataclass(frozen=True)
class Column:
    """One column of a CSV file: its type, whether it may be empty, and its only values where it has few.

    The type is VARCHAR, DOUBLE for finite numbers or BIGINT for whole numbers up to 2**53 in size.
    """

    type: str = "VARCHAR"
    required: bool = False
    values: tuple[str | int, ...] = ()


KEY = Column("BIGINT", required=True)
NUMBER = Column("DOUBLE")
TEXT = Column()
FLAG = Column("BIGINT", required=True, values=(0, 1))

# Up to here every whole number is a number of its own in floating point.
_LARGEST = 2**53


def read_csv(
    con: duckdb.DuckDBPyConnection,
    table: str,
    path: Path,
    columns: Mapping[str, Column],
    where: str = "",
    unused: Sequence[str] = (),
) -> None:
    """Create the view ``table`` of ``columns`` of a CSV file with a header, plain or gzipped, ignoring the others.

    Of the others, those that are not ``unused``, known but without use, are noted (:func:`ignored_columns`).
    ``where`` keeps a part of the rows. Raises :class:`DataError` with one line naming the file and the line,
    the column or the value, for a missing column, a row cut short, a value that is no number or a broken file.
    """
    header = _header(path)
    missing = [name for name in columns if name not in header]
    if missing:
        raise DataError(f"{path}: column {missing[0]!r} is missing; the header has {_in_line(', '.join(header))}")
    for name in header:
        if name not in columns and name not in unused:
            run(con, "INSERT INTO ignored_columns VALUES ($file, $name)", {"file": path.name, "name": name})
    # As whole numbers DuckDB would round 0.4 to 0: they are read as numbers, checked, and seen through a view.
    types = dict.fromkeys(header, "VARCHAR") | {name: _read_as(column) for name, column in columns.items()}
    names = ", ".join(f'"{name}"' for name in columns)
    read = f"{table}_read"
    query = f"""
        CREATE TABLE {read} AS
        SELECT {names}
        FROM read_csv($path, auto_detect = false, header = true, delim = ',', quote = '"', escape = '"',
                      compression = $compression, columns = $types)
        {where}
    """  # noqa: S608 -- names come from the header that was checked against the columns asked for
    values = {"path": _escaped(path), "compression": "gzip" if path.suffix == ".gz" else "none", "types": types}
    try:
        run(con, query, values)
    except duckdb.Error as error:
        if _disk_is_full(error):
            raise
        raise DataError(f"{path}: {_in_one_line(str(error), columns)}") from error
    if not run(con, f"SELECT 1 FROM {read} LIMIT 1"):  # noqa: S608
        raise DataError(f"{path}: the file has no rows{' of use' if where else ''}")
    for name, column in columns.items():
        _check_column(con, read, path, name, column, numbered=not where)
    typed = ", ".join(f'"{name}"::{column.type} AS "{name}"' for name, column in columns.items())
    run(con, f"CREATE VIEW {table} AS SELECT {typed} FROM {read}")  # noqa: S608


def check_unique(con: duckdb.DuckDBPyConnection, table: str, column: str, path: Path) -> None:
    """Raise :class:`DataError` if a value of ``column`` stands twice, for joining would then multiply rows."""
    twice = run(con, f'SELECT "{column}" FROM {table} GROUP BY ALL HAVING count(*) > 1 ORDER BY 1 LIMIT 1')  # noqa: S608
    if twice:
        raise DataError(f"{path}: column {column!r} has value {twice[0][0]} twice; it must be unique")


def _header(path: Path) -> list[str]:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            begun = file.read(HEADER_BYTES + 1)
        # A header may run over lines, where a quote does; what lies beyond is no header that anybody wrote.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(begun, final=len(begun) <= HEADER_BYTES)
        header = next(csv.reader(io.StringIO(text, newline="")), [])
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not header:
        raise DataError(f"{path}: the file is empty")
    if len(header) > HEADER_COLUMNS or (len(begun) > HEADER_BYTES and not {"\n", "\r"} & set(text)):
        raise DataError(
            f"{path}: the header has more than {HEADER_COLUMNS} columns or {HEADER_BYTES} bytes; is it a CSV file?"
        )
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise DataError(f"{path}: column {_shown(twice[0])!r} stands twice in the header")
    return header


def _in_line(text: str) -> str:
    return _shown(" ".join(printable(text).split()))


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _read_as(column: Column) -> str:
    return "DOUBLE" if column.type == "BIGINT" else column.type


def _escaped(path: Path) -> str:
    """Return the path for a function that takes patterns."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def _check_column(
    con: duckdb.DuckDBPyConnection, table: str, path: Path, name: str, column: Column, *, numbered: bool
) -> None:
    bad = []
    if column.required:
        bad.append(f'"{name}" IS NULL')
    if column.values:
        bad.append(f'"{name}" NOT IN ({", ".join(repr(value) for value in column.values)})')
    if column.type == "DOUBLE":
        bad.append(f'NOT isfinite("{name}")')
    if column.type == "BIGINT":
        bad.append(f'"{name}" <> trunc("{name}") OR NOT abs("{name}") <= {_LARGEST}')
    if not bad:
        return
    found = run(con, f'SELECT rowid, "{name}" FROM {table} WHERE {" OR ".join(bad)} ORDER BY rowid LIMIT 1')  # noqa: S608
    if not found:
        return
    row, value = found[0]
    line = f"line {row + 2}, " if numbered else ""
    shown = int(value) if isinstance(value, float) and value.is_integer() else value
    shown = _shown(shown) if isinstance(shown, str) else shown
    what = "is empty" if value is None else f"is {shown!r}; it must be {_right(column)}"
    raise DataError(f"{path}: {line}column {name!r} {what}")


def _right(column: Column) -> str:
    """Return what a value of ``column`` has to be."""
    if column.values:
        return f"one of {', '.join(map(str, column.values))}"
    return "a whole number" if column.type == "BIGINT" else "a finite number"


def _in_one_line(message: str, columns: Mapping[str, Column]) -> str:
    """Return what of DuckDB's many lines a user needs."""
    line = re.search(r"CSV Error on Line: (\d+)", message)
    where = f"line {line[1]}: " if line else ""
    if found := re.search(r'converting column "(.*)"\. Could not convert string "(.*)" to', message):
        # The value is quoted as it stands in the file, and may hold what looks like the rest of the message.
        right = _right(columns[found[1]]) if found[1] in columns else "a number"
        return f"{where}column {_shown(found[1])!r} is {_shown(found[2])!r}; it must be {right}"
    if found := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message):
        cut = "; is the file cut short?" if int(found[2]) < int(found[1]) else ""
        return f"{where}{found[2]} column{'s' * (found[2] != '1')} instead of {found[1]}{cut}"
    if "unterminated quote" in message:
        return f"{where}a quote that is never closed; is the file cut short?"
    if "not utf-8" in message:
        return f"{where}the text is not UTF-8"
    if "GZIP" in message:
        return "not a whole gzip file; is the download cut short?"
    return where + _in_line(message.splitlines()[0])
