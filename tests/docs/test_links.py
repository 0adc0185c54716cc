"""Every link of the documentation into the checkout leads to a file, and to a heading of it where it names one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted(path for folder in ("docs", "results", "benchmarks", "plugins") for path in ROOT.glob(f"{folder}/**/*.md")),
]
READ = MarkdownIt("commonmark").enable("table")
# Pages of the site that are made when it is built link to each other as the site has them.
WRITTEN = [page for page in PAGES if "_generated" not in page.parts and "templates" not in page.parts]

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="not in a source distribution")


def tokens(page: Path) -> list[Token]:
    return READ.parse(page.read_text(encoding="utf-8"))


def targets(page: Path) -> list[str]:
    inside = [child for token in tokens(page) for child in token.children or ()]
    return [str(child.attrs["href" if child.type == "link_open" else "src"]) for child in inside if child.attrs]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges and the site make them."""
    found: dict[str, int] = {}
    names = set()
    parsed = tokens(page)
    for place, token in enumerate(parsed):
        if token.type == "heading_open":
            text = "".join(child.content for child in parsed[place + 1].children or () if child.content)
            name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            count = found[name] = found.get(name, -1) + 1
            names.add(f"{name}-{count}" if count else name)
    return names


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page):
    for target in targets(page):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        leads_to = page.parent / path if path else page
        assert leads_to.exists(), target
        # The parts of the reference that are made when the site is built have their headings from the program.
        if anchor and "{include}" not in leads_to.read_text(encoding="utf-8"):
            assert anchor in anchors(leads_to), target
