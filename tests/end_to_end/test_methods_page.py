"""``docs/methods.md`` is what ``rmtl-bench methods`` prints of the first-party distributions."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"
FIRST_PARTY = ("rmtl-bench-backbones", "rmtl-bench-weightings", "rmtl-bench-rmtl", "rmtl-bench-datasets")


def test_the_page_of_methods_says_what_the_plugins_say(rmtl_bench):
    points = [point.name for point in entry_points(group="rmtl_bench") if point.dist.name in FIRST_PARTY]
    printed = rmtl_bench("methods", env={"RMTL_BENCH_LOAD_PLUGINS": ",".join(points)})
    assert printed.returncode == 0, printed.stderr
    written = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    # Not compared by pytest: a difference of hundreds of lines would hide what is to be done.
    is_up_to_date = written == printed.stdout
    mend = "rmtl-bench methods --output docs/methods.md, where no plugins of others are installed"
    assert is_up_to_date, f"docs/methods.md is out of date; type: {mend}"
