"""Hostile input by the ten thousand: suite files, run folders and event tables, each valid at first and then damaged.

``python -m benchmarks.fuzz [--cases 10000] [--command-line 50] [--keep FOLDER] [suite|run-folder|events ...]``

Every case goes through the functions that read such a file for a user. What may come of it is a result or an error of
:mod:`rmtl_bench.contracts.errors` in one line; anything else, a case that takes longer than :data:`SECONDS` or memory
that grows by more than :data:`MEMORY`, is a finding, and the exit code is then 1. Some cases go through the real
command line, too: its exit code is a documented one, and no traceback is shown.
"""

from __future__ import annotations

SECONDS = 20.0
"""The most that one case may take, on a machine that does other things."""

MEMORY = 2 << 30
"""The most bytes by which the memory of the process may grow, over all cases."""
