from __future__ import annotations

import subprocess
import sys


def test_reports_and_statistics_do_not_import_torch():
    code = "import sys, rmtl_bench.report, rmtl_bench.statistics; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
