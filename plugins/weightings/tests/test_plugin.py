from __future__ import annotations

import subprocess
import sys

import pytest

from rmtl_bench.contracts import UsageError
from rmtl_bench_weightings.plugin import rmtl_weightings


def test_listing_does_not_import_torch():
    code = (
        "import sys; from rmtl_bench_weightings.plugin import rmtl_weightings; "
        "print(*[i.name for i in rmtl_weightings()]); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["fixed", "uncertainty", "random", "dwa"]


@pytest.mark.parametrize(("weighting", "given"), [("fixed", {"weights": [1.0, -1.0]}), ("dwa", {"temperature": 0.0})])
def test_impossible_values_are_refused_by_the_catalogue(weighting, given):
    (info,) = [info for info in rmtl_weightings() if info.name == weighting]
    with pytest.raises(UsageError, match=next(iter(given))):
        info.resolve(given)
