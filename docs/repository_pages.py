"""Pages of the site made of files outside ``docs``: a link of the documentation works on a forge and on the site alike.

A page of ``docs`` links to what lies beside ``docs`` as a forge wants it, ``../results/conflict/README.md``. On the
site that is a page, too, and so is whatever that page links to: Markdown as it is, source code as a listing, a folder
as its README or as a list of its files. Anything else is a download.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PLACE = "/_generated/repository"
"""Where the pages are, as a link of the site has it."""

LISTED = {".py": "python", ".toml": "toml", ".sh": "sh", ".txt": "text"}
"""The language by the suffix of what is shown as a listing."""

_LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
_FENCE = re.compile(r"^\s*(```+|~~~+)")


def relinked(text: str, folder: Path, wanted: Callable[[Path], object] = str) -> str:
    """Return Markdown that lies in ``folder`` with its links out of ``docs`` led to the pages made of their targets.

    ``wanted`` is called with every file and folder that needs a page.
    """
    lines, fence = [], ""
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if mark and (not fence or line.strip() == fence):
            fence = "" if fence else mark[1]
        lines.append(line if fence else _LINK.sub(lambda link: _target(link, folder, wanted), line))
    return "".join(lines)


def _target(link: re.Match[str], folder: Path, wanted: Callable[[Path], object]) -> str:
    path, anchor = Path(os.path.normpath(folder / link[1])), link[2] or ""
    if "://" in link[1] or not path.is_relative_to(ROOT) or not path.exists():
        return link[0]
    if path.is_relative_to(DOCS):
        return link[0] if folder == DOCS else f"/{path.relative_to(DOCS)}{anchor}"
    if path.is_dir() or path.suffix == ".md" or path.suffix in LISTED:
        wanted(path)
        return f"{PLACE}/{_page_of(path)}{anchor}"
    return f"/{os.path.relpath(path, DOCS)}"


def _page_of(path: Path) -> Path:
    """Return the page of a file or folder, relative to all such pages."""
    inside = path.relative_to(ROOT)
    if path.is_dir():
        return inside / ("README.md" if (path / "README.md").is_file() else "index.md")
    return inside if path.suffix == ".md" else inside.with_name(f"{inside.name}.md")


def write(folder: Path) -> None:
    """Write a page into ``folder`` for everything that the documentation links to, and for all published results."""
    todo = sorted((ROOT / "results").glob("*/*.md"))
    for page in sorted(DOCS.glob("*.md")):
        relinked(page.read_text(encoding="utf-8"), DOCS, todo.append)
    written: dict[Path, str] = {}
    while todo:
        path = todo.pop()
        if (page := folder / _page_of(path)) not in written:
            written[page] = "---\norphan: true\n---\n\n" + _content(path, todo.append)
    keep_only(folder, written)


def keep_only(folder: Path, written: dict[Path, str]) -> None:
    """Make ``written`` (text by path) the only pages in ``folder``; one that is the same already is left untouched."""
    for path in folder.rglob("*.md"):
        if path not in written:
            path.unlink()
    for path, text in written.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def _content(path: Path, wanted: Callable[[Path], object]) -> str:
    if path.is_dir() and (path / "README.md").is_file():
        path = path / "README.md"
    if path.suffix == ".md":
        return relinked(path.read_text(encoding="utf-8"), path.parent, wanted)
    inside = path.relative_to(ROOT)
    if path.is_file():
        source = os.path.relpath(path, (DOCS / f"{PLACE[1:]}" / _page_of(path)).parent)
        return f"# `{inside}`\n\n```{{literalinclude}} {source}\n:language: {LISTED[path.suffix]}\n```\n"
    files = sorted(each for each in path.iterdir() if each.suffix in LISTED and not each.name.startswith("_"))
    links = [f"- [`{each.name}`]({each.name})" for each in files]
    return relinked(f"# `{inside}`\n\n" + "\n".join(links) + "\n", path, wanted)
