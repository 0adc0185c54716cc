"""A plugin in one file that notes every run that is begun, so that what was made twice can be counted."""

from __future__ import annotations

import os

from rmtl_bench import hookimpl
from rmtl_bench.contracts import Cell

LEDGER = "FAULTS_LEDGER"
"""The environment variable that names the file."""


@hookimpl
def rmtl_run_started(cell: Cell) -> None:
    """Add the run id as a line, in one write: many processes do so at once."""
    descriptor = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{cell.run_id}\n".encode())
    finally:
        os.close(descriptor)
