"""What every weighting keeps to: the checks come from rmtl-bench."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmtl_bench.testing import WeightingContract


class TestCoVWeighting(WeightingContract):
    # Only for a plugin in one file: what is installed is found.
    plugin_files = (Path(__file__).parents[1] / "cov_weighting.py",)

    @pytest.fixture
    def plugin(self):
        return "cov"
