"""The one look of all figures, and how they become SVG in a page and files beside a paper.

Eight colours, searched so that they stay apart under protanopia, deuteranopia and tritanopia (simulated after Machado
et al. 2009) and have a contrast of 3 to 1 at least on a white page; eight others for a dark page, by the same hues.
Line styles and markers tell series apart without any colour. Inside a page the colours are CSS variables, so that one
drawing serves the light page, the dark one and the printed one.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

from rmtl_bench.report.figures.report_figure import ReportFigure
from rmtl_bench.report.figures.svg import rewrite

INK, MUTED, GRID, PAGE = "#1b1f24", "#5a6570", "#dfe3e8", "#ffffff"
SERIES = ("#0747fb", "#d8731d", "#23a278", "#922d76", "#644a09", "#0a7aa5", "#c17e49", "#6332bb")
_SERIES_DARK = ("#4a8af7", "#e2863d", "#48f7b9", "#f140a6", "#f7cf11", "#bddeea", "#d29273", "#b6adf0")
_NAMES = ("--ink", "--muted", "--grid", "--page", *(f"--c{number}" for number in range(1, 9)))

LIGHT: Mapping[str, str] = dict(zip(_NAMES, (INK, MUTED, GRID, PAGE, *SERIES), strict=True))
"""The CSS variables of a themed SVG and their colours on a light page."""
DARK: Mapping[str, str] = dict(zip(_NAMES, ("#e6eaef", "#9aa5b1", "#323941", "#15181c", *_SERIES_DARK), strict=True))
"""The same variables on a dark page."""

SIZE = 8.0
"""The size of most text, in points."""

_VARIABLES = {colour: f"var({name})" for name, colour in LIGHT.items()}
_LINES = ("-", (0, (4.5, 1.5)), (0, (4, 1.5, 1, 1.5)), (0, (1.2, 1.2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
_RC: Any = {
    "font.size": SIZE,
    "font.family": ["sans-serif"],
    "text.color": INK,
    # A name with two dollar signs is a name and no formula.
    "text.parse_math": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.labelsize": SIZE,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "both",
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 5),
    "axes.formatter.use_mathtext": False,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": SIZE - 1,
    "ytick.labelsize": SIZE - 1,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.3,
    "lines.solid_capstyle": "butt",
    "lines.markeredgewidth": 0.8,
    "path.simplify": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "rmtl-bench",
    "pdf.fonttype": 42,
    "pdf.compression": 6,
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_NO_PDF_METADATA = dict.fromkeys(("Creator", "Producer", "CreationDate"))


class Look(NamedTuple):
    """How a series is told from others: by colour, by line style and by marker."""

    colour: str
    line: Any
    marker: str


def look(number: int) -> Look:
    """Return the look of the series with this number, from 0; colours come again after eight, with other lines."""
    line = _LINES[(number + number // len(SERIES)) % len(_LINES)]
    return Look(SERIES[number % len(SERIES)], line, _MARKERS[number % len(_MARKERS)])


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the style of the report, whatever settings the process has; they are as before afterwards."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        # The text of an SVG stays text, and a reader's own fonts know more characters than the one measured with.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield


def to_svg(drawn: ReportFigure, prefix: str, themed: bool = True) -> str:
    """Return the figure as an SVG element for a page, the same bytes every time.

    Every id begins with ``prefix``, so that many may live in one page. It scales to the width it is given. ``themed``:
    colours are the CSS variables of :data:`LIGHT` and :data:`DARK`. An artist with the gid ``method:NAME`` becomes a
    group with ``data-method="NAME"``.
    """
    buffer = io.StringIO()
    with drawing():
        drawn.figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    return rewrite(buffer.getvalue(), prefix, drawn.title, drawn.alt, _VARIABLES if themed else {})


def save(drawn: ReportFigure, folder: Path, slug: str) -> list[Path]:
    """Write ``slug.svg`` and ``slug.pdf`` in light colours, without a date, and return their paths.

    The PDF embeds its fonts as Type 42, as journals ask for.
    """
    paths = [folder / f"{slug}.svg", folder / f"{slug}.pdf"]
    width, height = drawn.figure.get_size_inches() * 72
    text = to_svg(drawn, f"{slug}-", themed=False)
    sized = text.replace("<svg ", f'<svg width="{width:g}pt" height="{height:g}pt" ', 1)
    paths[0].write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{sized}\n', encoding="utf-8")
    with drawing():
        drawn.figure.savefig(paths[1], format="pdf", metadata=_NO_PDF_METADATA)
    return paths
