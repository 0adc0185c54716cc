"""The documentation site: it builds without a warning, loads nothing from elsewhere, and fits on a phone.

``$RMTL_BENCH_SITE`` names a site that was built before; without it, it is built here, where Sphinx is installed. The
browser is found as in ``tests/browser``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

DOCS = Path(__file__).parents[2] / "docs"
NEEDED = ("sphinx", "furo", "myst_parser", "sphinx_copybutton")
HEAVY = ("index", "methods", "command_line")
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
REQUIRED = bool(os.environ.get("RMTL_BENCH_REQUIRE_BROWSER"))

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is not in a source distribution")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder of the built site."""
    if built := os.environ.get("RMTL_BENCH_SITE"):
        return Path(built)
    if lacking := [name for name in NEEDED if find_spec(name) is None]:
        pytest.skip(f"the extra 'docs' is not installed: {', '.join(lacking)}")
    folder = tmp_path_factory.mktemp("site")
    options = ["-W", "--keep-going", "-q", "-b", "html", "-d", str(folder / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(folder / "html")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder / "html"


class Page(HTMLParser):
    """What a page loads, where it links to, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors.add(given.get("id", ""))
        if "src" in given:
            self.loaded.append(given["src"])
        if "href" in given:
            (self.links if tag == "a" else self.loaded).append(given["href"])


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    found = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    assert len(found) > 25
    return found


def test_nothing_is_loaded_from_elsewhere(site, pages):
    outside = {address for page in pages.values() for address in page.loaded if urlsplit(address).netloc}
    assert outside == set()
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"@import|url\(\s*['\"]?(?:https?:)?//", styles) == []


def test_every_link_inside_leads_to_a_page_and_a_heading_of_it(pages):
    broken = []
    for path, page in pages.items():
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            is_there = target.exists() if target not in pages else parts.fragment in {"", *pages[target].anchors}
            if not is_there:
                broken.append(f"{path.name}: {address}")
    assert broken == []


def test_the_reference_has_every_command_hook_and_key(site):
    from rmtl_bench.cli.main import COMMANDS
    from rmtl_bench.plugins import specs
    from rmtl_bench.training.settings import TRAINER_PARAMETERS

    commands = (site / "command_line.html").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f'id="rmtl-bench-{name}"' not in commands] == []
    hooks = (site / "hooks.html").read_text(encoding="utf-8")
    named = [name for group in (specs.CatalogueSpecs, specs.LifecycleSpecs) for name in vars(group) if "rmtl_" in name]
    assert len(named) > 10
    assert [name for name in named if f">{name}<" not in hooks] == []
    keys = (site / "suite_files.html").read_text(encoding="utf-8")
    assert [name for name in ("equivalence", "headline", *TRAINER_PARAMETERS) if f">{name}<" not in keys] == []


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="the extra 'browser' is not installed")
    path = os.environ.get("RMTL_BENCH_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        reason = f"no browser: none of {', '.join(NAMES)} is installed, and $RMTL_BENCH_BROWSER names none"
        (pytest.fail if REQUIRED else pytest.skip)(reason)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.mark.browser
@pytest.mark.parametrize("name", HEAVY)
def test_a_phone_scrolls_tables_and_code_and_never_the_page(site, browser, name):
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page, complaints, requests = context.new_page(), [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((site / f"{name}.html").as_uri())
    assert page.locator("h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert complaints == []
    assert [url for url in requests if not url.startswith(site.as_uri())] == []
    context.close()
