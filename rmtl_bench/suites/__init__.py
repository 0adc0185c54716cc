"""Suite files and plans: from a TOML file to the list of cells to run."""

from __future__ import annotations

from rmtl_bench.suites.additions import name_with, split_additions
from rmtl_bench.suites.plan import Plan, Skipped, datasets_of, expand
from rmtl_bench.suites.suite_file import Suite, find_suite, list_suites, read_suite
from rmtl_bench.suites.variants import read_variant, with_precision

__all__ = [
    "Plan",
    "Skipped",
    "Suite",
    "datasets_of",
    "expand",
    "find_suite",
    "list_suites",
    "name_with",
    "read_suite",
    "read_variant",
    "split_additions",
    "with_precision",
]
