"""The TOML of suite files, which may come from anybody: read within limits, so that none takes all time or memory.

=============================  =====================================================================
a file                         regular, of at most :data:`LARGEST` bytes, UTF-8
a line                         at most :data:`DOTS` dots: the time that dotted keys take is quadratic
a name                         at most :data:`LONGEST_NAME` characters that can be seen, in one line
a grid                         at most :data:`CELLS` cells, seeds included
=============================  =====================================================================
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.contracts.reading import read_bytes

LARGEST = 256 << 10
"""The most bytes that a suite file may have; the largest that comes with the harness has six thousand."""

DOTS = 64
"""The most dots in one line."""

LONGEST_NAME = 100
"""The most characters of a name, a label or a key."""

CELLS = 100_000
"""The most cells of a suite."""


def read_document(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes of a TOML file and what they say. Raises :class:`UsageError` naming the file."""
    try:
        content = read_bytes(path, LARGEST)
        text = content.decode("utf-8")
        for number, line in enumerate(text.split("\n"), 1):
            if line.count(".") > DOTS:
                raise ValueError(f"line {number} has more than {DOTS} dots")
        return content, tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"suite file {path} cannot be read: {error.strerror or error}") from error
    # An integer of too many digits is a plain ValueError.
    except ValueError as error:
        raise UsageError(f"suite file {path} cannot be read: {error}") from error
    except RecursionError as error:
        raise UsageError(f"suite file {path} cannot be read: lists or tables lie too deep in each other") from error


def is_name(value: Any) -> bool:
    """Return whether a value is a text that can be a name: of one line, to be seen as it is, and not too long."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()


def check_keys(document: Any, place: str) -> None:
    """Raise :class:`UsageError` for a key, at any depth, that is no name."""
    level = [document]
    while level:
        tables = [value for value in level if isinstance(value, dict)]
        for key in (key for table in tables for key in table):
            if not is_name(key):
                raise UsageError(f"{place}: the key {shown(key)} takes 1 to {LONGEST_NAME} characters that can be seen")
        lists = [value for value in level if isinstance(value, list)]
        level = [inner for table in tables for inner in table.values()] + [inner for part in lists for inner in part]


def shown(value: Any) -> str:
    """Return a value as a message quotes it: as Python writes it, cut where it is long."""
    said = repr(value)
    return said if len(said) <= LONGEST_NAME else f"{said[:LONGEST_NAME]}..."
