"""Rows that have neither a time nor a number of their own: put in order, told apart and parted by what they hold.

MD5 is the same on every machine and with every version of DuckDB, which the function ``hash`` is not.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from rmtl_bench_datasets.workspace import run

_PARTS = 1_000_000

# An MD5 is cut to 64 bits before it is divided or written: of 128 DuckDB makes either at a tenth of the speed or less.
_64_BITS = "(({md5}) & 18446744073709551615::UHUGEINT)::UBIGINT"

# Texts are parted by a character that no value holds. A missing value is the empty text, as in the file.
_DIGESTS = """
    CREATE TABLE {target}_digests AS
    SELECT rowid AS source_row, {kept}, md5_number(concat_ws(chr(31), {texts})) AS digest
    FROM {source}
"""

# Sorted are these few columns and not the whole rows. Rows of equal digest are equal: either may be the first.
_NUMBERED = """
    CREATE TABLE {target} AS
    SELECT
        source_row, {kept}, {hash} AS hash,
        row_number() OVER content AS tie, row_number() OVER content - rank() OVER content AS copy
    FROM {target}_digests
    WINDOW content AS (ORDER BY {groups}, digest)
"""


def number_rows(
    con: duckdb.DuckDBPyConnection,
    source: str,
    target: str,
    groups: Sequence[str],
    columns: Sequence[str],
    carried: Sequence[str] = (),
) -> None:
    """Create the table ``target``: for each row of the table ``source`` its rowid, ``source_row``, and its place.

    ``tie`` counts all rows from 1, first by their ``groups`` and within a group by an MD5 of what the ``columns`` hold;
    ``hash`` is a part of that; ``copy`` counts, from 0, the rows of a group that hold the same. None of them depends on
    the order in which the rows of ``source`` stand. The columns of ``groups`` and those ``carried`` come with them.
    """
    names = {
        "texts": ", ".join(f"coalesce(\"{name}\"::VARCHAR, '')" for name in columns),
        "groups": ", ".join(f'"{name}"' for name in groups),
        "hash": _64_BITS.format(md5="digest"),
        "kept": ", ".join(f'"{name}"' for name in (*groups, *carried)),
    }
    for query in (_DIGESTS, _NUMBERED):
        run(con, query.format(source=source, target=target, **names))


def hashed(*expressions: str) -> str:
    """Return SQL for a hash, of type UBIGINT, of the texts of ``expressions``."""
    return _64_BITS.format(md5=f"md5_number(concat_ws('-', {', '.join(expressions)}))")


def drawn(share: float, *expressions: str) -> str:
    """Return SQL that is true for a ``share`` of the values of ``expressions``, always the same ones."""
    return f"{hashed(*expressions)} % {_PARTS} < {round(share * _PARTS)}"
