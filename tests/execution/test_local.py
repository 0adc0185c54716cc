from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from rmtl_bench import hookimpl
from rmtl_bench.contracts.cell import Cell
from rmtl_bench.execution import missing_cells
from rmtl_bench.execution.local import _terminate_as_interrupt
from rmtl_bench.store import Index
from rmtl_bench.store.run_files import read_environment, read_run, read_table

from .conftest import Watcher
