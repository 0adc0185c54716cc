"""A document as terminal text, Markdown, LaTeX, HTML, csv or json."""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Callable, Iterable
from html import escape
from itertools import zip_longest
from typing import Any

import pandas as pd
from tabulate import tabulate

from rmtl_bench.contracts.errors import UsageError, did_you_mean
from rmtl_bench.report.document import Document, Section

JSON_FORMAT = 1
"""The version of the json layout, raised when a key changes its meaning."""

TERMINAL_WIDTH = 120
"""Columns that a terminal is taken to have."""

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1f24;background:#fff}
table{border-collapse:collapse;margin:.4rem 0 1.6rem;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .7rem;text-align:left;border-bottom:1px solid #d8dee4}
th{border-bottom:2px solid #57606a}.r{text-align:right}h2{font-size:1rem;margin:1.2rem 0 0}
.note{background:#fff8c5;padding:.3rem .7rem;margin:.3rem 0}footer{color:#57606a;font-size:.9rem}
.scroll{overflow-x:auto}
"""

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "†": r"$\dagger$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "≈": r"$\approx$",
    **{c: "\\" + c for c in "&%$#_{}"},
    # At the start of a row, these would be arguments of the line break before it.
    **{c: f"{{{c}}}" for c in "[]*"},
}


def render(document: Document, fmt: str) -> str:
    """Return the document in one of ``FORMATS``; the text ends with a newline."""
    if fmt not in FORMATS:
        raise UsageError(f"unknown format {fmt!r}{did_you_mean(fmt, FORMATS)}")
    return FORMATS[fmt](document).rstrip("\n") + "\n"


def _table(document: Document) -> str:
    parts = [document.title, "=" * len(document.title)]
    parts += [textwrap.fill(f"note: {note}", TERMINAL_WIDTH, subsequent_indent="  ") for note in document.notes]
    for section in document.sections:
        parts += ["", section.title, *_lines(section)]
    parts.append("")
    parts += [textwrap.fill(line, TERMINAL_WIDTH, subsequent_indent="  ") for line in document.footnotes]
    return "\n".join(parts)


def _lines(section: Section) -> Iterable[str]:
    """Yield the lines of a table in tabulate's format "simple", texts wrapped.

    tabulate looks for numbers in every text even when told not to: half a second on a leaderboard of ten thousand runs;
    and its wrapping reads texts as values, so that it prints "False" as "True".
    """
    limits = [column.width for column in section.columns]
    rows = [[_wrapped(cell, limit) for cell, limit in zip(row, limits, strict=True)] for row in section.rows]
    titles = [column.title for column in section.columns]
    widths = [len(title) + 2 for title in titles]
    for row in rows:
        widths = [max(width, *map(len, cell)) for width, cell in zip(widths, row, strict=True)]
    right = [column.numeric and bool(section.rows) for column in section.columns]

    def line(cells: Iterable[str]) -> str:
        padded = zip(cells, widths, right, strict=True)
        return "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width) for cell, width, to_right in padded
        ).rstrip()

    yield line(titles)
    yield "  ".join("-" * width for width in widths)
    for row in rows:
        for cells in zip_longest(*row, fillvalue=""):
            yield line(cells)


def _tabulate(section: Section, style: str) -> str:
    text = tabulate(
        section.rows,
        headers=[c.title for c in section.columns],
        tablefmt=style,
        disable_numparse=True,
        colalign=["right" if c.numeric else "left" for c in section.columns] if section.rows else None,
    )
    return str(text)


def _wrapped(text: str, width: int | None) -> list[str]:
    """Return the lines of a text, each no longer than ``width`` where its words allow it."""
    if (width is None or len(text) <= width) and "\n" not in text:
        return [text]
    lines = text.splitlines() or [""]
    if width is None or len(text) <= width:
        return lines
    return [part for line in lines for part in textwrap.wrap(line, width) or [""]]


def _set(section: Section, escaped: Callable[[str], str], bold: str) -> tuple[tuple[str, ...], ...]:
    """Return the rows of a section, escaped, with what is emphasised in bold type."""
    return tuple(
        tuple(
            bold.format(escaped(text)) if (i, j) in section.emphasised else escaped(text) for j, text in enumerate(row)
        )
        for i, row in enumerate(section.rows)
    )


def _markdown(document: Document) -> str:
    parts = [f"# {escape_markdown(document.title)}", ""]
    parts += [line for note in document.notes for line in (f"> {escape_markdown(note)}", ">")][:-1]
    for section in document.sections:
        rows = _set(section, escape_markdown, "**{}**")
        table = _tabulate(Section(section.title, section.columns, rows), "github")
        parts += ["", f"## {escape_markdown(section.title)}", "", table]
    parts += ["", *(f"- {escape_markdown(line)}" for line in document.footnotes)]
    return "\n".join(parts)


def escape_markdown(text: str) -> str:
    """Return a text as Markdown that shows it as it is, in one line."""
    return re.sub(r"([\\`*_\[\]<>|&~#])", r"\\\1", " ".join(text.split()))


def _latex(document: Document) -> str:
    parts = [f"% {' '.join(document.title.split())}; needs \\usepackage{{booktabs,graphicx}}"]
    parts += [f"\\noindent {_escape_latex(note)}\\par" for note in document.notes]
    for section in document.sections:
        spec = "".join("r" if c.numeric else "l" for c in section.columns)
        lines = [" & ".join(row) + r" \\" for row in _set(section, _escape_latex, r"\textbf{{{}}}")]
        parts += [
            r"\begin{table}[ht]",
            r"\centering",
            f"\\caption{{{_escape_latex(section.title)}}}",
            # Shrunk to the width of the text where it is wider, else left alone.
            r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
            f"\\begin{{tabular}}{{{spec}}}",
            r"\toprule",
            " & ".join(_escape_latex(c.title) for c in section.columns) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
        ]
    parts += [f"\\noindent {{\\footnotesize {_escape_latex(line)}}}\\par" for line in document.footnotes]
    return "\n".join(parts)


def _escape_latex(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in " ".join(text.split()))


def _html(document: Document) -> str:
    title = escape(document.title)
    body = [f"<h1>{title}</h1>", *(f'<p class="note">{escape(note)}</p>' for note in document.notes)]
    for section in document.sections:
        kinds = [' class="r"' if c.numeric else "" for c in section.columns]
        head = "".join(f"<th{k}>{escape(c.title)}</th>" for k, c in zip(kinds, section.columns, strict=True))
        body += [f"<h2>{escape(section.title)}</h2>", '<div class="scroll"><table>', f"<thead><tr>{head}</tr></thead>"]
        for row in _set(section, escape, "<b>{}</b>"):
            cells = "".join(f"<td{k}>{text}</td>" for k, text in zip(kinds, row, strict=True))
            body.append(f"<tr>{cells}</tr>")
        body.append("</table></div>")
    notes = "".join(f"<li>{escape(line)}</li>" for line in document.footnotes)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    page = "\n".join([*body, f"<footer><ol>{notes}</ol></footer>"])
    return f'<!doctype html>\n<html lang="en"><head>{head}<style>{_STYLE}</style></head><body>\n{page}\n</body></html>'


def _csv(document: Document) -> str:
    frames = [frame.astype(object).assign(table=name) for name, frame in document.tables.items() if len(frame)]
    if not frames:
        return "table"
    columns = dict.fromkeys(["table", *(c for frame in frames for c in frame.columns)])
    long = pd.concat(frames, ignore_index=True)[list(columns)]
    return str(long.to_csv(index=False, lineterminator="\n"))


def _json(document: Document) -> str:
    content: dict[str, Any] = {"format": JSON_FORMAT, "title": document.title, "notes": list(document.notes)}
    content["settings"] = dict(document.settings)
    for name, frame in document.tables.items():
        records = frame.astype(object).to_dict("records")
        content[name] = [{str(k): _plain(v) for k, v in record.items()} for record in records]
    content["footnotes"] = list(document.footnotes)
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """Return a scalar as json knows it: no numpy type, ``None`` for what is missing or not finite."""
    if value is None or value is pd.NA:
        return None
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


FORMATS: dict[str, Callable[[Document], str]] = {
    "table": _table,
    "markdown": _markdown,
    "latex": _latex,
    "html": _html,
    "csv": _csv,
    "json": _json,
}
"""What ``render`` knows."""
