"""Builds the documentation site: ``sphinx-build -W --keep-going -b html docs FOLDER``. Nothing is fetched."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

import reference_pages  # noqa: E402
import repository_pages  # noqa: E402

from rmtl_bench import __version__  # noqa: E402

project = "rmtl-bench"
author = "the rmtl-bench authors"
release = version = __version__
html_title = "rmtl-bench"
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
root_doc = "index"
exclude_patterns = ["_generated/parts/**"]
templates_path: list[str] = []

myst_enable_extensions = ["colon_fence"]
# Anchors as forges make them, so that one link serves both.
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True

# Two dashes begin an option.
smartquotes = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
# What is typed, without the prompt before it.
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
pygments_style = "default"
pygments_dark_style = "monokai"


def _write_pages(_app: Sphinx, _config: Config) -> None:
    reference_pages.write(DOCS / "_generated" / "parts")
    repository_pages.write(DOCS / "_generated" / "repository")


def _link_pages(_app: Sphinx, name: str, source: list[str]) -> None:
    """Lead what a page links to outside of the documentation to the pages made of it."""
    if not name.startswith("_generated/"):
        source[0] = repository_pages.relinked(source[0], DOCS)


def setup(app: Sphinx) -> None:
    """Have the generated pages written before pages are looked for."""
    app.connect("config-inited", _write_pages)
    app.connect("source-read", _link_pages)
