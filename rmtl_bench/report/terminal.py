"""Text for a terminal: tables without frames, lines that are filled, names of others made harmless."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rmtl_bench.contracts.wording import printable

INDENT = "  "
"""Before what belongs to the heading above it."""


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1, indent: str = "") -> str:
    """Return rows under their headings, the first ``left`` columns to the left and the others to the right.

    Tighter than a library's: eight columns of counts have to fit into 80 characters.
    """
    cells = [[printable(text) for text in row] for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    lines = (
        "  ".join(
            text.ljust(width) if place < left else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
    return "\n".join(f"{indent}{line}".rstrip() for line in lines)


def heading(text: str) -> tuple[str, str]:
    """Return an empty line and a heading."""
    return "", printable(text)


def filled(text: str, width: int, indent: str = "", hanging: str | None = None) -> list[str]:
    """Return a text in lines of ``width`` where words allow it; ``hanging`` stands before all lines but the first."""
    return textwrap.wrap(
        printable(text),
        width,
        initial_indent=indent,
        subsequent_indent=indent or INDENT if hanging is None else hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def entry(name: str, text: str, width: int) -> list[str]:
    """Return a name and what is said of it in one line where that has place for both, else in two or more."""
    said = " ".join(printable(text).split())
    line = f"{INDENT}{printable(name)}  {said}"
    return [line] if len(line) <= width else [f"{INDENT}{printable(name)}", *filled(said, width, INDENT * 2)]
