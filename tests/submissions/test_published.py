"""The submissions that the repository holds."""

from __future__ import annotations

from pathlib import Path

from rmtl_bench.plugins.host import load_plugins
from rmtl_bench.submissions import page, verify_folder

PUBLISHED = Path(__file__).parents[2] / "results" / "leaderboards"


def test_all_published_submissions_are_true_and_make_a_page() -> None:
    registry = load_plugins().registry
    assert {one.path.name: list(map(str, one.faults)) for one in verify_folder(PUBLISHED, registry) if one.faults} == {}
    assert page(PUBLISHED, registry).startswith("# Leaderboards")
