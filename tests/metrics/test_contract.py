"""The harness's own metrics keep to the contract of metrics."""

from __future__ import annotations

import pytest

from rmtl_bench.metrics.catalogue import rmtl_metrics
from rmtl_bench.testing import MetricContract


class TestMetrics(MetricContract):
    @pytest.fixture(params=[info.name for info in rmtl_metrics()])
    def plugin(self, request):
        return request.param
