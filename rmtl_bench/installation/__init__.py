"""What is installed here and whether it works: software, plugins, machine, data, store.

It is for when something is broken: each part is examined for itself, and a part that cannot be is a finding.
"""

from __future__ import annotations

from rmtl_bench.installation.examination import examine
from rmtl_bench.installation.finding import STATES, Finding

__all__ = ["STATES", "Finding", "examine"]
