"""The harness's own executors keep to the contract of executors."""

from __future__ import annotations

import pytest

from rmtl_bench.testing import ExecutorContract


class TestInline(ExecutorContract):
    @pytest.fixture
    def plugin(self):
        return "inline"


class TestProcess(ExecutorContract):
    @pytest.fixture
    def plugin(self):
        return "process"


class TestRay(ExecutorContract):
    @pytest.fixture
    def plugin(self, in_ray_cluster):
        return "ray"
