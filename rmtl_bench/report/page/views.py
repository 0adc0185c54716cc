"""Tables as a page shows them: every cell a text, with a sign and a tone where it is a verdict."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from markupsafe import Markup

from rmtl_bench.report.document import DASH, Section, verdict_text

Kind = Literal["text", "number", "verdict", "strip", "method"]
"""What a column holds: how it is aligned and sorted."""


class Sign(NamedTuple):
    """The sign of a verdict, which a reader sees without colours, and the name of its tone."""

    sign: str
    tone: str


SIGNS: Mapping[str, Sign] = {
    "better": Sign("▲", "better"),
    "better (small)": Sign("△", "better"),
    "equivalent": Sign("=", "equivalent"),
    "unresolved": Sign("?", "muted"),
    "worse (small)": Sign("▽", "worse"),
    "worse": Sign("▼", "worse"),
    "deterministic": Sign("≡", "muted"),
    "n too small": Sign("·", "muted"),
    "not starred": Sign("∘", "muted"),
}
"""The sign of each verdict; those of the figures are the same."""

_METHOD_TITLES = ("method", "candidate")


class Cell(NamedTuple):
    """A cell of a table; ``value`` is what it is sorted by where that is not its text."""

    text: str = ""
    sign: str = ""
    tone: str = ""
    drawing: Markup | None = None
    value: str = ""


class Heading(NamedTuple):
    """The heading of a column."""

    title: str
    kind: Kind = "text"


class Row(NamedTuple):
    """A row; ``method`` is the one it is about, "" for none."""

    method: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table; the cells of its one column of kind "method", or of its first, head their rows."""

    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]

    @property
    def heads(self) -> int:
        """The column that heads the rows."""
        kinds = [heading.kind for heading in self.headings]
        return kinds.index("method") if "method" in kinds else 0


def section_table(section: Section, methods: Collection[str]) -> Table:
    """Return the table of a section; rows that a column ``method`` or ``candidate`` heads belong to that method."""
    titles = [column.title for column in section.columns]
    heading = next((titles.index(title) for title in _METHOD_TITLES if title in titles), None)
    kinds: list[Kind] = ["number" if column.numeric else "text" for column in section.columns]
    if heading is not None:
        kinds[heading] = "method"
    rows = tuple(
        Row(row[heading] if heading is not None and row[heading] in methods else "", tuple(map(Cell, row)))
        for row in section.rows
    )
    return Table(section.title, tuple(map(Heading, titles, kinds)), rows)


def verdict_cell(row: Mapping[str, Any], prefix: str = "") -> Cell:
    """Return a verdict with its sign; ``row`` as :func:`verdict_text` takes it."""
    text = verdict_text(row)
    if text == DASH:
        return Cell(DASH)
    sign = SIGNS.get(row["verdict"], Sign("", ""))
    return Cell(prefix + text, sign.sign, sign.tone)
