"""New plugins: a distribution that installs, passes its tests and runs as it is written."""

from __future__ import annotations

from rmtl_bench.scaffold.distribution import Scaffold, write_distribution
from rmtl_bench.scaffold.naming import Names, check_name

__all__ = ["Names", "Scaffold", "check_name", "write_distribution"]
